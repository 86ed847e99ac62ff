"""The handlers with a real sandbox; broker and store are the twins in memory, so that both can go down."""

import asyncio
import hashlib
import io
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from PIL import Image
from prometheus_client import CollectorRegistry

from services.processor import handlers
from services.processor.failures import (
    Failure,
    computed_too_long,
    corrupt,
    crashed,
    interrupted,
    killed_for_memory,
    out_of_memory,
    timed_out,
)
from services.processor.frames import Job, Limits, Result
from services.processor.handlers import Deps, Interrupted, UnknownRecipe
from services.processor.metrics import JobMetrics
from services.processor.places import Places
from services.processor.sandbox import OnStep, Outcome, Sandbox
from shared import trace
from shared.errors import Unavailable
from shared.events import topology
from shared.events.consumer import EventContext
from shared.events.memory import MemoryBus
from shared.events.messages import (
    Envelope,
    Event,
    MediaDeleted,
    MediaFailed,
    MediaProcessed,
    MediaUploaded,
    PictureLimits,
    Progress,
    ReprocessRequested,
    decode,
)
from shared.ids import new_id
from shared.storage import keys
from shared.storage.memory import MemoryBlobs
from shared.ultra_hdr import taken_apart
from tests.fixtures.pictures import claiming_sides, encoded, late_jpeg, photo, picture
from tests.fixtures.recipes import RECIPES, STANDARD
from tests.fixtures.ultra_hdr import gain_map, ultra_hdr

TRACEPARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


class Parts:
    """A processor without its consumer loop, and what it said and stored."""

    def __init__(self, bus: MemoryBus, blobs: MemoryBlobs, sandbox: Any) -> None:
        self.bus, self.blobs, self.registry = bus, blobs, CollectorRegistry()
        self.deps = Deps(
            bus=bus,
            blobs=blobs,
            sandbox=sandbox,
            places=Places(2),
            metrics=JobMetrics(self.registry),
            limits=Limits(),
            recipes=dict(RECIPES),
            original_bytes=4 * 2**20,
        )

    async def store(self, data: bytes) -> str:
        key = f"originals/{uuid.uuid4()}"
        await self.blobs.put_bytes(key, data, content_type="image/jpeg")
        return key

    def variants(self, media_id: uuid.UUID) -> dict[str, bytes]:
        return {k: o.body for k, o in self.blobs.objects.items() if k.startswith(keys.variants(media_id))}

    async def events(self) -> list[Event]:
        last = await self.bus.last_sequence(topology.MEDIA)
        found = [await self.bus.read(topology.MEDIA, n) for n in range(1, last + 1)]
        return [decode(message.data)[1] for message in found if message is not None]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """One fork server for all: each job has a child of its own."""
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def bus() -> MemoryBus:
    bus = MemoryBus()
    await bus.ensure(topology.TOPOLOGY)
    return bus


@pytest_asyncio.fixture(loop_scope="module")
async def blobs() -> MemoryBlobs:
    blobs = MemoryBlobs()
    await blobs.ensure_bucket()
    return blobs


@pytest.fixture
def parts(bus: MemoryBus, blobs: MemoryBlobs, sandbox: Sandbox) -> Parts:
    return Parts(bus, blobs, sandbox)


def uploaded(key: str, **changes: Any) -> MediaUploaded:
    event = MediaUploaded(
        id=new_id(),
        number=1,
        owner="ann",
        profile="default",
        recipe="standard",
        key=key,
        filename="photo.jpg",
        mime_type="image/jpeg",
        media_type="image",
        size=1,
        sha256="0" * 64,
        is_public=False,
        created_at=datetime.now(UTC),
    )
    return msgspec.structs.replace(event, **changes)


def context(event: Event, *, delivered: int = 1, lane: str = "fresh") -> EventContext:
    envelope = Envelope(id="e", source="/test", type="t", subject="s", time=datetime.now(UTC), data=None)
    return EventContext(
        envelope=envelope,
        event=event,
        subject=topology.uploaded("image", lane),
        sequence=1,
        delivered=delivered,
        headers={},
        trace=trace.continue_from(TRACEPARENT),
    )


def requested(event: MediaUploaded, **changes: Any) -> ReprocessRequested:
    again = ReprocessRequested(
        id=event.id,
        generation=2,
        owner=event.owner,
        key=event.key,
        size=1,
        mime_type=event.mime_type,
        media_type="image",
        recipe=event.recipe,
        requested_at=datetime.now(UTC),
    )
    return msgspec.structs.replace(again, **changes)


