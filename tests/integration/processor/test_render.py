"""Renderings with a real sandbox; broker and store are the twins in memory, and two processors share them."""

import asyncio
import contextlib
import io
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from prometheus_client import CollectorRegistry

from services.processor import cancelling, leases, render
from services.processor.frames import Limits
from services.processor.handlers import Deps
from services.processor.metrics import JobMetrics
from services.processor.places import Places
from services.processor.sandbox import Sandbox
from shared.errors import Unavailable
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.rendering import NotRendered, RenderAnswer, Rendered, RenderRequest, encode, read_answer
from shared.ids import new_id
from shared.rendering import Options, rendering
from shared.storage import keys
from shared.storage.memory import MemoryBlobs
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.recipes import RECIPES
from tests.fixtures.waiting import eventually_async


class Processors:
    """Two that answer requests, what they have, and how often a child ran."""

    def __init__(self, bus: MemoryBus, blobs: MemoryBlobs, sandbox: Sandbox) -> None:
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

    async def store(self, data: bytes, mime_type: str = "image/jpeg") -> tuple[uuid.UUID, str, str]:
        media_id = new_id()
        key = f"originals/{media_id}"
        await self.blobs.put_bytes(key, data, content_type=mime_type)
        return media_id, key, mime_type

    async def ask(
        self, of: tuple[uuid.UUID, str, str], *, accepts_webp: bool = False, owner: str = "", **options: Any
    ) -> RenderAnswer:
        media_id, key, mime_type = of
        made = rendering(Options(**options), mime_type=mime_type, accepts_webp=accepts_webp)
        asked = RenderRequest(id=media_id, key=key, mime_type=mime_type, rendering=made, owner=owner)
        return read_answer(await self.bus.request(topology.PROCESSOR_RENDER, encode(asked), timeout=30))

    def picture(self, answer: RenderAnswer) -> Image.Image:
        assert isinstance(answer, Rendered), answer
        return Image.open(io.BytesIO(self.blobs.objects[answer.key].body))

    def count(self, code: str = "ready") -> float:
        return self.registry.get_sample_value("tripod_renderings_total", {"code": code}) or 0


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def processors(sandbox: Sandbox) -> AsyncIterator[Processors]:
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    found = Processors(bus, blobs, sandbox)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            answer = render.answering(found.deps, at_once=1, stop=asyncio.Event(), in_hand=set())
            await stack.enter_async_context(bus.serve(topology.PROCESSOR_RENDER, "processor", answer))
        yield found


@pytest.mark.parametrize(
    ("options", "accepts_webp", "kind", "size"),
    [
        ({"w": 300}, False, "JPEG", (300, 225)),
        ({"w": 300}, True, "WEBP", (300, 225)),
        ({"h": 90, "format": "png"}, True, "PNG", (120, 90)),
        ({"w": 100, "format": "avif", "q": 40}, False, "AVIF", (100, 75)),
        ({"w": 100, "format": "source"}, True, "JPEG", (100, 75)),
        ({"w": 200, "h": 200, "fit": "cover"}, False, "JPEG", (200, 200)),
        ({"w": 300, "h": 100, "fit": "cover"}, False, "JPEG", (300, 100)),
        ({"h": 120, "fit": "square"}, False, "JPEG", (120, 120)),
        ({"w": 4096, "h": 4096}, False, "JPEG", (800, 600)),
    ],
)
async def test_a_rendering_is_the_upright_picture_of_that_size_and_format_without_metadata(
    processors: Processors, options: dict[str, Any], *, accepts_webp: bool, kind: str, size: tuple[int, int]
) -> None:
    of = await processors.store(photo(600, 800, orientation=6))
    with processors.picture(await processors.ask(of, accepts_webp=accepts_webp, **options)) as made:
        assert (made.format, made.size) == (kind, size)
        assert dict(made.getexif()) == {}


