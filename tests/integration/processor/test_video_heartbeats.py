"""A video that takes an hour stays with the worker that makes it."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from shared.events import jetstream, topology
from shared.events.bus import Message
from shared.events.jetstream import BusSettings, JetStreamBus
from shared.events.messages import MediaProcessed, decode
from shared.storage.s3 import S3Blobs, S3Settings
from tests.fixtures.servers import ObjectStore
from tests.fixtures.videos import standing_still
from tests.integration.processor.test_worker import Processor, endings, until, upload

LANE = "processor-video-fresh"
ACK_WAIT = 1.0
HELD = 61.0
"""The job takes as many ack waits as one of an hour does of the shipped minute."""


def environment(nats_url: str, store: ObjectStore, ack_wait: float) -> dict[str, str]:
    """Of a worker."""
    return {
        "PATH": os.environ["PATH"],
        "TRIPOD_NATS_URL": nats_url,
        "TRIPOD_NATS_ACK_WAIT": f"{ack_wait:g}",
        "TRIPOD_S3_ENDPOINT": store.endpoint,
        "TRIPOD_S3_REGION": store.region,
        "TRIPOD_S3_BUCKET": store.bucket,
        "TRIPOD_S3_ACCESS_KEY": store.access_key,
        "TRIPOD_S3_SECRET_KEY": store.secret_key,
    }


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[JetStreamBus]:
    bus = await jetstream.connect(BusSettings(url=nats_url, reconnect_wait=0.1), wait=10)
    await bus.ensure(topology.TOPOLOGY)
    yield bus
    await bus.close()


@pytest.fixture
async def blobs(object_store: ObjectStore) -> AsyncIterator[S3Blobs]:
    store = object_store
    settings = S3Settings(
        endpoint=store.endpoint,
        region=store.region,
        bucket=store.bucket,
        access_key=store.access_key,
        secret_key=store.secret_key,
    )
    blobs = S3Blobs(settings)
    yield blobs
    await blobs.close()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_video_of_sixty_ack_waits_is_handed_out_once_with_another_worker_waiting(
    bus: JetStreamBus, blobs: S3Blobs, nats_url: str, object_store: ObjectStore, tmp_path: Path
) -> None:
    environ = environment(nats_url, object_store, ACK_WAIT)
    workers = [Processor(environ, tmp_path / f"processor-{number}.log") for number in (1, 2)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            await worker.ready()
        await held_once(bus, blobs, nats_url, workers, HELD)
    finally:
        for worker in workers:
            worker.end()


async def held_once(
    bus: JetStreamBus, blobs: S3Blobs, nats_url: str, workers: list[Processor], seconds: float
) -> None:
    """Freeze the child that makes a video for so long, then let it finish: nobody else was given the event, progress
    was told all the time, and it ends as ready, once."""
    made = standing_still(25)
    told: list[float] = []
    async with bus.listen(topology.progress("*")) as heard:
        listening = asyncio.create_task(_note(heard, told))
        event = await upload(bus, blobs, made.data, media_type="video", mime_type=made.mime_type)
        child = await until(lambda: asyncio.to_thread(_child, workers), "a child at work")
        os.kill(child, signal.SIGSTOP)
        try:
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                assert await handed_out(nats_url) == 1
                assert not await endings(bus)
                await asyncio.sleep(1)
        finally:
            os.kill(child, signal.SIGCONT)
        listening.cancel()
    assert max(after - before for before, after in itertools.pairwise(told)) < 2
    assert told[-1] - told[0] > seconds - 2

    async def ended() -> bool:
        return bool(await endings(bus))

    await until(ended, "the video to end", 60, tell=lambda: "".join(each.said() for each in workers))
    ending = (await endings(bus))[event.id]
    assert isinstance(ending, MediaProcessed)
    assert "mp4" in {ref.name for ref in ending.variants}
    assert await handed_out(nats_url) == 1
    assert await _results(bus) == 1


def _child(workers: list[Processor]) -> int:
    """The process that works on a file now: a child of a fork server; 0 where there is none."""
    for worker in workers:
        (server,) = [line["pid"] for line in worker.lines("sandbox.ready")]
        found = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        if found:
            return int(found[0])
    return 0


async def handed_out(nats_url: str) -> int:
    """How often the lane's events were handed to a worker, as the broker counts."""
    client = await nats.connect(nats_url)
    try:
        info = await client.jetstream().consumer_info(topology.MEDIA, LANE)
    finally:
        await client.close()
    assert info.delivered is not None
    return int(info.delivered.consumer_seq)


async def _note(heard: AsyncIterator[Message], told: list[float]) -> None:
    async for _ in heard:
        told += [time.monotonic()]


async def _results(bus: JetStreamBus) -> int:
    last = await bus.last_sequence(topology.MEDIA)
    found = [await bus.read(topology.MEDIA, sequence) for sequence in range(1, last + 1)]
    return sum(isinstance(decode(message.data)[1], MediaProcessed) for message in found if message)