async def process(parts: Parts, event: Event, **options: Any) -> None:
    with trace.use(TRACEPARENT):
        await handlers.process(context(event, **options), parts.deps)


async def test_an_upload_ends_as_processed_with_all_variants_stored(parts: Parts) -> None:
    event = uploaded(await parts.store(photo(1200, 900)))
    await process(parts, event)
    (done,) = await parts.events()
    assert isinstance(done, MediaProcessed)
    assert (done.id, done.generation, done.owner, done.recipe) == (event.id, 1, "ann", "standard")
    assert (done.width, done.height, done.taken_at) == (1200, 900, "2024-05-17T14:03:22+02:00")
    assert done.exif["camera_model"] == "Model 3"
    assert [v.name for v in done.variants] == [spec.name for spec in STANDARD.variants]
    stored = parts.variants(event.id)
    assert {v.key: v.size for v in done.variants} == {key: len(body) for key, body in stored.items()}
    assert all(v.spec in v.key for v in done.variants)
    assert set(done.timings) == {
        *("fetch", "wait", "decode", "orient", "variants", "fingerprint", "exif", "store"),
    }


@pytest.mark.parametrize(
    ("kind", "mime_type", "extension", "names"),
    [
        ("PNG", "image/png", "png", ["optimised", "thumbnail"]),
        ("WEBP", "image/webp", "webp", ["optimised", "thumbnail"]),
        ("TIFF", "image/tiff", "jpg", ["optimised", "thumbnail"]),
        ("GIF", "image/gif", "jpg", ["thumbnail"]),
    ],
)
async def test_variants_in_the_format_of_the_source_are_stored_and_told_as_what_they_are(
    parts: Parts, kind: str, mime_type: str, extension: str, names: list[str]
) -> None:
    # Too wide for the recipe: one that fits and could only grow would be left alone.
    sides = (2100, 200)
    frames = {"save_all": True, "append_images": [picture(*sides, seed=2)]} if kind == "GIF" else {}
    key = await parts.store(encoded(picture(*sides), kind, **frames))
    event = uploaded(key, recipe="content", mime_type=mime_type)
    await process(parts, event)
    (done,) = await parts.events()
    assert isinstance(done, MediaProcessed)
    assert [v.name for v in done.variants] == names
    for variant in done.variants:
        stored = parts.blobs.objects[variant.key]
        assert variant.key.endswith(f".{extension}")
        with Image.open(io.BytesIO(stored.body)) as image:
            assert image.get_format_mimetype() == variant.mime_type
            assert image.size == (variant.width, variant.height)


async def test_the_event_and_the_progress_belong_to_the_trace_of_the_upload(
    parts: Parts, bus: MemoryBus
) -> None:
    event = uploaded(await parts.store(photo(600, 400)))
    async with bus.listen(topology.progress(str(event.id))) as messages:
        await process(parts, event)
        seen: list[Progress] = []
        async for message in messages:
            envelope, progress = decode(message.data)
            assert isinstance(progress, Progress)
            assert envelope.traceparent is not None
            assert "0123456789abcdef0123456789abcdef" in envelope.traceparent
            seen.append(progress)
            if progress.stage == "store":
                break
    assert [p.stage for p in seen] == [
        "fetch",
        "decode",
        "orient",
        "variants",
        "fingerprint",
        "exif",
        "store",
    ]
    assert [p.percent for p in seen] == sorted(p.percent for p in seen)
    stored = await bus.read(topology.MEDIA, 1)
    assert stored is not None
    assert "0123456789abcdef0123456789abcdef" in str(decode(stored.data)[0].traceparent)


async def test_a_picture_beyond_the_sides_of_its_profile_fails_each_time_it_is_processed(
    parts: Parts,
) -> None:
    limits = PictureLimits(min_side=100, max_side=400)
    event = uploaded(await parts.store(late_jpeg(500, 200)), limits=limits)
    await process(parts, event)
    again = ReprocessRequested(
        id=event.id,
        generation=2,
        owner=event.owner,
        key=event.key,
        size=1,
        mime_type=event.mime_type,
        media_type="image",
        recipe="standard",
        limits=limits,
        requested_at=datetime.now(UTC),
    )
    await process(parts, again)
    failed = await parts.events()
    assert [(e.code, e.generation) for e in failed if isinstance(e, MediaFailed)] == [
        ("dimensions", 1),
        ("dimensions", 2),
    ]
    assert len(failed) == 2
    assert all("500 x 200" in e.detail and "400" in e.detail for e in failed if isinstance(e, MediaFailed))
    assert not parts.variants(event.id)


