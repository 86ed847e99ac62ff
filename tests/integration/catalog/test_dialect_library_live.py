"""WS /ws/media: who hears of the library's files, what the messages are, and when a connection ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.catalog.app import create_app
from services.catalog.listeners import QUEUE, LiveMessage, LiveSettings
from services.catalog.settings import CatalogSettings
from shared.dialects.settings import DialectSettings
from shared.media import from_upload
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, running, serving
from tests.integration.catalog.test_live_bounds import how_many

SECONDS = 20


@asynccontextmanager
async def listening(url: str, token: str | None = None, **headers: str) -> AsyncIterator[ClientConnection]:
    """A connection that the feed knows of."""
    before = await how_many(url)
    address = httpx.URL(url.replace("http", "ws", 1) + "/ws/media", params={"token": token} if token else {})
    async with connect(str(address), additional_headers=headers) as socket:

        async def known() -> bool:
            return await how_many(url) > before

        await eventually_async(known, "the connection to be known")
        yield socket


async def hear(socket: ClientConnection, count: int) -> list[tuple[str, Any]]:
    """Types and data."""
    async with asyncio.timeout(SECONDS):
        messages = [json.loads(await socket.recv()) for _ in range(count)]
    assert {frozenset(message) for message in messages} <= {frozenset({"type", "data"})}
    return [(message["type"], message["data"]) for message in messages]


async def refusal(url: str, query: str = "", **headers: str) -> tuple[int, str]:
    async with connect(
        url.replace("http", "ws", 1) + f"/ws/media{query}", additional_headers=headers
    ) as socket:
        return await end(socket)


async def end(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason, whatever was told before."""
    with pytest.raises(ConnectionClosed) as closed:
        await _drain(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def _drain(socket: ClientConnection) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            await socket.recv()


def speaking(catalog: Service, **changes: Any) -> CatalogSettings:
    return msgspec.structs.replace(catalog.settings, dialects=DialectSettings(**changes))


async def test_an_owner_hears_of_all_and_everybody_else_of_what_is_public(catalog: Service) -> None:
    private = stories.uploaded("bob", profile="library", owner_uid=7)
    public = stories.uploaded("bob", profile="library", owner_uid=7, is_public=True)
    foreign = stories.uploaded("bob", is_public=True)
    async with AsyncExitStack() as opened, catalog.caller("bob") as client:
        sockets = [
            await opened.enter_async_context(listening(catalog.url, catalog.token(*who) if who else None))
            for who in (("bob",), ("ann",), (), ("staff", "moderator"))
        ]
        bob, ann, nobody, staff = sockets
        for upload in (foreign, private, public):
            await catalog.have(upload)
            await catalog.told()  # what is told together comes in any order
        record = (await client.get(f"/media/{public.number}")).json()
        assert record["user_id"] == 7
        await client.patch(f"/media/{private.number}", json={"alt_text": "mine"})
        await client.patch(f"/media/{public.number}", json={"alt_text": "ours"})
        await catalog.told()
        for number in (foreign.number, private.number):
            await client.delete(f"/media/{number}")
        await client.delete(f"/v1/media/{foreign.id}")
        await client.delete(f"/media/{public.number}")
        told = await hear(bob, 6)
        assert [(type_, data["id"]) for type_, data in told] == [
            ("created", private.number), ("created", public.number),
            ("updated", private.number), ("updated", public.number),
            ("deleted", private.number), ("deleted", public.number),
        ]  # fmt: skip
        assert told[1] == ("created", record)
        assert told[3][1] | {"alt_text": None, "updated_at": record["updated_at"]} == record
        assert told[5] == ("deleted", {"id": public.number})
        assert await hear(staff, 6) == told
        for stranger in (ann, nobody):
            assert await hear(stranger, 3) == [told[1], told[3], told[5]]


async def test_what_is_public_no_more_is_gone_for_others(catalog: Service) -> None:
    public = stories.uploaded("bob", profile="library", is_public=True)
    await catalog.have(public)
    await catalog.told()
    async with listening(catalog.url) as nobody, catalog.caller("bob") as bob:
        await bob.patch(f"/media/{public.number}", json={"is_public": False})
        await catalog.told()
        await bob.delete(f"/media/{public.number}")
        await catalog.have(stories.uploaded("bob", profile="library", is_public=True))
        heard = await hear(nobody, 2)
    assert heard[0] == ("deleted", {"id": public.number})
    assert heard[1][0] == "created"


async def test_where_the_library_is_open_everybody_hears_all_of_it_and_nothing_else(catalog: Service) -> None:
    async with serving(speaking(catalog, anonymous="full")) as url, listening(url) as nobody:
        private = stories.uploaded("anonymous", profile="library")
        await catalog.have(stories.uploaded("bob", is_public=True), private)
        assert [(type_, data["id"]) for type_, data in await hear(nobody, 1)] == [("created", private.number)]
        async with httpx.AsyncClient(base_url=url) as client:
            await catalog.told()
            assert (await client.delete(f"/media/{private.number}")).is_success
        assert await hear(nobody, 1) == [("deleted", {"id": private.number})]


async def test_who_may_not_listen_is_told_why(catalog: Service) -> None:
    expired = catalog.token("ann", lives=timedelta(seconds=-60))
    unsigned = jwt.encode({"sub": "ann"}, "another secret that is long enough!", algorithm="HS256")
    for query in ("?token=nonsense", f"?token={expired}", f"?token={unsigned}"):
        assert (await refusal(catalog.url, query))[0] == 1008
    assert (await refusal(catalog.url, Authorization="Bearer nonsense"))[0] == 1008
    http = msgspec.structs.replace(catalog.settings.http, cors_origins=("https://app.test",))
    bounds = LiveSettings(connections=4, per_caller=1)
    closed = msgspec.structs.replace(speaking(catalog, anonymous="none"), http=http, live=bounds)
    async with serving(closed) as url:
        assert await refusal(url) == (1008, "Not authenticated")
        assert "evil.test" in (await refusal(url, Origin="https://evil.test"))[1]
        token = catalog.token("ann")
        async with listening(url, Authorization=f"Bearer {token}", Origin="https://app.test"):
            assert (await refusal(url, f"?token={token}"))[0] == 1013
    full = msgspec.structs.replace(speaking(catalog, anonymous="full"), live=bounds)
    async with serving(full) as url, listening(url), listening(url):
        code, reason = await refusal(url)
        assert (code, "without a token have 2" in reason) == (1013, True)
    async with serving(speaking(catalog, enabled=frozenset({"personas"}))) as url:
        with pytest.raises(Exception, match="HTTP 404"):
            await refusal(url)


async def test_a_ping_of_a_page_is_answered_and_nothing_else_that_is_said(catalog: Service) -> None:
    async with listening(catalog.url) as nobody:
        for said in ("hello", "{", "[]", '{"type":"get_stats"}', "[" * 4000, '{"type":"ping"}'):
            await nobody.send(said)
        async with asyncio.timeout(SECONDS):
            assert json.loads(await nobody.recv()) == {"type": "pong", "message": "pong"}
            for _ in range(60):
                await nobody.send('{"type":"ping"}')
        assert (await end(nobody))[0] == 1008


async def test_a_connection_ends_with_its_token_and_where_messages_were_lost(catalog: Service) -> None:
    soon = catalog.token("ann", lives=timedelta(seconds=1))
    async with listening(catalog.url, soon) as brief:
        assert await end(brief) == (1008, "The token has expired.")
    app = create_app(catalog.settings)
    async with running(app) as url, listening(url, catalog.token("ann")) as slow:
        (listener,) = app.state.feed.listeners
        public = stories.uploaded("bob", profile="library", is_public=True)
        shown = from_upload(public, "http://origin.test")
        for _ in range(QUEUE + 1):  # more than wait for somebody who does not listen
            listener.put(
                LiveMessage(type="media.created", media=msgspec.to_builtins(shown), profile="library")
            )
        code, reason = await end(slow)
    assert (code, "connect again" in reason) == (1013, True)
