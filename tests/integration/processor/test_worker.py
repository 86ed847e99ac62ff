"""The processor as its own process between a real broker and a real object store."""

import asyncio
import io
import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from PIL import Image

from deploy.ports import free_port
from shared.events import jetstream, topology
from shared.events.jetstream import BusSettings, JetStreamBus
from shared.events.messages import (
    Event,
    MediaDeleted,
    MediaFailed,
    MediaProcessed,
    MediaUploaded,
    ReprocessRequested,
    decode,
    encode,
)
from shared.ids import new_id
from shared.storage import keys
from shared.storage.s3 import S3Blobs, S3Settings
from tests.fixtures.pictures import encoded, photo
from tests.fixtures.servers import Broker, ObjectStore
from tests.fixtures.videos import standing_still
from tests.fixtures.waiting import eventually

T = TypeVar("T")
CLEAN = {0}
# An operator's recipe, and what it may be after one variant has been changed.
RECIPES = """
[cards]
variants = [
    { name = "large", width = 500, height = 500, format = "webp", moving = true },
    { name = "card", width = 200, height = 100, fit = "cover" },
    { name = "small", width = 100, height = 100 },
]
[films]
variants = [{ name = "card", width = 200, height = 100 }]
[films.films]
mp4 = [{ name = "small", width = 64, height = 64 }, { name = "mp4" }]
[changed]
variants = [
    { name = "large", width = 500, height = 500, format = "webp", moving = true },
    { name = "card", width = 200, height = 120, fit = "cover" },
    { name = "small", width = 100, height = 100 },
]
"""


class Processor:
    """`python -m services.processor`, started and stopped by a test."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.port = free_port(set())
        self._environ = environ | {"TRIPOD_HTTP_PORT": str(self.port)}
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.processor"], env=self._environ, stdout=out, stderr=out
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def end(self) -> None:
        """Leave nothing, whatever went wrong."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    async def ready(self) -> None:
        await until(lambda: asyncio.to_thread(self._is_ready), "the processor to be ready", tell=self.said)

    def _is_ready(self) -> bool:
        return self.get("/health/ready")[0] == 200

    def said(self) -> str:
        return self.log.read_text()

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = [msgspec.json.decode(line) for line in self.said().splitlines() if line.startswith("{")]
        return [line for line in found if line.get("event") == event]


async def until(
    look: Callable[[], Awaitable[T]], what: str, seconds: float = 30, tell: Callable[[], str] = str
) -> T:
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{tell()}"
        await asyncio.sleep(0.05)
    return found


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[JetStreamBus]:
    bus = await jetstream.connect(BusSettings(url=nats_url, reconnect_wait=0.1), wait=10)
    await bus.ensure(topology.TOPOLOGY)
    yield bus
    await bus.close()


@pytest.fixture
async def blobs(object_store: ObjectStore) -> AsyncIterator[S3Blobs]:
    blobs = S3Blobs(
        S3Settings(
            endpoint=object_store.endpoint,
            region=object_store.region,
            bucket=object_store.bucket,
            access_key=object_store.access_key,
            secret_key=object_store.secret_key,
        )
    )
    yield blobs
    await blobs.close()


@pytest.fixture
async def processor(nats_url: str, object_store: ObjectStore, tmp_path: Path) -> AsyncIterator[Processor]:
    environ = {
        "PATH": os.environ["PATH"],
        "TRIPOD_NATS_URL": nats_url,
        "TRIPOD_NATS_RECONNECT_WAIT": "0.1",
        "TRIPOD_NATS_ACK_WAIT": "3",  # what a dead worker had in hand is handed out again after that
        "TRIPOD_S3_ENDPOINT": object_store.endpoint,
        "TRIPOD_S3_REGION": object_store.region,
        "TRIPOD_S3_BUCKET": object_store.bucket,
        "TRIPOD_S3_ACCESS_KEY": object_store.access_key,
        "TRIPOD_S3_SECRET_KEY": object_store.secret_key,
        "TRIPOD_PROCESSOR_JOBS": "2",
        "TRIPOD_RECIPES": str(tmp_path / "recipes.toml"),
    }
    (tmp_path / "recipes.toml").write_text(RECIPES)
    running = Processor(environ, tmp_path / "processor.log")
    running.start()
    try:
        await running.ready()
        yield running
        assert running.process is not None
        if running.process.poll() is None:
            assert running.stop() in CLEAN, running.said()
    finally:
        running.end()


