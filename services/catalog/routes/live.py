"""/v1/live: what happens to the media that the caller may see, by WebSocket or as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, WebSocket, get, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from services.catalog.database import Database
from services.catalog.listeners import LiveMessage
from services.catalog.live import Feed
from services.catalog.measures import CatalogMetrics
from services.catalog.missed import from_there_on
from services.catalog.routes.common import TAG_MEDIA, problems
from services.catalog.settings import CatalogSettings
from shared.auth import Authenticator, Caller
from shared.errors import Invalid, TooMany, TripodError, Unauthenticated, Unavailable
from shared.events.bus import Bus

POLICY = 1008  # RFC 6455, 7.4.1
AWAY = 1001
TRY_LATER = 1013
MAX_SECONDS = 24 * 3600.0  # then also a token that never ends is checked again
PING_SECONDS = (
    15.0  # proxies close what says nothing for longer; of WebSockets the server sees to it (shared/runtime)
)
STALL_SECONDS = 60.0
MOST_SAID = 60  # messages of a client, and one more for each second
MOST_PLACE = 2**63 - 1
_DIGITS = len(str(MOST_PLACE))  # Python refuses to read some thousand
_SINCE = "The `sequence` of the last message that was heard: what came behind it is told first."


@websocket("/live")
async def live(
    socket: WebSocket[Any, Any, Any],
    feed: NamedDependency[Feed],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
) -> None:
    """JSON messages of type media.created, media.updated, media.hidden, media.deleted, progress and resync.

    The connection ends with the token, after a day at the latest. The token comes as `?token=` or in the Authorization
    header; a browser's Origin must be an allowed one. `?since=` tells first what came behind that `sequence`. Without a
    token public media are told of, where a profile allows it.
    """
    await socket.accept()
    try:
        caller = await _caller(socket, settings, feed, socket.query_params.get("token"))
        since = _place(socket.query_params.get("since"))
    except TripodError as error:
        await refuse(socket, error)
        return
    bus: Bus = socket.app.state.bus
    with feed.listeners.listening(caller) as listener, metrics.listeners.track_inprogress():
        messages = from_there_on(database, bus, listener, since)
        await converse(socket, caller, (message.text async for message in messages))


async def refuse(socket: WebSocket[Any, Any, Any], error: TripodError) -> None:
    """Close one that is accepted, which tells a browser why; it is not shown a refused handshake."""
    later = isinstance(error, TooMany | Unavailable)
    await socket.close(code=TRY_LATER if later else POLICY, reason=error.detail[:120])


@get(
    "/live",
    tags=[TAG_MEDIA],
    summary="What happens, as it happens",
    responses={
        200: ResponseSpec(
            str,
            generate_examples=False,
            media_type="text/event-stream",
            description="Events; each `data` is a message as the WebSocket at this address has it",
        ),
        **problems(401, 422, 429),
    },
)
async def events(
    request: Request[Any, Any, Any],
    feed: NamedDependency[Feed],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
    *,
    token: Annotated[
        str | None, QueryParameter(description="For browsers, which send no headers here")
    ] = None,
    since: Annotated[int | None, QueryParameter(ge=0, le=MOST_PLACE, description=_SINCE)] = None,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> ServerSentEvent:
    """Of type media.created, media.updated, media.hidden, media.deleted, progress and resync; the `id` of an event
    is its place in the stream, so that a browser that reconnects misses nothing. Ends with the token, after a day at
    the latest."""
    caller = await _caller(request, settings, feed, token)
    place = _place(last_event_id) if last_event_id else since
    bus: Bus = request.app.state.bus

    async def tell() -> AsyncIterator[ServerSentEventMessage]:
        try:
            feed.listeners.require_room(caller)
        except (TooMany, Unavailable):  # others were quicker; the next attempt is told so
            return
        with feed.listeners.listening(caller) as listener, metrics.listeners.track_inprogress():
            async with aclosing(from_there_on(database, bus, listener, place)) as messages:
                async for message in _until_the_end(messages, _seconds_left(caller)):
                    with _leaving_who_stalls():
                        yield _event(message)

    return ServerSentEvent(tell())


def _event(message: LiveMessage | None) -> ServerSentEventMessage:
    """None is a sign of life."""
    if message is None:
        return ServerSentEventMessage(data=None, comment="ping")
    return ServerSentEventMessage(data=message.text, event=message.type, id=message.sequence)


@contextmanager
def _leaving_who_stalls() -> Iterator[None]:
    """Cancel this task when what was said is not taken: a client that reads no more would keep its place for ever."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    timer = asyncio.get_running_loop().call_later(STALL_SECONDS, task.cancel)
    try:
        yield
    finally:
        timer.cancel()