async def test_a_rerun_writes_what_its_recipe_changed_and_what_was_damaged_and_nothing_else(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = uploaded(await parts.store(photo(600, 400)))
    await process(parts, event)
    before = parts.variants(event.id)
    puts: list[str] = []
    put_bytes = parts.blobs.put_bytes

    async def counted(key: str, body: bytes, *, content_type: str) -> Any:
        puts.append(key)
        return await put_bytes(key, body, content_type=content_type)

    monkeypatch.setattr(parts.blobs, "put_bytes", counted)
    again = ReprocessRequested(
        id=event.id,
        generation=2,
        owner=event.owner,
        key=event.key,
        size=1,
        mime_type=event.mime_type,
        media_type="image",
        recipe="standard",
        requested_at=datetime.now(UTC),
    )
    await process(parts, again)
    assert puts == []
    # A recipe with one variant changed, from which no other is made, makes that one only.
    assert STANDARD.variants[0].name == "thumbnail"
    wider = msgspec.structs.replace(STANDARD.variants[0], width=140)
    changed = msgspec.structs.replace(STANDARD, variants=(wider, *STANDARD.variants[1:]))
    monkeypatch.setitem(parts.deps.recipes, "standard", changed)
    await process(parts, msgspec.structs.replace(again, generation=3))
    assert puts == [keys.variant(event.id, spec=wider.hash, name="thumbnail", extension="jpg")]
    first, second, third = await parts.events()
    assert isinstance(first, MediaProcessed)
    assert isinstance(second, MediaProcessed)
    assert isinstance(third, MediaProcessed)
    assert first.variants == second.variants
    assert before.items() <= parts.variants(event.id).items()
    same = [a == b for a, b in zip(second.variants, third.variants, strict=True)]
    assert same == [False, *[True] * 5]
    digests = {ref.key: ref.sha256 for ref in second.variants}
    assert {key: hashlib.sha256(body).hexdigest() for key, body in before.items()} == digests

    damaged = second.variants[3]
    noise = before[damaged.key][:-1] + b"x"
    await put_bytes(damaged.key, noise, content_type=damaged.mime_type)
    puts.clear()
    await process(parts, msgspec.structs.replace(again, generation=4))
    assert puts == [damaged.key]
    assert parts.variants(event.id)[damaged.key] == before[damaged.key]


async def test_the_gain_map_of_a_photo_is_stored_with_its_variants_and_a_rerun_writes_nothing(
    parts: Parts,
) -> None:
    event = uploaded(await parts.store(ultra_hdr(photo(600, 400), gain_map(150, 100))))
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    stored = parts.variants(event.id)
    with_map = [ref.name for ref in first.variants if taken_apart(stored[ref.key]) is not None]
    assert with_map == ["small", "medium", "large", "xlarge"]
    await process(parts, requested(event, variants=first.variants))
    _, second = await parts.events()
    assert isinstance(second, MediaProcessed)
    assert second.variants == first.variants
    assert parts.variants(event.id) == stored


async def test_one_changed_variant_is_the_only_one_that_is_encoded_and_written(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = uploaded(await parts.store(photo(2000, 1500)))
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    puts, put_bytes = [], parts.blobs.put_bytes

    async def counted(key: str, body: bytes, *, content_type: str) -> Any:
        puts.append(key)
        return await put_bytes(key, body, content_type=content_type)

    jobs, run = [], parts.deps.sandbox.run

    async def watched(job: Job, original: int, on_step: OnStep, **more: Any) -> Outcome:
        outcome = await run(job, original, on_step, **more)
        assert isinstance(outcome.verdict, Result)
        jobs.append([variant.name for variant in outcome.verdict.variants])
        return outcome

    monkeypatch.setattr(parts.blobs, "put_bytes", counted)
    monkeypatch.setattr(parts.deps.sandbox, "run", watched)
    # All smaller ones were made from the largest.
    assert STANDARD.variants[4].name == "xlarge"
    other = msgspec.structs.replace(STANDARD.variants[4], width=1500, height=1500)
    changed = msgspec.structs.replace(
        STANDARD, variants=(*STANDARD.variants[:4], other, *STANDARD.variants[5:])
    )
    monkeypatch.setitem(parts.deps.recipes, "standard", changed)
    again = requested(event, generation=2, variants=first.variants)
    await process(parts, again)
    assert jobs == [["xlarge"]]
    assert puts == [keys.variant(event.id, spec=other.hash, name="xlarge", extension="jpg")]
    second = (await parts.events())[-1]
    assert isinstance(second, MediaProcessed)
    assert [ref.name for ref in second.variants] == [spec.name for spec in STANDARD.variants]
    assert [a == b for a, b in zip(first.variants, second.variants, strict=True)] == [
        *[True] * 4,
        False,
        True,
    ]
    assert (second.phash, second.placeholder) == (first.phash, first.placeholder)

    # What was damaged, is gone, or was told under a key that is not its own is made again.
    monkeypatch.setitem(parts.deps.recipes, "standard", STANDARD)
    small, medium, large = first.variants[1:4]
    whole = parts.variants(event.id)
    await put_bytes(small.key, whole[small.key][:-1] + b"x", content_type="image/jpeg")
    await parts.blobs.delete(medium.key)
    stranger = msgspec.structs.replace(large, key=event.key)
    told = (first.variants[0], small, medium, stranger, *first.variants[4:])
    jobs.clear()
    puts.clear()
    await process(parts, msgspec.structs.replace(again, generation=3, variants=told))
    assert jobs == [["small", "medium", "large"]]
    assert sorted(puts) == sorted([small.key, medium.key])
    assert parts.variants(event.id) == whole
    third = (await parts.events())[-1]
    assert isinstance(third, MediaProcessed)
    assert third.variants == first.variants


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (photo(600, 400)[:9000], "truncated"),
        (b"not a picture at all", "corrupt"),
        (b"", "truncated"),
        (encoded(picture(4000, 4000), "BMP"), "too_large"),
    ],
)
async def test_a_file_at_fault_ends_as_failed_with_its_code(parts: Parts, data: bytes, code: str) -> None:
    event = uploaded(await parts.store(data))
    await process(parts, event)
    (done,) = await parts.events()
    assert isinstance(done, MediaFailed)
    assert (done.id, done.generation, done.code) == (event.id, 1, code)
    assert done.detail.endswith(".")
    assert parts.variants(event.id) == {}
    assert parts.registry.get_sample_value("tripod_jobs_total", {"media_type": "image", "code": code}) == 1


