"""How much of a file has come, told while it comes: to its owner's live connections, and to every replica's answers."""

import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from services.ingest.context import Ingest
from services.ingest.hearing import RECEIVING
from services.ingest.intents import Intent
from services.ingest.transfer import Transfer
from shared import trace
from shared.errors import Unavailable
from shared.events import topology
from shared.events.messages import Progress, encode

EVERY_SECONDS = 0.5


async def told(
    ingest: Ingest,
    intent: Intent,
    transfer: Transfer,
    pieces: AsyncIterator[bytes],
    *,
    expected: int | None,
    last_word: bool,
) -> AsyncIterator[bytes]:
    """The same pieces. A file that comes within EVERY_SECONDS is no news, unless it has to wait for others and so
    gets a `last_word`. `expected`: bytes that it will have, at the most; None where nothing says so."""
    said = time.monotonic()
    news = last_word
    async for piece in pieces:
        yield piece
        now = time.monotonic()
        if now - said >= EVERY_SECONDS:
            said, news = now, True
            await _tell(ingest, intent, transfer.received, _percent(transfer.received, expected))
    if news:
        await _tell(ingest, intent, transfer.received, 100)


def _percent(received: int, expected: int | None) -> int:
    """100 is only for a file that is there; 0 also where nobody knows."""
    return min(99, received * 100 // expected) if expected else 0


async def _tell(ingest: Ingest, intent: Intent, received: int, percent: int) -> None:
    """Nobody has to listen, and a broker that is away is no reason to stop receiving."""
    now = datetime.now(UTC)
    event = Progress(
        id=intent.id,
        owner=intent.owner,
        stage=RECEIVING,
        percent=percent,
        at=now,
        filename=intent.filename,
        received=received,
        size=received if percent == 100 else intent.size,
    )
    data = encode(
        event,
        source="ingest",
        event_id=f"progress-{intent.id}-{RECEIVING}-{received}",
        subject=str(intent.id),
        time=now,
        traceparent=trace.traceparent(),
    )
    with contextlib.suppress(Unavailable):
        await ingest.bus.broadcast(topology.progress(str(intent.id)), data)
