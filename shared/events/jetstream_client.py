"""What nats-py's client does not do right by itself (2.16)."""

import asyncio
import contextlib

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

ROUND_TRIP_SECONDS = 5.0
CLOSE_SECONDS = 2.0


async def round_trip(client: Client) -> None:
    """Return when the server has processed all that was sent before.

    Not by `client.flush()`: its PING overtakes what is still in the buffer, and when it is cancelled the late
    answer ends the client's reader.
    """
    with contextlib.suppress(nats.errors.NoRespondersError):
        await client.request(client.new_inbox(), b"", timeout=ROUND_TRIP_SECONDS)


async def leave(client: Client, subscription: Subscription) -> None:
    """Return when the server sends nothing more on it; what it has sent by then was taken.

    Not by `subscription.drain()`, which flushes and so may stop listening too soon.
    """
    await client._send_unsubscribe(subscription._id)  # noqa: SLF001 - the public way stops listening at once
    await round_trip(client)


def is_deaf(client: Client) -> bool:
    """Whether the client's reader has ended on an error of its own, which leaves the client connected."""
    reader = client._reading_task  # noqa: SLF001
    return reader is None or reader.done()


async def discard(client: Client) -> None:
    """Close for good. nats-py leaves its tasks running when the last write on a lost connection fails."""
    if client.is_closed:
        client._status = Client.DISCONNECTED  # noqa: SLF001 - else close() would do nothing
    # In a task of its own: closing may wait for what another task of the client has cancelled, and that
    # CancelledError would end ours. Not for ever: a frozen server takes nothing of what is still pending.
    closing = asyncio.gather(client.close(), return_exceptions=True)
    await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    closing.cancel()
