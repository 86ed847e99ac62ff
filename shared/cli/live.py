"""What happens to the media that one may see, as it happens, over connections that come and go."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
import msgspec
from aiohttp import ClientWSTimeout, WSCloseCode, WSMsgType

from shared.cli.client import Client
from shared.cli.failures import HOW_TO_SIGN_IN, Refused, Unreachable
from shared.cli.retries import Patience, retrying
from shared.errors import Unauthenticated

Event: TypeAlias = dict[str, Any]
CONNECT_SECONDS = 10.0
PING_SECONDS = 20.0
MOST_BYTES = 1024 * 1024
_OVERLAP = timedelta(seconds=5)
"""What is asked for again after a loss: the clocks of two machines differ, and a row is listed a moment after it was
made."""
_PATIENCE = Patience(attempts=1_000_000, longest=30)


async def events(
    client: Client, since: datetime | None, noting: Callable[[BaseException, float], None]
) -> AsyncIterator[Event]:
    """Events without an end, as the server tells them, each media's creation once. `since`: first what was made after
    that moment. After a lost connection a `resync` comes first, then what was made meanwhile.

    Raises Unreachable where the first connection fails, Unauthenticated for a token that does not hold (any more).
    """
    told: dict[str, None] = {}
    socket = await _connect(client)
    while True:
        try:
            if since is not None:
                async for event in _made(client, since):
                    if _is_new(told, event):
                        yield event
            async for event in _heard(client, socket):
                if _is_new(told, event):
                    yield event
                since = datetime.now(UTC) - _OVERLAP
        except (Unreachable, Refused) as error:
            if isinstance(error, Refused) and error.answered < 500:
                raise
            noting(error, 0)
        finally:
            await socket.close()
        since = since or datetime.now(UTC) - _OVERLAP
        socket = await retrying(_PATIENCE, noting)(_connect, client)
        yield {"type": "resync"}


def _is_new(told: dict[str, None], event: Event) -> bool:
    """Whether it is no creation that was told; as many are remembered as can come twice."""
    if event["type"] != "media.created":
        return True
    if event["id"] in told:
        return False
    told[event["id"]] = None
    if len(told) > 10_000:
        told.pop(next(iter(told)))
    return True


async def _made(client: Client, since: datetime) -> AsyncIterator[Event]:
    """What was made since then and is still there, the oldest first, as events."""
    found = []
    async for media in client.pages([("sort", "-created_at")], None):
        if datetime.fromisoformat(media["created_at"]) < since:
            break
        found.append(media)
    for media in reversed(found):
        yield {"type": "media.created", "id": media["id"], "media": media}


async def _connect(client: Client) -> aiohttp.ClientWebSocketResponse:
    """Raises Unreachable, Refused."""
    try:
        return await client.session.ws_connect(
            client.address("/v1/live"),
            heartbeat=PING_SECONDS,
            max_msg_size=MOST_BYTES,
            timeout=ClientWSTimeout(ws_close=CONNECT_SECONDS),
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status >= 500:
            raise client.unreachable(error) from error
        raise Refused(
            error.status, {"detail": f"The server answers {error.status}: {error.message}"}
        ) from error
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise client.unreachable(error) from error


async def _heard(client: Client, socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Event]:
    """Until the connection ends, which raises Unreachable, or Unauthenticated where the token is why."""
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.TEXT:
            yield msgspec.json.decode(message.data, type=dict[str, Any])
        elif message.type is WSMsgType.CLOSE and message.data == WSCloseCode.POLICY_VIOLATION:
            if str(message.extra).startswith("It was long enough"):
                raise Unreachable("The server ends connections after a day.")
            raise Unauthenticated(f"{message.extra or 'The server ended the connection.'} ({HOW_TO_SIGN_IN})")
        else:
            raise Unreachable(f"{client.server.url} ended the connection.")