async def test_plain_is_png_only_where_something_shines_through(processors: Processors) -> None:
    clear = picture(200, 100).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((200, 100)))
    through = await processors.store(encoded(clear, "PNG"), "image/png")
    opaque = await processors.store(encoded(picture(200, 100), "PNG"), "image/png")
    for of, kind in ((through, "PNG"), (opaque, "JPEG")):
        for _ in range(2):  # made, then found
            with processors.picture(await processors.ask(of, w=50)) as made:
                assert made.format == kind
    assert processors.count() == 2


async def test_an_animation_moves_as_webp_and_stands_still_as_anything_else(processors: Processors) -> None:
    frames = [picture(120, 80, seed=seed) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    of = await processors.store(data, "image/gif")
    with processors.picture(await processors.ask(of, w=60, accepts_webp=True)) as moving:
        assert (moving.format, moving.size, getattr(moving, "n_frames", 1)) == ("WEBP", (60, 40), 3)
    with processors.picture(await processors.ask(of, w=60)) as still:
        assert (still.format, getattr(still, "n_frames", 1)) == ("JPEG", 1)


async def test_what_many_ask_for_at_once_is_made_once(processors: Processors) -> None:
    of = await processors.store(photo(600, 400))
    answers = await asyncio.gather(*(processors.ask(of, w=200) for _ in range(10)))
    assert len({answer.key for answer in answers if isinstance(answer, Rendered)}) == 1
    assert all(isinstance(answer, Rendered) for answer in answers)
    assert processors.count() == 1
    assert await processors.bus.kv(topology.RENDERS).keys() == []


async def test_more_requests_than_can_be_in_hand_are_refused_at_once(
    processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "MOST_IN_HAND", 1)
    of = await processors.store(photo(600, 400))
    answers = await asyncio.gather(*(processors.ask(of, w=side) for side in range(200, 206)))
    refused = [answer for answer in answers if isinstance(answer, NotRendered)]
    assert {(answer.code, answer.retryable) for answer in refused} == {("busy", True)}
    assert processors.count() == len(answers) - len(refused) == 2


async def test_a_file_that_cannot_be_decoded_is_told_with_its_code(processors: Processors) -> None:
    of = await processors.store(photo(600, 400)[:5000])
    answer = await processors.ask(of, w=200)
    assert isinstance(answer, NotRendered)
    assert (answer.code, answer.retryable) == ("truncated", False)
    assert processors.count("truncated") == 1


async def test_a_picture_of_a_media_that_goes_meanwhile_does_not_stay(
    processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = await processors.store(photo(600, 400))
    put = processors.blobs.put_bytes

    async def put_late(key: str, body: bytes, *, content_type: str) -> Any:
        await processors.blobs.delete(of[1])  # as ingest does, when the eraser of variants has passed
        return await put(key, body, content_type=content_type)

    monkeypatch.setattr(processors.blobs, "put_bytes", put_late)
    answer = await processors.ask(of, w=200)
    assert isinstance(answer, NotRendered)
    assert answer.code == "missing"
    assert not processors.blobs.objects


async def test_of_one_media_so_many_are_kept_and_the_oldest_go(
    processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "MOST_KEPT", 2)
    of = await processors.store(photo(300, 200))
    variant = keys.variant(of[0], spec="0" * 8, name="small", extension="jpg")
    await processors.blobs.put_bytes(variant, b"x", content_type="image/jpeg")
    answers = [await processors.ask(of, w=side) for side in (50, 60, 70)]
    there = {key for key in processors.blobs.objects if key.startswith(keys.VARIANTS)}
    assert there == {variant, *(answer.key for answer in answers[1:] if isinstance(answer, Rendered))}


async def test_a_store_that_is_down_is_told_as_such(
    processors: Processors, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = await processors.store(photo(300, 200))

    async def head(_key: str) -> None:
        raise Unavailable("The store is down.")

    monkeypatch.setattr(processors.blobs, "head", head)
    answer = await processors.ask(of, w=50)
    assert isinstance(answer, NotRendered)
    assert (answer.code, answer.retryable) == ("unavailable", True)


async def test_a_processor_that_stops_kills_what_it_makes_and_says_so_to_whoever_waits(
    sandbox: Sandbox,
) -> None:
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    alone, stop = Processors(bus, blobs, sandbox), asyncio.Event()
    of = await alone.store(large())
    serving = asyncio.create_task(render.keep_rendering(alone.deps, stop, at_once=1))
    await asyncio.sleep(0)  # it listens
    asked = [asyncio.create_task(alone.ask(of, w=4000, format="avif", q=q)) for q in (50, 60)]

    async def child() -> bool:
        return bool(sandbox.pids)

    await eventually_async(child, "a child")
    started = time.monotonic()
    stop.set()
    for answer in await asyncio.gather(*asked):
        assert isinstance(answer, NotRendered)
        assert (answer.code, answer.retryable) == ("stopping", True)
    assert time.monotonic() - started < 2
    await serving
    assert not sandbox.pids
    assert await bus.kv(topology.RENDERS).keys() == [], "whoever is asked next need not wait"


def large() -> bytes:
    """Of which an AVIF takes seconds."""
    return encoded(Image.effect_noise((1000, 750), 80).convert("RGB").resize((4000, 3000)), quality=60)


async def test_the_lease_of_a_dead_processor_is_taken_over(processors: Processors) -> None:
    bucket = processors.bus.kv(topology.RENDERS)
    await bucket.create("a.b", b"")
    started = time.monotonic()
    async with leases.held(bucket, "a.b", lasting=0.3):
        assert 0.3 <= time.monotonic() - started < 5
        assert await bucket.keys() == ["a.b"]
    assert await bucket.keys() == []


@pytest_asyncio.fixture(loop_scope="module")
async def busy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Processors, set[str]]]:
    """One that never finishes what the crowd owns, and the ids of what it is at."""
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    found, begun = Processors(bus, blobs, sandbox), set[str]()
    made = render._made

    async def long(asked: RenderRequest, deps: Deps) -> Any:
        if asked.owner == "crowd":
            begun.add(str(asked.id))
            await asyncio.Event().wait()
        return await made(asked, deps)

    monkeypatch.setattr(render, "_made", long)
    answer = render.answering(found.deps, at_once=1, stop=asyncio.Event(), in_hand=set())
    async with bus.serve(topology.PROCESSOR_RENDER, "processor", answer):
        yield found, begun


async def test_one_owners_renderings_leave_a_place_for_anothers(
    busy: tuple[Processors, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "MOST_IN_HAND", 8)
    processors, begun = busy
    mine = await processors.store(photo(300, 200))
    crowd = [
        asyncio.create_task(processors.ask(await processors.store(b"long"), owner="crowd", w=50))
        for _ in range(6)
    ]

    async def refused() -> bool:
        return sum(task.done() for task in crowd) == 2

    await eventually_async(refused, "half of what can be in hand is one owner's")
    processors.picture(await asyncio.wait_for(processors.ask(mine, owner="ann", w=50), 10)).close()
    assert len(begun) == 1
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_rendering_ends_when_its_media_is_deleted(busy: tuple[Processors, set[str]]) -> None:
    processors, begun = busy
    of = await processors.store(b"long")
    asking = asyncio.create_task(processors.ask(of, owner="crowd", w=50))

    async def is_begun() -> bool:
        return bool(begun)

    await eventually_async(is_begun, "it is made")
    processors.deps.running.stop(of[0], 1000)  # a job that is cancelled says nothing of renderings
    assert not asking.done()
    processors.deps.running.stop(of[0], cancelling.ALL)
    answer = await asyncio.wait_for(asking, 5)
    assert isinstance(answer, NotRendered)
    assert answer.code == "cancelled"
    assert await processors.bus.kv(topology.RENDERS).keys() == []
