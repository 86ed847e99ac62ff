"""Many media in one request: /v1/media/batch/{delete,tag,move,publish}."""

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from services.catalog import batch, dialects
from services.catalog.batch_schemas import BatchAnswer, BatchDelete, BatchMove, BatchPublish, BatchTag
from services.catalog.database import Database
from services.catalog.routes.common import TAG_MEDIA, problems
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects.entities import EntityDeletions
from shared.errors import Invalid

_REFUSALS = problems(401, 413, 422)


@post(
    "/media/batch/delete",
    status_code=200,
    tags=[TAG_MEDIA],
    summary="Delete many media",
    responses=_REFUSALS,
)
async def delete_many(
    data: JSONBody[BatchDelete],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> BatchAnswer | EntityDeletions:
    """Each item answers for itself, as its own DELETE would: 204, 403 or 404. By numbers as the entities API answers
    it."""
    if data.media_ids is not UNSET:
        remove = dialects.deletion_of_many(settings)
        if remove is None or data.refs is not UNSET:
            raise Invalid("Name the media in `refs` alone.", field="media_ids")
        found: EntityDeletions = await remove(data.media_ids, caller, database, settings)
        return found
    if data.refs is UNSET:
        raise Invalid("No media is named: `refs` is missing, or `media_ids`.", field="refs")
    return await batch.each(database, data.refs, batch.deleting(caller), done=204)


@post("/media/batch/tag", status_code=200, tags=[TAG_MEDIA], summary="Tag many media", responses=_REFUSALS)
async def tag_many(
    data: JSONBody[BatchTag],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> BatchAnswer:
    """`remove` goes before `add`; `set` stands in place of both. Each item answers for itself: 200, 403, 404, or 422
    where it would have too many tags."""
    work = batch.changing(caller, batch.tagging(data), base_url=settings.http.base_url)
    return await batch.each(database, data.refs, work, done=200)


@post("/media/batch/move", status_code=200, tags=[TAG_MEDIA], summary="Move many media", responses=_REFUSALS)
async def move_many(
    data: JSONBody[BatchMove],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> BatchAnswer:
    """To an entity, as if each had been uploaded there, or off the one that it hangs on. Each item answers for itself:
    200; 403 and 404 of the media or of the entity; 409 where a slot for one is taken; 422 where the profile is not for
    such an entity. Owner and files stay."""
    work = batch.moving(caller, data.entity, settings.profiles, base_url=settings.http.base_url)
    return await batch.each(database, data.refs, work, done=200)


@post(
    "/media/batch/publish",
    status_code=200,
    tags=[TAG_MEDIA],
    summary="Publish many media, or take them back",
    responses=_REFUSALS,
)
async def publish_many(
    data: JSONBody[BatchPublish],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> BatchAnswer:
    """Each item answers for itself: 200, 403 or 404. What a moderator has not approved stays unseen meanwhile."""
    change = batch.publishing(is_public=data.is_public)
    work = batch.changing(caller, change, base_url=settings.http.base_url)
    return await batch.each(database, data.refs, work, done=200)


HANDLERS = (delete_many, tag_many, move_many, publish_many)
