"""Moderation: decisions on a media and their history, the queue of what waits for one, and claims."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from services.catalog import cursors, moderation, moderation_queue
from services.catalog.conditions import etag_of
from services.catalog.database import Database
from services.catalog.moderation_queue import Wanted
from services.catalog.moderation_schemas import (
    Claimed,
    ClaimRequest,
    Claims,
    ModerationRecord,
    ModerationRequest,
    Queue,
    Released,
)
from services.catalog.openapi import ETAG, VARY
from services.catalog.routes.common import OWN_ANSWER, media_id_of, no_nul, problems
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.events.messages import MediaType
from shared.media import Moderation

TAG = "moderation"
_WAITS = "Uploaded at least so many seconds ago."
_STATE = "One or several; `pending` and `flagged` where none is named."


@post(
    "/media/{ref:str}/moderation",
    status_code=200,
    tags=[TAG],
    summary="Decide on a media",
    response_headers=[ETAG, VARY],
    responses=problems(401, 403, 404, 409, 412, 413, 422),
)
async def decide(
    ref: FromPath[str],
    data: JSONBody[ModerationRequest],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
) -> Response[ModerationRecord]:
    """Needs the role moderator, admin or service. What another moderator has decided is decided anew only by who says
    what they have seen: `expected`, If-Match (the ETag of the media), or a claim of their own. The ETag of the answer
    is that of the media."""
    record, media = await moderation.decide(
        database, caller, media_id_of(ref), data, if_match=if_match, base_url=settings.http.base_url
    )
    return Response(record, headers={**OWN_ANSWER, "ETag": etag_of(media)})


@get(
    "/media/{ref:str}/moderation",
    tags=[TAG],
    summary="What was decided on a media",
    response_headers=[VARY],
    responses=problems(401, 403, 404),
)
async def history(
    ref: FromPath[str], caller: NamedDependency[Caller], database: NamedDependency[Database]
) -> Response[ModerationRecord]:
    """Who may change the media is told states, reasons and times; moderators also who decided, notes, and what a
    flagged one is like."""
    async with database.reading_for(caller) as connection:
        found = await moderation.history(connection, caller, media_id_of(ref))
    return Response(found, headers=OWN_ANSWER)


@get(
    "/moderation",
    tags=[TAG],
    summary="What waits for moderators",
    response_headers=[VARY],
    responses=problems(401, 403, 422),
)
async def queue(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    *,
    states: Annotated[list[Moderation] | None, QueryParameter(name="state", description=_STATE)] = None,
    profile: FromQuery[str | None] = None,
    media_type: FromQuery[MediaType | None] = None,
    owner: FromQuery[str | None] = None,
    older_than: Annotated[int | None, QueryParameter(ge=0, le=315_360_000, description=_WAITS)] = None,
    claimed: FromQuery[Claimed] = "any",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    cursor: FromQuery[str | None] = None,
    count: FromQuery[bool] = False,
) -> Response[Queue]:
    """Needs the role moderator, admin or service. Oldest upload first; `next_cursor` goes on behind this page, whatever
    came or was decided meanwhile. `claimed`: `free` is what nobody looks at, `mine` what the caller has claimed.
    `count`: how many there are of each state, up to 10,000."""
    moderation.require_moderator(caller)
    no_nul(profile=profile, owner=owner)
    before = None if older_than is None else datetime.now(UTC) - timedelta(seconds=older_than)
    wanted = Wanted(
        states=tuple(dict.fromkeys(states or moderation_queue.WAITING)),
        profile=profile,
        media_type=media_type,
        owner=owner,
        before=before,
        claimed=claimed,
    )
    secret = settings.links.secret
    after = cursors.read(secret, cursor, caller, sort=moderation_queue.SORT) if cursor else None
    async with database.reading_for(caller) as connection:
        page = await moderation_queue.page(
            connection, caller, wanted, limit=limit, after=after, base_url=settings.http.base_url
        )
        counts = await moderation_queue.counts(connection, caller, wanted) if count else None
    following = cursors.write(secret, page.end, caller) if page.end else None
    return Response(Queue(items=page.items, next_cursor=following, counts=counts), headers=OWN_ANSWER)


@post(
    "/moderation/claims",
    status_code=200,
    tags=[TAG],
    summary="Take the next ones to look at",
    response_headers=[VARY],
    responses=problems(401, 403, 413, 422),
)
async def claim(
    data: JSONBody[ClaimRequest],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> Response[Claims]:
    """Fills up what the caller has claimed to `limit` media, for `minutes` from now on: others are not given them, and
    only admins decide on them besides. Asking again gives the same ones, and takes no more than `limit`."""
    moderation.require_moderator(caller)
    no_nul(profile=data.profile, owner=data.owner)
    found = await moderation_queue.claim(database, caller, data, base_url=settings.http.base_url)
    return Response(found, headers=OWN_ANSWER)


@get(
    "/moderation/claims",
    tags=[TAG],
    summary="What the caller has claimed",
    response_headers=[VARY],
    responses=problems(401, 403),
)
async def claims(
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> Response[Claims]:
    """Oldest upload first; `until` is when the first claim ends."""
    moderation.require_moderator(caller)
    async with database.reading_for(caller) as connection:
        found = await moderation_queue.claims(connection, caller, base_url=settings.http.base_url)
    return Response(found, headers=OWN_ANSWER)


@delete(
    "/moderation/claims",
    status_code=200,
    tags=[TAG],
    summary="Let go of all that the caller has claimed",
    responses=problems(401, 403),
)
async def release_all(caller: NamedDependency[Caller], database: NamedDependency[Database]) -> Released:
    """Others may be given it at once."""
    moderation.require_moderator(caller)
    return Released(released=await moderation_queue.release(database, caller))


@delete(
    "/moderation/claims/{ref:str}",
    status_code=200,
    tags=[TAG],
    summary="Let go of one",
    responses=problems(401, 403, 404),
)
async def release_one(
    ref: FromPath[str], caller: NamedDependency[Caller], database: NamedDependency[Database]
) -> Released:
    """None is released where the caller has no claim on it. Admins let go of another's claim, too."""
    moderation.require_moderator(caller)
    return Released(released=await moderation_queue.release(database, caller, media_id_of(ref)))


HANDLERS = (decide, history, queue, claim, claims, release_all, release_one)
