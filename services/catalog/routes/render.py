"""Pictures on request: any size and format of a media, made once and kept."""

import uuid
from typing import Annotated, Any

from litestar import HttpMethod, Request, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ASGIApp

from services.catalog import openapi, render
from services.catalog.delivery import Asked, Delivery
from services.catalog.routes.common import NOT_MODIFIED, TAG_FILES, media_id_of, problems
from services.catalog.routes.files import Expires, Signature, check_link, conditions_of
from services.catalog.schemas import Disposition
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.errors import Invalid
from shared.openapi import PUBLIC
from shared.problem import EXCEPTION_HANDLERS, answer
from shared.recipes import Fit
from shared.rendering import MOST_SIDE, Options
from shared.rendering import Asked as AskedFormat

_ALLOWED = {
    **dict.fromkeys(("w", "h"), f"a whole number from 1 to {MOST_SIDE}"),
    "fit": "inside, cover or square",
    "format": "auto, jpeg, png, webp, avif or source",
    "q": "a whole number from 1 to 100",
    "preset": "a name of 1 to 32 characters",
}
_METHODS = [HttpMethod.GET, HttpMethod.HEAD]
_W = "Width in pixels. Nothing is enlarged."
_H = "Height in pixels."
_FIT = "`inside` (the default) keeps the whole picture, `cover` fills w x h, `square` a square of w."
_FORMAT = (
    "`auto` (the default): WebP where Accept names it, else JPEG, or PNG where something shines through."
)
_Q = "Quality: 85 for JPEG, 80 for WebP and 60 for AVIF unless given; PNG has none."
_PRESET = "A rendering by name, in place of all others."


def _refuse(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """The framework's own words name neither the value nor what is allowed."""
    faults = error.extra if isinstance(error.extra, list) else []
    field = next((fault["key"] for fault in faults if fault.get("key") in _ALLOWED), None)
    if field is None:
        return EXCEPTION_HANDLERS[ValidationException](request, error)
    value = request.query_params.get(field, "")[:64]
    refusal = Invalid(f"{field} is {value!r}; allowed is {_ALLOWED[field]}.", field=field)
    return answer(request, refusal)


@route(
    "/media/{ref:str}/render",
    http_method=_METHODS,
    tags=[TAG_FILES],
    summary="A picture on request",
    operation_class=openapi.RenderOperation,
    security=PUBLIC,
    exception_handlers={ValidationException: _refuse},
    responses={
        **openapi.file("image/*"),
        **NOT_MODIFIED,
        **problems(401, 403, 404, 409, 412, 416, 422),
    },
)
async def rendered(
    ref: FromPath[str],
    *,
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    settings: NamedDependency[CatalogSettings],
    w: Annotated[int | None, QueryParameter(ge=1, le=MOST_SIDE, description=_W)] = None,
    h: Annotated[int | None, QueryParameter(ge=1, le=MOST_SIDE, description=_H)] = None,
    fit: Annotated[Fit | None, QueryParameter(description=_FIT)] = None,
    format: Annotated[AskedFormat | None, QueryParameter(description=_FORMAT)] = None,  # noqa: A002 - as in the URL
    q: Annotated[int | None, QueryParameter(ge=1, le=100, description=_Q)] = None,
    preset: Annotated[str | None, QueryParameter(min_length=1, max_length=32, description=_PRESET)] = None,
    disposition: FromQuery[Disposition | None] = None,
    expires: Expires = None,
    signature: Signature = None,
) -> ASGIApp:
    """Made by a processor when it is first asked for, and kept. By a signed link, or a preset with a token of somebody
    who may read the media. While it is being made the answer waits for some seconds, then it is 503 with
    Retry-After."""
    media_id = media_id_of(ref)
    options = Options(w=w, h=h, fit=fit, format=format, q=q, preset=preset)
    until = check_link(
        settings, render_path(media_id), expires, disposition, signature, parameters=options.query
    )
    options.check()
    parts = request.app.state
    wait = settings.variant_wait
    caller = None if until else optional_caller
    found = await render.original_of(parts["database"], parts["feed"], caller, media_id, wait=wait)
    if not until:
        render.require_right(options, optional_caller)
    made, varies = render.meant(
        options, settings.presets, mime_type=found.mime_type, accept=request.headers.get("accept")
    )
    info = await parts["renderings"].get(found, made, wait=wait)
    parts["metrics"].bytes_asked.labels("rendering").inc()
    asked = Asked(
        conditions=conditions_of(request),
        disposition=disposition,
        until=until,
        told=settings.purge is not None,
        vary="Accept" if varies else None,
    )
    file = render.file_of(found, made, info)
    return Delivery(parts["blobs"], file, asked, redirects=parts.get("redirects"))


def render_path(media_id: uuid.UUID) -> str:
    """What a link to a rendering signs, beside its parameters."""
    return f"/v1/media/{media_id}/render"


HANDLERS = (rendered,)
