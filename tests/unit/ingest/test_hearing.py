"""What ingest hears by itself: heartbeat and progress."""

import asyncio
import time
import uuid
from datetime import UTC, datetime

import pytest

from services.ingest.hearing import PROGRESS_SUBJECT, Heartbeat, ProgressBoard, hear
from shared.events.bus import Message
from shared.events.memory import MemoryBus
from shared.events.messages import Progress, encode
from shared.events.topology import progress
from shared.ids import new_id

BEAT = Message(subject="heartbeat.v1.catalog", data=b"", headers={})


def told(media_id: uuid.UUID, percent: int) -> bytes:
    now = datetime.now(UTC)
    event = Progress(id=media_id, owner="ann", stage="variants", percent=percent, at=now)
    return encode(event, source="processor", event_id="1", subject=str(media_id), time=now, traceparent=None)


async def test_the_newest_progress_of_the_last_media_is_kept(bus: MemoryBus) -> None:
    board, stop = ProgressBoard(most=2), asyncio.Event()
    ids = [new_id() for _ in range(3)]
    task = asyncio.create_task(hear(bus, PROGRESS_SUBJECT, board.note, stop))
    async with asyncio.timeout(5):
        while board.of(ids[2]) is None:
            await bus.broadcast(progress(str(ids[0])), told(ids[0], 10))
            await bus.broadcast(progress(str(ids[1])), told(ids[1], 20))
            await bus.broadcast(progress(str(ids[1])), told(ids[1], 30))
            await bus.broadcast(progress(str(ids[2])), b"not an event")
            await bus.broadcast(progress(str(ids[2])), told(ids[2], 40))
            await asyncio.sleep(0)
    assert board.of(ids[0]) is None
    found = [board.of(media_id) for media_id in ids[1:]]
    assert [f.percent if f else None for f in found] == [30, 40]
    stop.set()
    await task


def test_a_heart_that_is_silent_too_long_counts_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    heart = Heartbeat(3)
    found = [heart.alive]
    heart.beat(BEAT)
    now += 3
    found.append(heart.alive)
    now += 0.1
    found.append(heart.alive)
    assert found == [False, True, False]
