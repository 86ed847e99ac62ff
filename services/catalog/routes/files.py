"""Bytes: originals, variants, and the links that show them without a token."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Request, Response, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ASGIApp
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import delivery, linked_playlists, openapi, queries
from services.catalog.conditions import Conditions
from services.catalog.database import Database
from services.catalog.delivery import Asked, Delivery, File
from services.catalog.live import Feed
from services.catalog.queries import Deliverable
from services.catalog.routes.common import NOT_MODIFIED, TAG_FILES, media_id_of, problems
from services.catalog.schemas import Disposition, Link, LinkRequest
from services.catalog.settings import CatalogSettings
from shared import links, presets
from shared.auth import Caller
from shared.errors import Forbidden, Invalid, NotFound
from shared.ids import public_id
from shared.openapi import PUBLIC

_LOOK_SECONDS = 1.0  # between looks at the row, should the news of it not reach us
_REFUSALS = {**NOT_MODIFIED, **problems(401, 403, 404, 412, 416, 422)}
_METHODS = [HttpMethod.GET, HttpMethod.HEAD]

Version = Annotated[str | None, QueryParameter(description="The version that a URL of ours names")]
Expires = Annotated[str | None, QueryParameter(description="Of a signed link: its end in Unix seconds")]
Signature = Annotated[str | None, QueryParameter(description="Of a signed link; it replaces the token")]


@route(
    "/media/{ref:str}/download",
    http_method=_METHODS,
    tags=[TAG_FILES],
    summary="The original",
    operation_class=openapi.FileOperation,
    security=PUBLIC,
    responses={**openapi.file("*/*"), **_REFUSALS},
)
async def download(
    ref: FromPath[str],
    *,
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    settings: NamedDependency[CatalogSettings],
    v: Version = None,
    disposition: FromQuery[Disposition | None] = None,
    expires: Expires = None,
    signature: Signature = None,
) -> ASGIApp:
    """Exactly the bytes that were uploaded, with Range, If-Range and the conditional headers. An attachment unless
    `disposition=inline` and the type is harmless."""
    media_id = media_id_of(ref)
    until = check_link(settings, original_path(media_id), expires, disposition, signature)
    caller = None if until else optional_caller
    return await deliver(request, caller, media_id, disposition=disposition, version=v, until=until)


@route(
    "/media/{ref:str}/variants/{name:str}",
    http_method=_METHODS,
    tags=[TAG_FILES],
    summary="A variant",
    operation_class=openapi.FileOperation,
    security=PUBLIC,
    responses={**openapi.file("image/*"), **_REFUSALS},
)
async def variant(
    ref: FromPath[str],
    name: FromPath[str],
    *,
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    settings: NamedDependency[CatalogSettings],
    v: Version = None,
    disposition: FromQuery[Disposition | None] = None,
    expires: Expires = None,
    signature: Signature = None,
) -> ASGIApp:
    """As the media object names it. While it is being made the answer waits for some seconds, then it is 404 with
    Retry-After. With the `v` of our own URLs it may be cached for ever. `.mp4` and `.m3u8` may stand behind the name,
    as in playlists: some players open nothing else."""
    media_id = media_id_of(ref)
    name = linked_playlists.bare(name)
    until = check_link(settings, variant_path(media_id, name), expires, disposition, signature)
    caller = None if until else optional_caller
    return await deliver(
        request, caller, media_id, variant=name, disposition=disposition, version=v, until=until
    )


async def deliver(
    request: Request[Any, Any, Any],
    caller: Caller | None,
    media_id: uuid.UUID,
    *,
    variant: str | None = None,
    or_original: bool = False,
    filename: str | None = None,
    disposition: Disposition | None = None,
    version: str | None = None,
    until: int | None = None,
) -> ASGIApp:
    """The answer of a GET or HEAD handler with the original, or with a variant.

    `caller` is None where a signed link, which ends at `until`, has given the right. A variant that is being made is
    waited for, unless the original will do meanwhile (`or_original`). `filename` instead of its own. Raises NotFound.
    """
    parts = request.app.state
    if variant is None or or_original:
        async with parts["database"].reading_for(caller, linked=media_id) as connection:
            found = await queries.deliverable(connection, caller, media_id)
        made = delivery.variant(found, variant) if variant is not None else None
        file = made or delivery.original(found)
    else:
        wait = parts["settings"].variant_wait
        file = await find_variant(parts["database"], parts["feed"], caller, media_id, variant, wait=wait)
    if filename is not None:
        file = msgspec.structs.replace(file, filename=filename)
    parts["metrics"].bytes_asked.labels("original" if variant is None else "variant").inc()
    asked = Asked(
        conditions=conditions_of(request),
        disposition=disposition,
        version=version,
        until=until,
        told=parts["settings"].purge is not None,
    )
    if variant is not None and until is not None and linked_playlists.is_one(file):
        sign, head = partial(_query_of, parts["settings"], media_id, until), request.method == HttpMethod.HEAD
        return await linked_playlists.answer(parts["blobs"], file, asked, sign, head=head)
    counted = variant is None or or_original  # what stands for the original counts as the original
    note = partial(parts["downloads"].note, media_id) if counted else None
    redirects = parts.get("redirects")
    return Delivery(parts["blobs"], file, asked, redirects=redirects, on_sending=note)


@post(
    "/media/{ref:str}/links",
    tags=[TAG_FILES],
    summary="A link that works without a token",
    responses=problems(401, 403, 404, 413, 422),
)
async def make_link(
    ref: FromPath[str],
    data: JSONBody[LinkRequest],
    caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> Response[Link]:
    """For `<img>` and `<video>`: the right to this one address, for an hour unless asked otherwise. The end is rounded
    up, so that one file has one URL for a while and caches work. With `render`: to a picture on request, of sides and
    format that who may change the media chooses, or by a preset."""
    media_id = media_id_of(ref)
    async with database.reading_for(caller) as connection:
        found = await queries.deliverable(connection, caller, media_id)
        if data.render is not None:
            await check_render(connection, caller, found, data, settings)
    path = f"/v1/media/{media_id}/render" if data.render is not None else original_path(media_id)
    if data.variant is not None:
        path = variant_path(media_id, data.variant)
        if delivery.variant(found, data.variant) is None and found.status != "processing":
            raise no_variant(found, data.variant)
    signed, until = links.sign(
        settings.links,
        path,
        seconds=data.seconds,
        disposition=data.disposition or "",
        parameters=data.render.query if data.render is not None else None,
    )
    url = f"{settings.http.base_url}{signed}"
    return Response(Link(url=url, expires_at=datetime.fromtimestamp(until, UTC)), headers={"Location": url})


async def check_render(
    connection: AsyncConnection,
    caller: Caller,
    found: Deliverable,
    data: LinkRequest,
    settings: CatalogSettings,
) -> None:
    """Raises Invalid, and Forbidden for free sizes of a media that the caller may not change: each is kept."""
    asked = data.render
    if asked is None:
        return
    if data.variant is not None:
        raise Invalid("variant and render are both given; a link leads to one of them.", field="render")
    asked.check()
    if asked.preset is not None:
        presets.find(settings.presets, asked.preset)
    elif not (await queries.readable_row(connection, caller, found.id))["may_change"]:
        raise Forbidden(
            f"Only who may change {public_id(found.id)} may ask for sides, fit, format and q of their own; "
            f"a preset is allowed: {', '.join(sorted(settings.presets))}."
        )


def original_path(media_id: uuid.UUID) -> str:
    """What a link to an original signs, however the media is referred to."""
    return f"/v1/media/{media_id}/download"


def variant_path(media_id: uuid.UUID, name: str) -> str:
    """What a link to a variant signs."""
    return f"/v1/media/{media_id}/variants/{name}"


def _query_of(settings: CatalogSettings, media_id: uuid.UUID, until: int, name: str) -> str:
    return links.query_until(settings.links, variant_path(media_id, name), until)


def check_link(
    settings: CatalogSettings,
    path: str,
    expires: str | None,
    disposition: str | None,
    signature: str | None,
    *,
    parameters: Mapping[str, str] | None = None,
) -> int | None:
    """The end of a link that holds, None where there is no link. Raises Forbidden for one that does not hold."""
    if signature is None:
        return None
    links.check(
        settings.links,
        path,
        expires=expires or "",
        disposition=disposition or "",
        signature=signature,
        parameters=parameters,
    )
    return int(expires or 0)


def conditions_of(request: Request[Any, Any, Any]) -> Conditions:
    field = request.headers.get
    return Conditions(
        if_match=field("if-match"),
        if_unmodified_since=field("if-unmodified-since"),
        if_none_match=field("if-none-match"),
        if_modified_since=field("if-modified-since"),
        if_range=field("if-range"),
        range=field("range"),
    )


async def find_variant(
    database: Database, feed: Feed, caller: Caller | None, media_id: uuid.UUID, name: str, *, wait: float
) -> File:
    """Waits up to `wait` seconds for one that is being made. Raises NotFound, then with Retry-After."""
    deadline = time.monotonic() + wait
    with feed.watching(media_id) as news:
        while True:
            news.clear()
            async with database.reading_for(caller, linked=media_id) as connection:
                found = await queries.deliverable(connection, caller, media_id)
            file = delivery.variant(found, name)
            if file is not None:
                return file
            left = deadline - time.monotonic()
            if found.status != "processing" or left <= 0:
                raise no_variant(found, name)
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(left, _LOOK_SECONDS))


def no_variant(found: Deliverable, name: str) -> NotFound:
    names = ", ".join(ref.name for ref in found.variants) or "none"
    if found.status == "processing":
        return NotFound(f"The variant {name[:64]!r} of {public_id(found.id)} is not made yet.", retry_after=2)
    return NotFound(f"{public_id(found.id)} has no variant {name[:64]!r}; there are: {names}.")


HANDLERS = (download, variant, make_link)
