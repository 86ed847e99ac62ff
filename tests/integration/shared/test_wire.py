"""What a client may do to a connection, with raw sockets against a real server whose patience is short."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from shared.wire import HEAD_BYTES, HEADERS, LimitedProtocol

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
ASKED = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
SOON = 5.0  # far above every patience below


class Impatient(LimitedProtocol):
    head_seconds = 0.2
    stall_seconds = 0.3


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body; `/early` without reading it, `/slow` a moment after it."""
    size = 0
    while scope["path"] != "/early":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    body = f"{size} {len(scope['headers'])}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(app: Any = echo, *, keep_alive: float = SOON) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        http=Impatient,
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]  # a fraction of a second does too
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        await task


class Client:
    """One connection, and what came over it until its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_without_end(self, data: bytes) -> None:
        """Returns when the other side has cut the connection."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self.send(data)

    async def rest(self) -> bytes:
        async with asyncio.timeout(SOON):
            return await self._reader.read(-1)

    async def answer(self, marker: bytes) -> bytes:
        async with asyncio.timeout(SOON):
            return await self._reader.readuntil(marker)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def said(data: bytes, **serving_as: Any) -> bytes:
    """All that is answered to `data`, up to the end of the connection."""
    async with serving(**serving_as) as port, connected(port) as client:
        await client.send(data)
        return await client.rest()


def problem(answer: bytes, status: int) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith(f"http/1.1 {status} ")
    assert "content-type: application/problem+json" in lines
    assert "connection: close" in lines
    told: dict[str, Any] = json.loads(body)
    assert told["status"] == status
    assert f"x-trace-id: {told['trace_id']}" in lines
    return told


async def test_an_endless_header_is_refused_and_then_cut_off() -> None:
    async with serving() as port, connected(port) as client:
        await client.send(GET + b"X-A: ")
        await asyncio.wait_for(client.send_without_end(b"a" * 1_000_000), SOON)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(GET + b"X-A: " + b"a" * HEAD_BYTES + b"\r\n\r\n", id="one long header"),
        pytest.param(GET + b"X-A: b\r\n" * HEADERS + b"\r\n", id="too many headers"),
        pytest.param(b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\n", id="an endless request line"),
        pytest.param(b"\r\n" * HEAD_BYTES, id="nothing but empty lines"),
    ],
)
async def test_a_head_over_the_limits_is_refused_with_the_limits(head: bytes) -> None:
    assert str(HEAD_BYTES) in problem(await said(head), 431)["detail"]


async def test_an_endless_trailer_is_refused_too() -> None:
    async with serving() as port, connected(port) as client:
        await client.send(ASKED + b"Transfer-Encoding: chunked\r\n\r\n")
        await client.answer(b"100 Continue\r\n\r\n")
        await client.send(b"0\r\nX-A: " + b"a" * 2 * HEAD_BYTES)
        problem(await client.rest(), 431)


async def test_the_largest_head_is_taken_piece_by_piece_too() -> None:
    start = GET + b"Connection: close\r\n" + b"X-A: b\r\n" * (HEADERS - 3) + b"X-B: "
    head = start + b"b" * (HEAD_BYTES - len(start) - 200) + b"\r\n\r\n"
    async with serving() as port, connected(port) as client:
        for at in range(0, len(head), 10_000):
            await client.send(head[at : at + 10_000])
        assert (await client.rest()).endswith(b"\r\n\r\n0 100")


@pytest.mark.parametrize("sent", [b"G", GET, GET + b"X-A: b"])
async def test_an_unfinished_head_is_answered_408(sent: bytes) -> None:
    assert "0.2 seconds" in problem(await said(sent), 408)["detail"]


async def test_a_dripping_head_is_answered_408_all_the_same() -> None:
    async with serving() as port, connected(port) as client:
        await client.send(GET)

        async def drip() -> None:
            while True:
                await client.send(b"X")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        problem(await client.rest(), 408)
        dripping.cancel()


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_a_silent_connection_ends_without_a_word(sent: bytes) -> None:
    assert await said(sent, keep_alive=0.1) == b""


async def test_a_connection_idle_after_an_answer_ends() -> None:
    assert (await said(GET + b"\r\n", keep_alive=0.1)).endswith(b"0 1")


@pytest.mark.parametrize("path", [b"/", b"/early"])
async def test_a_half_sent_body_ends_its_connection(path: bytes) -> None:
    head = b"PATCH " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"
    answer = await said(head + b'{"capt')
    if path == b"/":
        assert "0.3 seconds" in problem(answer, 408)["detail"]
    else:
        assert answer.endswith(b"0 2")


async def test_a_body_that_drips_is_answered_408() -> None:
    async with serving() as port, connected(port) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + bytes(8000))

        async def drip() -> None:
            while True:
                await client.send(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert "256 a second" in problem(await client.rest(), 408)["detail"]
        dripping.cancel()


async def test_a_slow_body_that_is_fast_enough_is_taken() -> None:
    async with serving() as port, connected(port) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000\r\n\r\n")
        for _ in range(30):
            await client.send(bytes(100))
            await asyncio.sleep(0.02)  # twice the patience altogether
        assert (await client.rest()).endswith(b"3000 3")


async def test_time_stands_still_while_the_service_does_not_read() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.8)
        await echo(scope, receive, send)

    body = bytes(200_000)
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n"
    assert (await said(head + body, app=late)).endswith(b"200000 3")


async def test_a_client_that_waits_to_be_asked_for_its_body_may_wait() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)
        await echo(scope, receive, send)

    async with serving(app=late) as port, connected(port) as client:
        await client.send(ASKED + b"Content-Length: 3\r\n\r\n")
        await client.answer(b"100 Continue\r\n\r\n")
        await client.send(b"abc")
        await client.answer(b"3 3")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_malformed_http_is_answered_with_a_problem(sent: bytes) -> None:
    assert problem(await said(sent), 400)["detail"].startswith("This is not HTTP/1.1: ")


async def test_nonsense_behind_a_request_does_not_cost_it_its_answer() -> None:
    answer = await said(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + b"NONSENSE\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n0 1")


async def test_a_request_whose_client_closed_its_side_is_answered() -> None:
    async with serving() as port, connected(port) as client:
        await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        client.writer.write_eof()
        assert (await client.rest()).endswith(b"\r\n\r\n0 1")


async def test_trailers_do_not_become_headers() -> None:
    seen: list[Any] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        seen.extend(scope["headers"])

    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await said(head + b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n", app=late)
    assert answer.endswith(b"1 3")
    assert b"authorization" not in dict(seen)


async def test_a_handler_learns_that_its_slow_client_was_given_up() -> None:
    gone = asyncio.Event()

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
        await send({"type": "http.response.start", "status": 400, "headers": []})

    async with serving(app) as port, connected(port) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        problem(await client.rest(), 408)
        await asyncio.wait_for(gone.wait(), SOON)