async def upload(
    bus: JetStreamBus,
    blobs: S3Blobs,
    data: bytes,
    *,
    lane: str = "fresh",
    trace_id: str = "a" * 32,
    **changes: Any,
) -> MediaUploaded:
    media_id = new_id()
    key = f"originals/{media_id}.jpg"
    await blobs.put_bytes(key, data, content_type="image/jpeg")
    event = MediaUploaded(
        id=media_id,
        number=1,
        owner="ann",
        profile="default",
        recipe="standard",
        key=key,
        filename="photo.jpg",
        mime_type="image/jpeg",
        media_type="image",
        size=len(data),
        sha256="0" * 64,
        is_public=False,
        created_at=datetime.now(UTC),
    )
    event = msgspec.structs.replace(event, **changes)
    await publish(bus, topology.uploaded(event.media_type, lane), event, trace_id)
    return event


async def publish(bus: JetStreamBus, subject: str, event: Event, trace_id: str = "a" * 32) -> None:
    message_id = uuid.uuid4().hex
    data = encode(
        event,
        source="test",
        event_id=message_id,
        subject="test",
        time=datetime.now(UTC),
        traceparent=f"00-{trace_id}-{'b' * 16}-01",
    )
    await bus.publish(subject, data, message_id=message_id)


async def endings(bus: JetStreamBus) -> dict[uuid.UUID, MediaProcessed | MediaFailed]:
    last = await bus.last_sequence(topology.MEDIA)
    found = [await bus.read(topology.MEDIA, sequence) for sequence in range(1, last + 1)]
    events = [decode(message.data)[1] for message in found if message is not None]
    return {event.id: event for event in events if isinstance(event, MediaProcessed | MediaFailed)}


async def ended(
    bus: JetStreamBus, processor: Processor, *events: MediaUploaded
) -> list[MediaProcessed | MediaFailed]:
    async def look() -> list[MediaProcessed | MediaFailed]:
        found = await endings(bus)
        return [found[event.id] for event in events] if all(event.id in found for event in events) else []

    return await until(look, "every media to end", tell=processor.said)


