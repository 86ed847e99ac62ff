"""Reading and changing the files of personas, as the personas system does: each user sees their own alone."""

from typing import Annotated, Any

from litestar import Request, delete, get, put, route
from litestar.datastructures import FormMultiDict
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.router import Router
from litestar.types import ASGIApp

from services.catalog import commands
from services.catalog.database import Database
from services.catalog.dialects.described import form_body
from services.catalog.dialects.finding import BYTES, MOST, find, find_page
from services.catalog.queries import Filters
from services.catalog.routes.common import PARTS, problems
from services.catalog.routes.files import deliver
from services.catalog.schemas import MediaPatch
from services.catalog.settings import CatalogSettings
from services.catalog.totals import NOTHING, apart, together, totals
from shared.auth import Caller
from shared.dialects import personas
from shared.dialects.personas import ENTITY, PROFILE, PersonaFile, PersonaFileDeleted, PersonaStats
from shared.dialects.refusals import MIB
from shared.dialects.view import View
from shared.dialects.whole import whole
from shared.dialects.wording import worded
from shared.events.messages import MediaType

_REFUSALS = problems(401, 404, 422)


def _own(caller: Caller, **more: Any) -> Filters:
    return Filters(profiles=(PROFILE,), entity_type=ENTITY, owner=caller.sub, **more)


async def _find(database: Database, caller: Caller, media_id: str) -> View:
    return await find(
        database, caller, _own(caller), number=whole(media_id), absent=personas.absent(media_id)
    )


@get("/media/files", summary="The caller's files", responses=problems(401, 422))
async def list_files(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    *,
    persona_id: FromQuery[int | None] = None,
    media_type: FromQuery[MediaType | None] = None,
    skip: Annotated[int, QueryParameter(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, QueryParameter(ge=0, le=MOST)] = MOST,
) -> list[PersonaFile]:
    """Newest first, of one persona or one type where that is asked for. All of them, unless there are more than
    10,000: then `skip` goes on."""
    filters = _own(caller, entity_id=None if persona_id is None else str(persona_id), media_type=media_type)
    found = await find_page(database, caller, filters, skip=skip, limit=limit)
    return [personas.shape(view) for view in found]


@get("/media/files/{media_id:str}", summary="One file", responses=_REFUSALS)
async def get_file(
    media_id: FromPath[str], caller: NamedDependency[Caller], database: NamedDependency[Database]
) -> PersonaFile:
    """What is known of one of the caller's files."""
    return personas.shape(await _find(database, caller, media_id))


@route(
    "/media/download/{media_id:str}",
    summary="The bytes of a file",
    **BYTES,
)
async def download(
    media_id: FromPath[str],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
) -> ASGIApp:
    """As they were uploaded, under the name that they had then; with Range and the conditional headers."""
    found = await _find(database, caller, media_id)
    return await deliver(request, caller, found.media.id)


@put(
    "/media/files/{media_id:str}",
    summary="Change the description of a file",
    operation_class=form_body("description", name="updatePersonaFile"),
    responses=problems(401, 404, 413, 422),
)
async def put_file(
    media_id: FromPath[str],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> PersonaFile:
    """A form with `description`, URL-encoded or multipart. Without one nothing changes; an empty one removes it."""
    found = await _find(database, caller, media_id)
    said = _text(await request.form(), "description")
    if said is not None:
        await commands.edit(
            database,
            caller,
            found.media.id,
            MediaPatch(description=said),
            base_url=settings.http.base_url,
        )
    return personas.shape(await _find(database, caller, media_id))


def _text(form: FormMultiDict, name: str) -> str | None:
    """The last text of this name; a file of this name is none."""
    return next((value for value in reversed(form.getall(name, [])) if isinstance(value, str)), None)


@delete("/media/files/{media_id:str}", status_code=200, summary="Delete a file", responses=_REFUSALS)
async def delete_file(
    media_id: FromPath[str], caller: NamedDependency[Caller], database: NamedDependency[Database]
) -> PersonaFileDeleted:
    """It is gone at once; its bytes follow within moments."""
    found = await _find(database, caller, media_id)
    await commands.remove(database, caller, found.media.id)
    return PersonaFileDeleted()


@get("/media/stats", summary="What the caller has", responses=problems(401))
async def stats(caller: NamedDependency[Caller], database: NamedDependency[Database]) -> PersonaStats:
    """Numbers and sizes of the caller's files, and how many of them each persona has."""
    async with database.reading_for(caller) as connection:
        found = await totals(connection, caller, _own(caller), by=("media_type", "entity_id"))
    every, of_type = together(found), apart(found, 0)
    return PersonaStats(
        total_files=every.count,
        total_images=of_type.get("image", NOTHING).count,
        total_videos=of_type.get("video", NOTHING).count,
        total_size_bytes=every.bytes,
        total_size_mb=round(every.bytes / MIB, 2),
        files_per_persona={str(persona): total.count for persona, total in apart(found, 1).items()},
    )


ROUTER = Router(
    "/",
    route_handlers=[list_files, get_file, download, put_file, delete_file, stats],
    dependencies=PARTS,
    exception_handlers=worded(personas.reword),
    tags=["personas"],
)
