"""Uploads as the personas system takes them: a file for a persona that the caller owns."""

from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.ingest.context import Ingest
from services.ingest.dialects.described import described, form_of
from services.ingest.dialects.forms import TAKES_FILES, answering, reading
from services.ingest.requests import AnyRequest, upload_form
from services.ingest.source import Reading
from shared.auth import Caller
from shared.dialects import personas
from shared.dialects.personas import ENTITY, PROFILE, PersonaFile
from shared.dialects.whole import whole
from shared.dialects.wording import worded
from shared.errors import Forbidden, NotFound


def _reading(persona_id: str) -> Reading:
    """The persona is in the address, so it is checked before a byte of the file is taken."""
    return reading(PROFILE, ("description",), {"entity_type": ENTITY, "entity_id": persona_id})


@post(
    "/media/upload/{persona_id:str}",
    **TAKES_FILES,
    operation_class=form_of("description", name="uploadPersonaFile"),
    responses=described(PersonaFile),
    summary="Upload an image or video of a persona",
)
async def upload(
    request: AnyRequest, caller: NamedDependency[Caller], persona_id: FromPath[str]
) -> Response[bytes]:
    """The form has a `file` and may have a `description`. The persona must be the caller's."""
    ingest: Ingest = request.app.state.ingest
    number = whole(persona_id)
    if number is None:
        raise personas.no_persona(persona_id)
    try:
        return await upload_form(
            request,
            caller,
            reading=_reading(str(number)),
            answering=answering(request, personas.shape),
            largest=ingest.settings.dialects.largest.get("personas"),
        )
    except (NotFound, Forbidden) as error:
        raise personas.no_persona(str(number)) from error


ROUTER = Router(
    "/",
    route_handlers=[upload],
    exception_handlers=worded(personas.reword),
    tags=["personas"],
)
