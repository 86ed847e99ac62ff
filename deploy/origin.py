"""The one origin that clients see: dispatches by the route table, and answers health, OpenAPI and pages itself."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import msgspec
import structlog

from deploy import openapi, pages
from deploy.asgi import Answer, App, Receive, Scope, Send, fetch_all, refusal, respond
from deploy.routes import Table
from shared import trace
from shared.errors import NotFound, Unavailable
from shared.socket_refusals import refuse

log = structlog.get_logger()
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
FRESH = {"Cache-Control": "no-store", **ANY_ORIGIN}


class Origin:
    """An ASGI app over the services' apps, whether they live in this process or behind a proxy.

    `services` are asked for requests, OpenAPI and health; `watched` for health only. `contexts` are entered
    at startup and left at shutdown, in order.
    """

    def __init__(
        self,
        services: Mapping[str, App],
        *,
        watched: Mapping[str, App],
        contexts: Sequence[AbstractAsyncContextManager[Any]],
        table: Table | None = None,
    ) -> None:
        self._services = services
        self._watched = {**services, **watched}
        self._contexts = contexts
        self._table = table or Table()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        owner = self._table.owner(asked_method(scope), scope["path"])
        if owner is not None:
            await self._services[owner](scope, receive, send)
            return
        with trace.use(header(scope, b"traceparent")) as current:
            if scope["type"] == "websocket":
                await receive()
                await refuse(send, NotFound(f"No WebSocket is at {scope['path']}."))  # type: ignore[arg-type]
            else:
                answer = await self._own_answer(scope)
                headers = {**answer.headers, "X-Trace-Id": current.trace_id}
                await respond(send, msgspec.structs.replace(answer, headers=headers))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                for context in self._contexts:
                    await stack.enter_async_context(context)
            except Exception as error:
                log.exception("origin.start_failed")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _own_answer(self, scope: Scope) -> Answer:
        path = scope["path"].rstrip("/") or "/"
        if scope["method"] not in ("GET", "HEAD"):
            return refusal(NotFound(f"Nothing is at {scope['method']} {scope['path']}."))
        if path == "/health/live":
            return Answer(status=200, body=b'{"status":"alive"}', headers=FRESH)
        if path == "/health/ready":
            return await self._ready()
        if path == "/openapi.json":
            return await self._document()
        if path == "/docs/openapi-3.0.json":
            return await self._document(old=True)
        page = await asyncio.to_thread(pages.page, path)
        return page or refusal(NotFound(f"Nothing is at {scope['path']}."))

    async def _ready(self) -> Answer:
        answers = await fetch_all(self._watched, "/health/ready")
        well = all(isinstance(answer, Answer) and answer.status == 200 for answer in answers.values())
        body = {
            "status": "ready" if well else "not ready",
            "services": {name: told(answer) for name, answer in answers.items()},
        }
        return Answer(status=200 if well else 503, body=msgspec.json.encode(body), headers=FRESH)

    async def _document(self, *, old: bool = False) -> Answer:
        answers = await fetch_all(self._services, "/openapi.json")
        documents = {name: told(answer) for name, answer in answers.items()}
        silent = [name for name, document in documents.items() if "paths" not in document]
        if silent:
            return refusal(Unavailable(f"No API description from {' and '.join(silent)} now.", retry_after=2))
        merged = openapi.merge(documents, self._table)
        body = msgspec.json.encode(openapi.as_3_0(merged) if old else merged)
        return Answer(status=200, body=body, headers=ANY_ORIGIN)


def asked_method(scope: Scope) -> str:
    """The method that decides the owner; a browser's preflight counts as the method it asks for."""
    if scope["type"] == "websocket":
        return "GET"
    if scope["method"] == "OPTIONS":
        asked = header(scope, b"access-control-request-method")
        if asked is not None:
            return asked.upper()
    return str(scope["method"])


def header(scope: Scope, name: bytes) -> str | None:
    return next((str(value.decode("latin-1")) for key, value in scope["headers"] if key == name), None)


def told(answer: Answer | Exception) -> dict[str, Any]:
    """What a service said, as JSON; what went wrong otherwise."""
    if isinstance(answer, Exception):
        return {"status": "not ready", "error": f"{type(answer).__name__}: {answer}"}
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {"status": "not ready", "error": f"answers {answer.status} without JSON"}
    return said
