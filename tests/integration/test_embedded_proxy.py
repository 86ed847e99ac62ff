"""The proxying origin between a real client and a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvicorn
from yarl import URL

from deploy.asgi import Answer, App, Receive, Scope, Send, respond
from deploy.origin import Origin
from deploy.ports import free_port
from deploy.proxy import Proxy
from shared.socket_refusals import refusing_with_problems


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    port = free_port(set())
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws_max_size=1 << 20)
    )
    with socket.create_server(("127.0.0.1", port)) as listener:
        # Our own task and socket: `run` would take over the signals of the test runner.
        task = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        await task


@asynccontextmanager
async def behind_a_proxy(app: App) -> AsyncIterator[str]:
    async with serving(app) as url:
        proxy = Proxy("catalog", url)
        async with serving(Origin({"catalog": proxy}, watched={}, contexts=(proxy,))) as origin:
            yield origin


async def test_a_large_body_streams_both_ways_unchanged() -> None:
    held = 0

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal held
        if scope["type"] == "lifespan":
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"x-said", b"twice"), (b"x-said", b"over")],
            }
        )
        while True:
            message = await receive()
            held = max(held, len(message["body"]))
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})
            if not message["more_body"]:
                break
        await send({"type": "http.response.body", "body": b""})

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(256):
            yield bytes([number]) * 65_536

    async with (
        behind_a_proxy(echo) as origin,
        aiohttp.ClientSession() as http,
        http.post(f"{origin}/v1/media?a=%2Fb&a=c", data=pieces()) as answer,
    ):
        body = await answer.read()

    assert body == b"".join([bytes([number]) * 65_536 for number in range(256)])
    assert answer.headers.getall("x-said") == ["twice", "over"]
    assert held < 4 * 1024 * 1024


async def test_path_and_query_arrive_as_they_were_sent() -> None:
    async def tell(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await respond(send, Answer(status=201, body=scope["raw_path"] + b"?" + scope["query_string"]))

    asked = "/v1/raw/a%2Fb%20c.jpg?q=%26&r=%C3%A4"
    async with (
        behind_a_proxy(tell) as origin,
        aiohttp.ClientSession() as http,
        http.put(URL(f"{origin}{asked}", encoded=True)) as answer,
    ):
        assert answer.status == 201
        assert await answer.text() == asked


async def test_refusal_arrives_while_the_body_is_still_being_sent() -> None:
    async def refuse(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await respond(send, Answer(status=503, body=b"later", headers={"Retry-After": "3"}))

    async with behind_a_proxy(refuse) as origin:
        host, port = origin.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/media HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly this")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
        await writer.wait_closed()

    assert head.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 3" in head


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000000\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
async def test_a_client_that_leaves_mid_body_is_seen_as_gone_and_not_as_done(framing: bytes) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                await seen.put("gone")
                return
            if message["body"]:
                await seen.put("piece")
            if not message["more_body"]:
                await seen.put("done")
                await respond(send, Answer(status=200, body=b""))
                return

    async with behind_a_proxy(read) as origin:
        host, port = origin.removeprefix("http://").split(":")
        _reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/media HTTP/1.1\r\nHost: x\r\n" + framing)
        assert await asyncio.wait_for(seen.get(), 5) == "piece"
        writer.close()
        await writer.wait_closed()

        assert await asyncio.wait_for(seen.get(), 5) == "gone"


async def test_a_service_that_is_down_is_503_with_a_text() -> None:
    proxy = Proxy("catalog", f"http://127.0.0.1:{free_port(set())}")
    async with (
        serving(Origin({"catalog": proxy}, watched={}, contexts=(proxy,))) as origin,
        aiohttp.ClientSession() as http,
        http.get(f"{origin}/v1/media") as answer,
    ):
        problem = await answer.json(content_type="application/problem+json")

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert problem["detail"] == "The catalog service does not answer."


async def test_websocket_messages_go_both_ways_and_so_do_code_and_reason_of_the_end() -> None:
    async def shout(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["query_string"].decode()})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"].upper()})
        await send({"type": "websocket.close", "code": 4001, "reason": "that is all"})

    async with (
        behind_a_proxy(shout) as origin,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{origin}/v1/live?since=7") as connection,
    ):
        assert await connection.receive_str(timeout=5) == "since=7"
        await connection.send_str("hello")
        assert await connection.receive_str(timeout=5) == "HELLO"
        last = await connection.receive(timeout=5)

    assert (connection.close_code, last.extra) == (4001, "that is all")


async def test_websocket_that_the_client_leaves_is_left_behind_the_proxy_too() -> None:
    left = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        left.set()

    async with behind_a_proxy(wait) as origin, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{origin}/v1/live"):
            pass
        await asyncio.wait_for(left.wait(), 5)


async def test_websocket_that_the_service_refuses_is_refused() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async with behind_a_proxy(refuse) as origin, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(f"{origin}/v1/live")

    assert refusal.value.status == 403


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere"])
async def test_an_unknown_websocket_is_a_problem_document(path: str) -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        async def unknown(_scope: Scope, _receive: Receive, send: Send) -> None:
            # As the framework says it.
            await send({"type": "websocket.close", "code": 4500, "reason": "Not Found"})

        if scope["type"] != "lifespan":
            await receive()
            await refusing_with_problems(unknown, scope, receive, send)  # type: ignore[arg-type]

    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    async with (
        behind_a_proxy(nothing) as origin,
        aiohttp.ClientSession() as http,
        http.get(origin + path, headers=asked) as answer,
    ):
        told = await answer.json(content_type="application/problem+json")

    assert answer.status == told["status"] == 404
    assert told["detail"] == f"No WebSocket is at {path}."


async def test_a_service_that_hangs_is_given_up() -> None:
    async def hang(scope: Scope, receive: Receive, _send: Send) -> None:
        if scope["type"] != "lifespan":
            while (await receive())["type"] != "http.disconnect":
                pass

    async with serving(hang) as url:
        proxy = Proxy("catalog", url, silence=0.1)
        async with (
            serving(Origin({"catalog": proxy}, watched={}, contexts=(proxy,))) as origin,
            aiohttp.ClientSession() as http,
            http.get(f"{origin}/v1/media") as answer,
        ):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
