"""A WebSocket that is refused gets a problem document like any other request, not the server's bare 403."""

from http import HTTPStatus
from typing import cast

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send, WebSocketCloseEvent

from shared import problem, trace
from shared.errors import Forbidden, NotFound, TripodError, Unavailable

POLICY = 1008  # RFC 6455, 7.4.1
TRY_LATER = 1013
FRAMEWORK = 4000  # the framework adds an HTTP status to it, but always 500: the reason tells more


async def refusing_with_problems(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the app for a WebSocket; closing it before it was accepted becomes an HTTP answer."""
    accepted = False

    async def translated(message: Message) -> None:
        nonlocal accepted
        accepted = accepted or message["type"] != "websocket.close"
        if accepted or "websocket.http.response" not in (scope.get("extensions") or {}):
            await send(message)
        else:
            told = cast("WebSocketCloseEvent", message)
            await refuse(send, refusal(scope["path"], told["code"], told.get("reason") or ""))

    await app(scope, receive, translated)


def refusal(path: str, code: int, reason: str) -> TripodError:
    """The error that a closing code and reason before the handshake stand for."""
    if reason == HTTPStatus.NOT_FOUND.phrase or code == FRAMEWORK + HTTPStatus.NOT_FOUND:
        return NotFound(f"No WebSocket is at {path}.")
    if code == POLICY:
        return Forbidden(reason or f"The WebSocket at {path} was refused.")
    if code == TRY_LATER:
        return Unavailable(reason or f"The WebSocket at {path} cannot be served now.")
    return TripodError("Something broke on our side; the trace id names it in the logs.")


async def refuse(send: Send, error: TripodError) -> None:
    """Send the problem document of an error in place of a handshake."""
    current = trace.current()
    headers = {"Content-Type": problem.MEDIA_TYPE, **problem.headers(error)}
    if current is not None:
        headers["X-Trace-Id"] = current.trace_id
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": raw})
    await send(
        {
            "type": "websocket.http.response.body",
            "body": msgspec.json.encode(problem.document(error)),
            "more_body": False,
        }
    )
