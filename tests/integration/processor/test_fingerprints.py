"""Fingerprints on request, with a real sandbox; broker and store are the twins in memory."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image
from prometheus_client import CollectorRegistry

from services.processor import fingerprints
from services.processor.frames import Job, Limits, Result
from services.processor.handlers import Deps
from services.processor.metrics import JobMetrics
from services.processor.originals import fetched
from services.processor.places import Places
from services.processor.sandbox import Sandbox
from shared.events import topology
from shared.events.fingerprints import (
    FingerprintAnswer,
    Fingerprinted,
    FingerprintRequest,
    NotFingerprinted,
    encode,
    read_answer,
)
from shared.events.memory import MemoryBus
from shared.events.messages import PictureLimits
from shared.ids import new_id
from shared.storage.memory import MemoryBlobs
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.recipes import RECIPES

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "scratch"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deps() -> AsyncIterator[Deps]:
    """What a processor has that answers such requests."""
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    async with Sandbox() as sandbox:
        found = Deps(
            bus=bus,
            blobs=blobs,
            sandbox=sandbox,
            places=Places(2),
            metrics=JobMetrics(CollectorRegistry()),
            limits=Limits(),
            recipes=dict(RECIPES),
            original_bytes=4 * 2**20,
        )
        answer = fingerprints.answering(found, at_once=1)
        async with bus.serve(topology.PROCESSOR_FINGERPRINT, "processor", answer):
            yield found


async def ask(
    deps: Deps, data: bytes, mime_type: str = "image/jpeg", recipe: str = "standard", most: int = 10**8
) -> FingerprintAnswer:
    await deps.blobs.put_bytes(KEY, data, content_type=mime_type)
    asked = FingerprintRequest(
        id=new_id(), key=KEY, mime_type=mime_type, recipe=recipe, limits=PictureLimits(max_pixels=most)
    )
    return read_answer(await deps.bus.request(topology.PROCESSOR_FINGERPRINT, encode(asked), timeout=30))


@pytest.mark.parametrize("recipe", ["standard", "content"])
async def test_it_is_that_of_the_upload_and_nothing_is_written(deps: Deps, recipe: str) -> None:
    data = photo(1200, 900, orientation=6)
    found = await ask(deps, data, recipe=recipe)
    assert isinstance(found, Fingerprinted), found
    job = Job(media_id="m", trace_id="t", mime_type="image/jpeg", recipe=RECIPES[recipe])
    async with fetched(deps.blobs, KEY, limit=10**7) as original:
        uploaded = (await deps.sandbox.run(job, original)).verdict
    assert isinstance(uploaded, Result)
    assert (found.phash, found.phash_turned) == (uploaded.phash, uploaded.phash_turned)
    assert not found.degenerate
    assert [info.key async for info in deps.blobs.list("")] == [KEY]


@pytest.mark.parametrize(
    ("data", "recipe", "most", "code", "retryable"),
    [
        (encoded(picture(64, 48))[:500], "standard", 10**8, "truncated", False),
        (encoded(picture(64, 48)), "standard", 1000, "dimensions", False),
        (encoded(picture(64, 48)), "of tomorrow", 10**8, "recipe", True),
    ],
)
async def test_what_has_none_is_told_why(
    deps: Deps, data: bytes, recipe: str, most: int, code: str, *, retryable: bool
) -> None:
    found = await ask(deps, data, recipe=recipe, most=most)
    assert isinstance(found, NotFingerprinted)
    assert (found.code, found.retryable) == (code, retryable)


async def test_one_colour_is_told_to_say_nothing(deps: Deps) -> None:
    found = await ask(deps, encoded(Image.new("RGB", (90, 60), "navy")))
    assert isinstance(found, Fingerprinted)
    assert found.degenerate


async def test_who_asks_too_much_at_once_is_told_to_come_again(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "MOST_IN_HAND", 0)
    found = await ask(deps, encoded(picture(64, 48)))
    assert isinstance(found, NotFingerprinted)
    assert (found.code, found.retryable) == ("busy", True)
