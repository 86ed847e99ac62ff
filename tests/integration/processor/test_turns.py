"""One owner's fresh pictures and another's, with the real consumers; what a child does is left to the test."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from services.processor import worker
from services.processor.failures import corrupt
from services.processor.frames import Job
from services.processor.places import Places
from services.processor.sandbox import Outcome
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import MediaUploaded, encode
from shared.runtime import Background
from shared.storage.memory import MemoryBlobs
from tests.fixtures.waiting import eventually_async
from tests.integration.processor.test_handlers import TRACEPARENT, Parts, uploaded

JOBS = 2


class Endless:
    """A sandbox whose children end when they are told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended = asyncio.Event()

    async def run(self, job: Job, *_: Any, **__: Any) -> Outcome:
        self.begun.append(job.media_id)
        await self.ended.wait()
        return Outcome(verdict=corrupt("image/jpeg").failure)


async def publish(bus: MemoryBus, event: MediaUploaded) -> None:
    message_id = uuid.uuid4().hex
    data = encode(
        event,
        source="test",
        event_id=message_id,
        subject="test",
        time=datetime.now(UTC),
        traceparent=TRACEPARENT,
    )
    await bus.publish(topology.uploaded("image", "fresh"), data, message_id=message_id)


async def test_a_file_behind_sixty_fresh_ones_of_another_owner_has_its_turn_at_once() -> None:
    bus, blobs, sandbox, background = MemoryBus(), MemoryBlobs(), Endless(), Background()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    parts = Parts(bus, blobs, sandbox)
    worker.start(
        background,
        msgspec.structs.replace(parts.deps, places=Places(JOBS, spare=1)),
        CollectorRegistry(),
        topology=topology.TOPOLOGY,
        jobs=JOBS,
        films=1,
        sounds=1,
        grace=1,
    )
    key = await parts.store(b"x")
    for _ in range(60):
        await publish(bus, uploaded(key, owner="crowd"))

    async def has_begun() -> bool:
        return len(sandbox.begun) == JOBS

    await eventually_async(has_begun, "the crowd's first files")
    mine = uploaded(key, owner="ann")
    await publish(bus, mine)

    async def is_my_turn() -> bool:
        return str(mine.id) in sandbox.begun

    await eventually_async(is_my_turn, "a place for another's file")
    assert len(sandbox.begun) == JOBS + 1
    sandbox.ended.set()
    await background.close()
