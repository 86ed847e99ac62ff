"""A server that is told to stop ends the answers that would never end by themselves."""

import asyncio
import socket
from typing import Any

import httpx
import uvicorn

from shared.draining import DrainingServer


async def test_an_endless_answer_ends_when_the_server_leaves() -> None:
    leaving = asyncio.Event()

    async def endless(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"more", "more_body": True})
        await leaving.wait()
        await send({"type": "http.response.body", "body": b"end"})

    # Without a limit on its patience: it would wait for ever.
    config = uvicorn.Config(endless, log_config=None, lifespan="off", timeout_graceful_shutdown=None)
    server = DrainingServer(config, leaving.set)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        running = asyncio.create_task(server._serve([door]))
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        transport = httpx.AsyncHTTPTransport(retries=20)
        async with httpx.AsyncClient(transport=transport) as client, client.stream("GET", url) as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"more"
            server.should_exit = True
            assert [piece async for piece in pieces] == [b"end"]
        await asyncio.wait_for(running, 10)