async def test_a_photo_is_processed_between_real_servers(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    event = await upload(bus, blobs, photo(1200, 900), trace_id="c" * 32)
    (done,) = await ended(bus, processor, event)
    assert isinstance(done, MediaProcessed)
    stored = {info.key: info.size async for info in blobs.list(keys.variants(event.id))}
    assert stored == {variant.key: variant.size for variant in done.variants}
    for variant in done.variants:
        async with blobs.get(variant.key) as chunks:
            body = b"".join([chunk async for chunk in chunks])
        assert Image.open(io.BytesIO(body)).size == (variant.width, variant.height)
    (line,) = processor.lines("media.processed")
    assert (line["media_id"], line["trace_id"]) == (str(event.id), "c" * 32)
    status, metrics = processor.get("/metrics")
    assert status == 200
    assert 'tripod_jobs_total{code="ready",media_type="image"} 1.0' in metrics
    assert "tripod_child_cpu_seconds_count 1.0" in metrics


async def test_an_animation_processed_again_by_a_recipe_with_one_change_is_written_one_variant(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    frames = [Image.effect_noise((400, 300), 20 + 30 * number).convert("P") for number in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=90)
    event = await upload(bus, blobs, data, mime_type="image/gif", recipe="cards")
    (first,) = await ended(bus, processor, event)
    assert isinstance(first, MediaProcessed)
    assert [(v.name, v.width, v.height) for v in first.variants] == [
        ("large", 400, 300),
        ("card", 200, 100),
        ("small", 100, 75),
    ]
    async with blobs.get(first.variants[0].key) as chunks:
        body = b"".join([chunk async for chunk in chunks])
    with Image.open(io.BytesIO(body)) as moving:
        assert getattr(moving, "n_frames", 1) == 3
    before = {info.key: info.modified async for info in blobs.list(keys.variants(event.id))}

    again = ReprocessRequested(
        id=event.id,
        generation=2,
        owner=event.owner,
        key=event.key,
        size=event.size,
        mime_type=event.mime_type,
        media_type="image",
        recipe="changed",
        variants=first.variants,
        requested_at=datetime.now(UTC),
    )
    await publish(bus, topology.media_subject("reprocess_requested", "image"), again)

    async def processed_again() -> MediaProcessed | None:
        found = (await endings(bus))[event.id]
        return found if isinstance(found, MediaProcessed) and found.generation == 2 else None

    second = await until(processed_again, "the second generation", tell=processor.said)
    assert second is not None
    after = {info.key: info.modified async for info in blobs.list(keys.variants(event.id))}
    assert before.items() <= after.items()  # nothing has been written once more
    card = second.variants[1]
    assert after.keys() - before.keys() == {card.key}
    assert (card.width, card.height) == (200, 120)
    assert (second.variants[0], second.variants[2]) == (first.variants[0], first.variants[2])


async def test_every_lane_is_worked_on(bus: JetStreamBus, blobs: S3Blobs, processor: Processor) -> None:
    events = [
        await upload(bus, blobs, photo(300, 200), lane=lane, media_type=media_type)
        for media_type, lane in [
            ("image", topology.SLOW),
            *itertools.product(topology.MEDIA_TYPES, topology.LANES),
        ]
    ]
    found = await ended(bus, processor, *events)
    # A photo is no video and no sound, and whoever works on those says so.
    of_films = [MediaFailed] * 4
    assert [type(done) for done in found] == [MediaProcessed] * 3 + of_films + [MediaProcessed] * 4
    assert [len(done.variants) for done in found if isinstance(done, MediaProcessed)] == [6] * 3 + [0] * 4


async def test_a_bad_file_fails_and_the_next_one_does_not(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    bad = await upload(bus, blobs, photo(600, 400)[:9000])
    good = await upload(bus, blobs, photo(600, 400))
    failed, processed = await ended(bus, processor, bad, good)
    assert isinstance(failed, MediaFailed)
    assert failed.code == "truncated"
    assert isinstance(processed, MediaProcessed)


async def test_a_deletion_erases_the_variants(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    event = await upload(bus, blobs, photo(300, 200))
    await ended(bus, processor, event)
    deleted = MediaDeleted(
        id=event.id,
        number=1,
        owner="ann",
        media_type="image",
        key=event.key,
        variants=keys.variants(event.id),
        deleted_at=datetime.now(UTC),
    )
    await publish(bus, topology.media_subject("deleted", "image"), deleted)

    async def gone() -> bool:
        return [info async for info in blobs.list(keys.variants(event.id))] == []

    await until(gone, "the variants to be gone", tell=processor.said)
    assert await blobs.head(event.key) is not None


async def test_a_killed_worker_loses_no_job_and_leaves_no_process(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    data = photo(2400, 1800)
    for _ in range(30):
        await upload(bus, blobs, data)

    async def started() -> bool:
        return bool(processor.lines("job.done"))

    await until(started, "the first job to be done", tell=processor.said)
    (ready,) = processor.lines("sandbox.ready")
    assert processor.stop(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not Path(f"/proc/{ready['pid']}").exists(), "the fork server to be gone")
    processor.start()
    await processor.ready()

    async def done() -> bool:
        return len(await endings(bus)) == 30

    await until(done, "all 30 media to end", seconds=110, tell=processor.said)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_worker_killed_in_the_second_film_of_a_video_goes_on_with_that(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    made = standing_still(300)
    event = await upload(bus, blobs, made.data, media_type="video", mime_type=made.mime_type, recipe="films")

    async def films() -> dict[str, datetime]:
        found = blobs.list(keys.variants(event.id))
        return {info.key: info.modified async for info in found if info.key.endswith(".mp4")}

    first = await until(films, "the first film to be stored", 120, tell=processor.said)
    assert len(first) == 1
    assert processor.stop(signal.SIGKILL) == -signal.SIGKILL
    assert not await endings(bus)
    processor.start()
    await processor.ready()

    async def done() -> bool:
        return bool(await endings(bus))

    await until(done, "the video to end", seconds=200, tell=processor.said)
    (ending,) = await ended(bus, processor, event)
    assert isinstance(ending, MediaProcessed)
    assert [ref.name for ref in ending.variants if ref.mime_type == "video/mp4"] == ["small", "mp4"]
    after = await films()
    assert len(after) == 2
    assert first.items() <= after.items()


async def test_a_broker_that_comes_back_is_worked_for_again(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor, broker: Broker
) -> None:
    broker.stop()

    async def red() -> bool:
        status, body = await asyncio.to_thread(processor.get, "/health/ready")
        return status == 503 and "broker is not connected" in body

    await until(red, "health to be red", tell=processor.said)
    assert processor.get("/health/live")[0] == 200
    broker.start()
    await processor.ready()
    assert await bus.wait_connected(20)
    event = await upload(bus, blobs, photo(300, 200))
    (done,) = await ended(bus, processor, event)
    assert isinstance(done, MediaProcessed)


async def test_a_signal_ends_the_worker_cleanly_and_soon(
    bus: JetStreamBus, blobs: S3Blobs, processor: Processor
) -> None:
    for seed in range(6):
        await upload(bus, blobs, photo(2400, 1800, seed))
    (ready,) = processor.lines("sandbox.ready")
    began = time.monotonic()
    assert await asyncio.to_thread(processor.stop) in CLEAN
    assert time.monotonic() - began < 10
    eventually(lambda: not Path(f"/proc/{ready['pid']}").exists(), "the fork server to be gone")
    assert processor.lines("task.died") == processor.lines("task.cancelled") == []


async def test_missing_settings_are_named_in_one_line() -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.processor"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "TRIPOD_S3_ACCESS_KEY" in done.stderr
    assert "Traceback" not in done.stderr