async def _until_the_end(
    messages: AsyncIterator[LiveMessage], seconds: float
) -> AsyncIterator[LiveMessage | None]:
    """The messages, and None where none came for some time, until the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    coming = asyncio.ensure_future(anext(messages, None))
    try:
        while (left := deadline - loop.time()) > 0:
            done, _ = await asyncio.wait([coming], timeout=min(left, PING_SECONDS))
            if not done:
                yield None
                continue
            message = coming.result()
            if message is None:
                return
            coming = asyncio.ensure_future(anext(messages, None))
            yield message
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _place(said: str | None) -> int | None:
    """Raises Invalid."""
    if said is None:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) <= _DIGITS and int(said) <= MOST_PLACE):
        raise Invalid(f"since is {said[:80]!r}; it must be the sequence of a message.", field="since")
    return int(said)


async def _caller(
    connection: WebSocket[Any, Any, Any] | Request[Any, Any, Any],
    settings: CatalogSettings,
    feed: Feed,
    token: str | None,
) -> Caller:
    """Who listens. Raises Unauthenticated, TooMany and Unavailable."""
    caller = await connected(connection, settings, token)
    if caller.sub is None and not feed.listeners.open_profiles:
        raise Unauthenticated("This needs a token: ?token= or an Authorization header.")
    feed.listeners.require_room(caller)
    return caller


async def connected(
    connection: WebSocket[Any, Any, Any] | Request[Any, Any, Any],
    settings: CatalogSettings,
    token: str | None,
) -> Caller:
    """Who is there, from a page that may be; nobody in particular without a token. Raises Unauthenticated and
    Unavailable."""
    origin, allowed = connection.headers.get("origin"), settings.http.cors_origins
    if origin is not None and "*" not in allowed and origin.rstrip("/") not in allowed:
        raise Unauthenticated(f"The origin {origin[:80]!r} is not allowed here.")
    authenticator: Authenticator = connection.app.state.authenticator
    if token:
        return await authenticator.verify(token)
    return await authenticator.caller(connection.headers.get("authorization"))


def _seconds_left(caller: Caller) -> float:
    left = (caller.expires_at - datetime.now(UTC)).total_seconds() if caller.expires_at else MAX_SECONDS
    return min(left, MAX_SECONDS)


async def converse(
    socket: WebSocket[Any, Any, Any],
    caller: Caller,
    texts: AsyncIterator[str],
    *,
    answer: Callable[[str], str | None] = lambda _said: None,
) -> None:
    """Tell these until they end or raise Unavailable, the client leaves or says too much, or the token expires; then
    say why. `answer`: to what the client says, None for nothing."""
    tasks = [asyncio.create_task(_tell(socket, texts)), asyncio.create_task(_until_too_much(socket, answer))]
    left = _seconds_left(caller)
    try:
        done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            reason = "The token has expired." if left < MAX_SECONDS else "It was long enough; connect again."
            await socket.close(code=POLICY, reason=reason)
        elif tasks[1] in done and tasks[1].exception() is None:
            await socket.close(code=POLICY, reason="Nothing that is said here is listened to.")
        elif tasks[1] not in done:
            await _say_why(socket, tasks[0].exception())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say_why(socket: WebSocket[Any, Any, Any], error: BaseException | None) -> None:
    """Nothing more comes, although the client is there."""
    if error is None:
        await socket.close(code=AWAY, reason="This replica leaves; connect again.")
    elif isinstance(error, Unavailable):
        await socket.close(code=TRY_LATER, reason="What was missed cannot be told now; connect again.")
    elif not isinstance(error, WebSocketDisconnect):
        raise error


async def _tell(socket: WebSocket[Any, Any, Any], texts: AsyncIterator[str]) -> None:
    async for text in texts:
        await socket.send_data(text, mode="text")


async def _until_too_much(socket: WebSocket[Any, Any, Any], answer: Callable[[str], str | None]) -> None:
    """What the client says is answered at most; only that it leaves counts, which raises WebSocketDisconnect, or that
    it says more than a sign of life now and then."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    said = 0
    while said < MOST_SAID + loop.time() - began:
        answered = answer(await socket.receive_data(mode="text") or "")
        if answered is not None:
            await socket.send_data(answered, mode="text")
        said += 1


HANDLERS = (live, events)
