"""WS /v1/live: what happens to the media that the caller may see."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect

from services.catalog.live import Feed, Listener
from services.catalog.measures import CatalogMetrics
from services.catalog.settings import CatalogSettings
from shared.auth import Authenticator, Caller
from shared.errors import TripodError, Unauthenticated

POLICY = 1008  # RFC 6455, 7.4.1
TRY_LATER = 1013
MAX_SECONDS = 24 * 3600.0  # then also a token that never ends is checked again
_encoder = msgspec.json.Encoder()


@websocket("/live")
async def live(
    socket: WebSocket[Any, Any, Any],
    feed: NamedDependency[Feed],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
) -> None:
    """JSON messages of type media.created, media.updated, media.deleted, progress and resync.

    The connection ends with the token, after a day at the latest. The token comes as `?token=` or in the Authorization
    header; a browser's Origin must be an allowed one.
    """
    await socket.accept()
    try:
        caller = await _caller(socket, settings)
    except TripodError as error:
        await socket.close(code=POLICY if error.status < 500 else TRY_LATER, reason=error.detail[:120])
        return
    with feed.listening(caller) as listener, metrics.listeners.track_inprogress():
        await _converse(socket, caller, listener)


async def _caller(socket: WebSocket[Any, Any, Any], settings: CatalogSettings) -> Caller:
    origin, allowed = socket.headers.get("origin"), settings.http.cors_origins
    if origin is not None and "*" not in allowed and origin.rstrip("/") not in allowed:
        raise Unauthenticated(f"The origin {origin[:80]!r} is not allowed here.")
    token = socket.query_params.get("token")
    authenticator: Authenticator = socket.app.state.authenticator
    caller = await (
        authenticator.verify(token) if token else authenticator.caller(socket.headers.get("authorization"))
    )
    if caller.sub is None:
        raise Unauthenticated("This needs a token: ?token= or an Authorization header.")
    return caller


async def _converse(socket: WebSocket[Any, Any, Any], caller: Caller, listener: Listener) -> None:
    tasks = [asyncio.create_task(_tell(socket, listener)), asyncio.create_task(_until_left(socket))]
    left = (caller.expires_at - datetime.now(UTC)).total_seconds() if caller.expires_at else MAX_SECONDS
    try:
        done, _ = await asyncio.wait(
            tasks, timeout=min(left, MAX_SECONDS), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            reason = "The token has expired." if left < MAX_SECONDS else "It was long enough; connect again."
            await socket.close(code=POLICY, reason=reason)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(socket: WebSocket[Any, Any, Any], listener: Listener) -> None:
    while True:
        await socket.send_data(_encoder.encode(await listener.next()).decode(), mode="text")


async def _until_left(socket: WebSocket[Any, Any, Any]) -> None:
    """What the client says is not listened to; only that it leaves."""
    try:
        while True:
            await socket.receive_data(mode="text")
    except WebSocketDisconnect:
        return


HANDLERS = (live,)
