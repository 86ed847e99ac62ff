"""A request's body as it comes off the wire, and an answer that goes out before all of it came."""

import asyncio
from collections.abc import Awaitable, Callable

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from services.ingest.limits import ClientGone
from shared.errors import TripodError

Read = Callable[[], Awaitable[bytes]]
"""The next piece of a body; empty at its end."""

LINGER_SECONDS = 3.0
LINGER_BYTES = 64 * 1024 * 1024
UNASKED_SECONDS = 0.3
"""How long a body may take to begin that was announced by `Expect: 100-continue` and not asked for."""


def reader(receive: Receive, *, most: int, too_much: Callable[[], TripodError]) -> Read:
    """Reads the body piece by piece, at most `most` bytes of it (then raises what `too_much` makes).

    Raises ClientGone when the connection ends early; the server ends one that brings next to nothing.
    """
    done = False
    total = 0

    async def read() -> bytes:
        nonlocal done, total
        while not done:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone(f"The connection ended after {total} bytes of the body.")
            done = not message.get("more_body", False)
            piece = message.get("body", b"")
            total += len(piece)
            if total > most:
                raise too_much()
            if piece:
                return piece
        return b""

    return read


def answer_early(app: ASGIApp) -> ASGIApp:
    """Middleware for routes that may answer before the body was read to its end.

    Such an answer says `Connection: close`. Closing at once would reset the connection under a client that
    still sends, and the answer would be lost with it; so the answer goes out whole, and what the client goes
    on sending is dropped for a moment before the end.
    """

    async def lingering(scope: Scope, receive: Receive, send: Send) -> None:
        body_done = False
        started = False
        waits = any(name == b"expect" for name, _ in scope.get("headers", []))

        async def noted() -> object:
            nonlocal body_done, started
            message = await receive()
            started = True
            body_done = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            if body_done or not _has_body(scope):
                await send(message)
            elif message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
                await send(message)
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                # From the answer on, reading asks for nothing any more.
                await _drain(receive, UNASKED_SECONDS if waits and not started else LINGER_SECONDS)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await send(message)

        await app(scope, noted, answer)  # type: ignore[arg-type]

    return lingering


def _has_body(scope: Scope) -> bool:
    for name, value in scope.get("headers", []):
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            return True
    return False


async def _drain(receive: Receive, first_seconds: float) -> None:
    """Drop what still comes, until the client has sent all, or left, or the limits of patience are reached."""
    dropped = 0
    try:
        async with asyncio.timeout(first_seconds) as limit:
            while dropped < LINGER_BYTES:
                message = await receive()
                if dropped == 0:
                    limit.reschedule(asyncio.get_running_loop().time() + LINGER_SECONDS)
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                dropped += len(message.get("body", b""))
    except TimeoutError:
        return
