"""Uploads as the entities system takes them: into the places of an entity, by type and id, and many at once."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import FromPath

from services.ingest.answers import Answering
from services.ingest.batch import FILES, NAME, upload_batch
from services.ingest.context import Ingest
from services.ingest.dialects.described import described, form_of
from services.ingest.dialects.entity_slots import ANY_FIELDS, Place, places, reading_any, reading_of
from services.ingest.dialects.forms import TAKES_FILES, answering
from services.ingest.openapi import FILE, shown
from services.ingest.requests import AnyRequest, upload_form
from services.ingest.source import Reading
from shared.auth import Caller
from shared.dialects import entities
from shared.dialects.entities import EntityMedia, EntityUpload, EntityUploads
from shared.dialects.view import View
from shared.dialects.wording import worded
from shared.errors import Forbidden
from shared.profiles import Profiles


def _shaped(message: str) -> Callable[[View], EntityUpload]:
    return lambda view: EntityUpload(media=entities.shape(view), message=message)


def _answering(request: AnyRequest, shape: Callable[[View], Any]) -> Answering:
    """The document shows every size in the answer, so it waits for them."""
    return answering(request, shape, until="processed")


async def _upload(request: AnyRequest, caller: Caller, place: Place, reads: Reading) -> Response[bytes]:
    try:
        return await upload_form(
            request, caller, reading=reads, answering=_answering(request, _shaped(place.slot.message))
        )
    except Forbidden as error:
        raise entities.forbidden(place.who) from error


def _handler(place: Place) -> HTTPRouteHandler:
    """The route of one slot."""
    slot = place.slot
    route = post(
        place.address,
        **TAKES_FILES,
        operation_class=form_of(*slot.takes, name=slot.operation),
        responses=described(EntityUpload),
        summary=f"Upload to {slot.entity_type} {slot.entity_field}",
        description=f"{place.who} may. The answer waits for the sizes of the picture.",
    )

    async def one(
        request: AnyRequest, caller: NamedDependency[Caller], entity_id: FromPath[str]
    ) -> Response[bytes]:
        return await _upload(request, caller, place, reading_of(place, entity_id))

    async def within(
        request: AnyRequest,
        caller: NamedDependency[Caller],
        within_id: FromPath[str],
        entity_id: FromPath[str],
    ) -> Response[bytes]:
        return await _upload(request, caller, place, reading_of(place, entity_id, within_id))

    return route(one if slot.within is None else within)


def _any(request: AnyRequest) -> Reading:
    ingest: Ingest = request.app.state.ingest
    return reading_any(ingest.settings.profiles)


@post(
    "/v1/media/upload",
    **TAKES_FILES,
    operation_class=form_of(*ANY_FIELDS, name="uploadToEntity"),
    responses=described(EntityUpload),
    summary="Upload to any entity",
)
async def upload(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[bytes]:
    """The form says what the media hangs on, before or after the file. Rights and limits are those of the slot
    that the type and field have."""
    told = _answering(request, _shaped("Media uploaded successfully"))
    return await upload_form(request, caller, reading=_any(request), answering=told)


@post(
    "/v1/media/batch/upload",
    **TAKES_FILES,
    operation_class=form_of(
        *ANY_FIELDS,
        name="uploadManyToEntity",
        file=NAME,
        also={NAME: Schema(type=OpenAPIType.ARRAY, items=FILE, max_items=FILES)},
    ),
    responses=described(EntityUploads) | {200: shown(EntityUploads, "Not one file was taken")},
    summary="Upload many files to one entity",
)
async def upload_many(request: AnyRequest, caller: NamedDependency[Caller]) -> Response[EntityUploads]:
    """Each of the `files` stands alone: one that is refused is told of among `failed`."""
    items = await upload_batch(
        request, caller, reading=_any(request), answering=_answering(request, entities.shape), name=NAME
    )
    answer = entities.batch(
        len(items),
        uploaded=[msgspec.json.decode(each.answer.body, type=EntityMedia) for each in items if each.answer],
        failed=[(each.filename, each.error) for each in items if each.error],
    )
    return Response(
        answer, status_code=201 if answer.uploaded else 200, headers={"Cache-Control": "no-store"}
    )


def router(profiles: Profiles) -> Router:
    """Its routes are those of the profiles' slots, and the two that take media for any entity."""
    return Router(
        "/",
        route_handlers=[*(_handler(place) for place in places(profiles)), upload, upload_many],
        exception_handlers=worded(entities.reword),
        tags=["entities"],
    )