async def test_an_original_that_is_gone_ends_as_failed(parts: Parts) -> None:
    await process(parts, uploaded("nowhere/to-be-found"))
    (done,) = await parts.events()
    assert isinstance(done, MediaFailed)
    assert done.code == "missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"media_type": "document", "mime_type": "application/rtf"},
        {"media_type": "other", "mime_type": "application/zip"},
        {"mime_type": "image/svg+xml"},
    ],
)
async def test_types_without_a_pipeline_are_ready_as_they_are(parts: Parts, changes: dict[str, str]) -> None:
    await process(parts, uploaded("never-fetched", **changes))
    (done,) = await parts.events()
    assert isinstance(done, MediaProcessed)
    assert (done.variants, done.width, done.phash) == ((), None, None)


async def test_a_store_that_is_down_is_not_the_fault_of_the_file(parts: Parts) -> None:
    event = uploaded(await parts.store(photo(300, 200)))
    parts.blobs.stop()
    with pytest.raises(Unavailable):
        await process(parts, event)
    parts.blobs.start()
    assert await parts.events() == []
    await process(parts, event, delivered=2)
    (done,) = await parts.events()
    assert isinstance(done, MediaProcessed)


async def test_a_recipe_that_is_unknown_here_is_tried_again_elsewhere(parts: Parts) -> None:
    with pytest.raises(UnknownRecipe, match="no recipe 'fancy'") as caught:
        await process(parts, uploaded("x", recipe="fancy"))
    assert caught.value.retryable


class Scripted:
    """A sandbox whose verdicts are given."""

    def __init__(self, *verdicts: Failure) -> None:
        self.verdicts = list(verdicts)

    async def run(self, job: Job, original: int, on_step: OnStep, **more: Any) -> Outcome:  # noqa: ARG002 - the sandbox's signature
        return Outcome(verdict=self.verdicts.pop(0))


@pytest.mark.parametrize("failure", [crashed("signal 11"), timed_out(90), killed_for_memory()])
async def test_a_crash_a_kill_or_a_timeout_gets_one_more_child_and_then_fails(
    bus: MemoryBus, blobs: MemoryBlobs, failure: Failure
) -> None:
    sandbox = Scripted(failure, failure)
    parts = Parts(bus, blobs, sandbox)
    await process(parts, uploaded(await parts.store(b"x")))
    (done,) = await parts.events()
    assert isinstance(done, MediaFailed)
    assert (done.code, done.detail) == (failure.code, failure.detail)
    assert sandbox.verdicts == []


