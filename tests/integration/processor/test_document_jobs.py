"""Jobs of documents: stopped on request, done again after their worker died, and held to what they may use."""

import asyncio
import signal
import time
from pathlib import Path

import msgspec
import pytest

from services.processor import cancelling, handlers
from services.processor.documents.found import CUT, NO_PAGE
from services.processor.frames import Limits
from shared.events import topology
from shared.events.jetstream import JetStreamBus
from shared.events.messages import MediaDeleted, MediaFailed, MediaProcessed
from shared.storage import keys
from shared.storage.s3 import S3Blobs
from tests.fixtures.documents import DOCX, PDF, docx, pdf
from tests.fixtures.hostile_documents import endless_pattern, endless_text, nested_forms
from tests.fixtures.waiting import eventually
from tests.integration.processor.test_handlers import Parts, context, process, uploaded
from tests.integration.processor.test_video_jobs import running
from tests.integration.processor.test_worker import (  # noqa: F401 - fixtures
    Processor,
    blobs,
    bus,
    ended,
    processor,
    until,
    upload,
)

DOCUMENT = {"media_type": "document", "mime_type": PDF, "filename": "paper.pdf"}


@pytest.fixture
def parts(film_parts: Parts) -> Parts:
    return film_parts


@pytest.mark.asyncio(loop_scope="session")
async def test_cancelling_and_deleting_stop_the_child_of_a_document_within_two_seconds(parts: Parts) -> None:
    over = asyncio.Event()
    reader = asyncio.create_task(cancelling.keep_listening(parts.bus, parts.deps.running, over))
    await asyncio.sleep(0)
    first, second = [uploaded(await parts.store(endless_pattern()), **DOCUMENT) for _ in range(2)]
    task = await running(parts, first)
    (child,) = parts.deps.sandbox.pids
    async with asyncio.timeout(2):
        await parts.bus.broadcast(topology.cancel(str(first.id)), b"1")
        await task
    assert not lives(child)
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert (failed.id, failed.code) == (first.id, "cancelled")

    task = await running(parts, second)
    (child,) = parts.deps.sandbox.pids
    gone = MediaDeleted(
        id=second.id,
        number=1,
        owner="ann",
        media_type="document",
        key=second.key,
        variants=keys.variants(second.id),
        deleted_at=second.created_at,
    )
    async with asyncio.timeout(2):
        await handlers.erase(context(gone), parts.deps)
        await task
    assert not lives(child)
    assert parts.variants(second.id) == {}
    over.set()
    await reader


@pytest.mark.asyncio(loop_scope="session")
async def test_a_document_that_takes_too_much_ends_at_its_budget(parts: Parts) -> None:
    limits = Limits(cpu_seconds=1, memory_bytes=256 * 2**20)
    parts.deps = msgspec.structs.replace(parts.deps, limits=limits)
    for data in (endless_text(), nested_forms()):
        await process(parts, uploaded(await parts.store(data), **DOCUMENT))
    cut, failed = await parts.events()
    assert isinstance(cut, MediaProcessed)
    assert CUT in cut.warnings
    assert isinstance(failed, MediaFailed)
    assert failed.code == "memory"


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_worker_killed_at_a_document_leaves_no_child_and_the_next_one_reads_it(
    bus: JetStreamBus,  # noqa: F811
    blobs: S3Blobs,  # noqa: F811
    processor: Processor,  # noqa: F811
) -> None:
    async with bus.listen(topology.progress("*")) as messages:
        event = await upload(bus, blobs, endless_pattern(), **DOCUMENT)
        async with asyncio.timeout(30):
            async for message in messages:
                if b'"document"' in message.data:
                    break
    (ready,) = processor.lines("sandbox.ready")
    children = children_of(int(ready["pid"]))
    assert children
    assert processor.stop(signal.SIGKILL) == -signal.SIGKILL
    eventually(
        lambda: not any(map(lives, (ready["pid"], *children))), "the fork server and its child to be gone"
    )
    processor.start()
    await processor.ready()

    async def done() -> bool:
        return any(line["media_id"] == str(event.id) for line in processor.lines("media.processed"))

    await until(done, "the document to be read", seconds=200, tell=processor.said)
    (ending,) = await ended(bus, processor, event)
    assert isinstance(ending, MediaProcessed)
    assert ending.warnings == (NO_PAGE,)
    (text,) = ending.variants
    async with blobs.get(text.key) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"kingfisher"


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_hostile_documents_cost_their_own_jobs_and_neither_the_worker_nor_its_neighbours(
    bus: JetStreamBus,  # noqa: F811
    blobs: S3Blobs,  # noqa: F811
    processor: Processor,  # noqa: F811
) -> None:
    (ready,) = processor.lines("sandbox.ready")
    hostile = [await upload(bus, blobs, data, **DOCUMENT) for data in (nested_forms(), endless_pattern())]
    began = time.monotonic()
    honest = [
        await upload(bus, blobs, pdf("one"), **DOCUMENT),
        await upload(bus, blobs, docx("two"), **(DOCUMENT | {"mime_type": DOCX})),
    ]
    assert all(isinstance(one, MediaProcessed) for one in await ended(bus, processor, *honest))
    assert time.monotonic() - began < 30

    async def over() -> bool:
        return len(processor.lines("media.processed")) + len(processor.lines("media.failed")) == 4

    await until(over, "the hostile ones to end", seconds=200, tell=processor.said)
    bomb, endless = await ended(bus, processor, *hostile)
    assert isinstance(bomb, MediaFailed)
    assert bomb.code == "memory"
    assert isinstance(endless, MediaProcessed)
    assert endless.warnings == (NO_PAGE,)
    assert [line["pid"] for line in processor.lines("sandbox.ready")] == [ready["pid"]]
    assert children_of(int(ready["pid"])) == []
