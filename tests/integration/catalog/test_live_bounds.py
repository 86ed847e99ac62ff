"""What a live connection may cost: how many there are, who never answers, what is sent to us; and who has no token."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.catalog.app import create_app
from services.catalog.listeners import LiveSettings
from services.catalog.routes import live as live_route
from services.catalog.routes.live import _leaving_who_stalls
from shared.http import HttpSettings
from shared.runtime import WS_MESSAGE_BYTES, server_config
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, running, serving


@asynccontextmanager
async def listening(url: str, token: str | None = None, **query: Any) -> AsyncIterator[ClientConnection]:
    asked = query | ({"token": token} if token else {})
    async with connect(str(httpx.URL(url.replace("http", "ws", 1) + "/v1/live", params=asked))) as found:
        yield found


async def how_many(url: str) -> int:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    line = next(line for line in text.splitlines() if line.startswith("tripod_live_listeners "))
    return int(float(line.split()[1]))


async def until(url: str, count: int) -> None:
    async def look() -> bool:
        return await how_many(url) == count

    await eventually_async(look, f"{count} listeners")


async def refused(url: str, token: str) -> tuple[int, str]:
    async with listening(url, token) as found:
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(found.recv(), 10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_replica_and_each_caller_have_a_bounded_number_of_connections(catalog: Service) -> None:
    bounds = LiveSettings(connections=3, per_caller=2)
    ann, bob = catalog.token("ann"), catalog.token("bob")
    async with serving(msgspec.structs.replace(catalog.settings, live=bounds)) as url:
        async with AsyncExitStack() as open_ones, httpx.AsyncClient(base_url=url) as client:
            for count in (1, 2):
                await open_ones.enter_async_context(listening(url, ann))
                await until(url, count)
            assert await refused(url, ann) == (1013, "You have 2 live connections here, which is the most.")
            answer = await client.get("/v1/live", params={"token": ann})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
            await open_ones.enter_async_context(listening(url, bob))
            await until(url, 3)
            # Also for those who have no limit of their own.
            service = catalog.token("svc", "service")
            assert await refused(url, service) == (1013, "This replica has 3 live connections already.")
            answer = await client.get("/v1/live", params={"token": service})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        await until(url, 0)
        async with listening(url, ann):
            await until(url, 1)


async def test_who_answers_no_ping_is_let_go_and_who_sends_too_much_is_told_so(catalog: Service) -> None:
    options = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1, "ws_max_size": WS_MESSAGE_BYTES}
    async with running(create_app(catalog.settings), **options) as url:
        async with listening(url, catalog.token("ann")) as talker:
            await until(url, 1)
            await talker.send("x" * (WS_MESSAGE_BYTES + 1))
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(talker.recv(), 10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await until(url, 0)
        async with listening(url, catalog.token("ann")) as talker:
            await until(url, 1)
            with suppress(ConnectionClosed):
                for _ in range(10 * live_route.MOST_SAID):
                    await talker.send("hello?")
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(talker.recv(), 10)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, "listened" in closed.value.rcvd.reason) == (1008, True)
        await until(url, 0)
        async with listening(url, catalog.token("ann")) as patient:
            with sockets.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as dead:
                dead.sendall(
                    f"GET /v1/live?token={catalog.token('bob')} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
                )
                await until(url, 2)
                await until(url, 1)  # it has answered no ping
            assert patient.close_code is None


def test_sockets_are_served_with_pings_short_messages_and_without_compression() -> None:
    config = server_config(None, HttpSettings(port=1))
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (20, 20)
    assert config.ws_max_size == 4096
    assert config.ws_per_message_deflate is False


async def test_without_a_token_public_media_of_profiles_that_say_so_are_told_of(catalog: Service) -> None:
    profiles = {
        name: msgspec.structs.replace(profile, live="anyone" if name == "content" else "signed_in")
        for name, profile in catalog.settings.profiles.items()
    }
    async with serving(msgspec.structs.replace(catalog.settings, profiles=profiles)) as url:
        told = [
            stories.uploaded("bob", is_public=True, profile="content"),
            stories.uploaded("bob", is_public=True),
            stories.uploaded("bob", profile="content"),
            stories.uploaded("bob", is_public=True, profile="content"),
        ]
        async with listening(url) as anybody:
            await until(url, 1)
            await catalog.have(*told)
            heard = [json.loads(await asyncio.wait_for(anybody.recv(), 10)) for _ in range(2)]
        assert [m["id"] for m in heard] == [str(told[0].id), str(told[3].id)]
        assert {m["type"] for m in heard} == {"media.created"}
        async with listening(url, since=0) as later:
            again = [json.loads(await asyncio.wait_for(later.recv(), 10)) for _ in range(2)]
        assert [m["id"] for m in again] == [m["id"] for m in heard]
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/v1/live", params={"token": "nonsense"})).status_code == 401


async def test_a_stream_of_events_ends_with_its_token(catalog: Service) -> None:
    token = catalog.token("ann", lives=timedelta(seconds=1))
    async with catalog.nobody.stream("GET", "/v1/live", params={"token": token}) as answer:
        assert answer.status_code == 200
        lines = [line async for line in answer.aiter_lines()]
    assert not [line for line in lines if line.startswith("data")]


async def test_a_reader_that_takes_nothing_more_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_route, "STALL_SECONDS", 0.02)

    async def events() -> AsyncIterator[int]:
        for number in range(3):
            with _leaving_who_stalls():
                yield number

    async def read() -> None:
        async for number in events():
            if number == 1:
                await asyncio.Event().wait()

    task = asyncio.create_task(read())
    done, _ = await asyncio.wait([task], timeout=10)
    assert done
    assert task.cancelled()