@pytest.mark.parametrize("failure", [computed_too_long(60), out_of_memory(2**31)])
async def test_what_a_file_used_up_by_itself_is_not_tried_again(
    bus: MemoryBus, blobs: MemoryBlobs, failure: Failure
) -> None:
    parts = Parts(bus, blobs, Scripted(failure))  # a second child would find no verdict
    await process(parts, uploaded(await parts.store(b"x")))
    (done,) = await parts.events()
    assert isinstance(done, MediaFailed)
    assert (done.code, done.detail) == (failure.code, failure.detail)


class Noting:
    """A sandbox that notes its jobs and fails each."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def run(self, job: Job, original: int, on_step: OnStep, **more: Any) -> Outcome:  # noqa: ARG002 - the sandbox's signature
        self.jobs.append(job)
        return Outcome(verdict=corrupt("image/jpeg").failure)


async def test_a_job_that_steps_back_has_more_time_by_the_clock_and_no_more_of_anything_else(
    bus: MemoryBus, blobs: MemoryBlobs
) -> None:
    sandbox = Noting()
    parts = Parts(bus, blobs, sandbox)
    for lane in ("fresh", "bulk", "slow"):
        await process(parts, uploaded(await parts.store(b"x")), lane=lane)
    assert [job.background for job in sandbox.jobs] == [False, True, True]
    limits = parts.deps.limits
    patient = msgspec.structs.replace(limits, wall_seconds=4 * limits.wall_seconds)
    assert [job.limits for job in sandbox.jobs] == [limits, patient, patient]


class Counting:
    """A sandbox that notes how many jobs it has at once and fails each."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def run(self, job: Job, original: int, on_step: OnStep, **more: Any) -> Outcome:  # noqa: ARG002 - the sandbox's signature
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(20):
            await asyncio.sleep(0)
        self.running -= 1
        return Outcome(verdict=corrupt("image/jpeg").failure)


@pytest.mark.parametrize(("progressive", "at_once"), [(True, 1), (False, 2)])
async def test_two_files_that_take_very_much_memory_never_run_beside_each_other(
    bus: MemoryBus, blobs: MemoryBlobs, *, progressive: bool, at_once: int
) -> None:
    sandbox = Counting()
    parts = Parts(bus, blobs, sandbox)
    large = claiming_sides(encoded(picture(60, 40), progressive=progressive), 9000, 9000)
    jobs = [process(parts, uploaded(await parts.store(large)), lane="slow") for _ in range(4)]
    await asyncio.gather(*jobs)
    assert sandbox.most == at_once


async def test_an_interrupted_job_is_handed_out_again_and_fails_in_the_end(
    bus: MemoryBus, blobs: MemoryBlobs
) -> None:
    parts = Parts(bus, blobs, Scripted(interrupted("gone"), interrupted("gone")))
    event = uploaded(await parts.store(b"x"))
    with pytest.raises(Interrupted) as caught:
        await process(parts, event)
    assert await parts.events() == []
    await handlers.give_up(context(event), caught.value, parts.deps)
    (done,) = await parts.events()
    assert isinstance(done, MediaFailed)
    assert done.code == "interrupted"


def deleted(event: MediaUploaded) -> MediaDeleted:
    return MediaDeleted(
        id=event.id,
        number=1,
        owner="ann",
        media_type="image",
        key=event.key,
        variants=keys.variants(event.id),
        deleted_at=datetime.now(UTC),
    )


async def test_a_deletion_erases_all_variants_and_nothing_else_and_may_be_repeated(parts: Parts) -> None:
    mine, other = uploaded(await parts.store(photo(300, 200))), uploaded(await parts.store(photo(300, 300)))
    await asyncio.gather(process(parts, mine), process(parts, other))
    assert len(parts.variants(mine.id)) == len(parts.variants(other.id)) == 6
    for _ in range(2):
        await handlers.erase(context(deleted(mine)), parts.deps)
        assert parts.variants(mine.id) == {}
    assert len(parts.variants(other.id)) == 6
    assert await parts.blobs.head(mine.key) is not None


async def test_a_deletion_names_no_prefix_but_its_own(parts: Parts) -> None:
    event = uploaded(await parts.store(photo(300, 200)))
    await process(parts, event)
    # An event that names another prefix, by mistake or malice, reaches nothing but its own media's variants.
    foreign = msgspec.structs.replace(deleted(uploaded("x")), variants="")
    await handlers.erase(context(foreign), parts.deps)
    assert len(parts.variants(event.id)) == 6
