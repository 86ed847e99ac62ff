"""Videos of others: what takes long to show."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from av.error import FFmpegError

from services.processor.sandbox import Sandbox
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import MediaFailed, MediaProcessed
from shared.storage.memory import MemoryBlobs
from tests.fixtures.videos import Video, play
from tests.integration.processor.test_handlers import Parts, process, uploaded

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

PROJECT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("TRIPOD_CORPUS", PROJECT.parent / "shared" / "corpus")) / "video-audio" / "media"
TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "ts": "video/mp2t",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """One fork server for all."""
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def parts(sandbox: Sandbox) -> Parts:
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    return Parts(bus, blobs, sandbox)


async def made_of(parts: Parts, source: Video) -> MediaProcessed | MediaFailed:
    key = await parts.store(source.data)
    await process(parts, uploaded(key, media_type="video", mime_type=source.mime_type))
    found = (await parts.events())[-1]
    assert isinstance(found, MediaProcessed | MediaFailed)
    return found


def body(parts: Parts, media: MediaProcessed, name: str) -> bytes:
    return parts.blobs.objects[next(ref.key for ref in media.variants if ref.name == name)].body


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")
@pytest.mark.parametrize("extension", sorted(TYPES))
@pytest.mark.timeout(1800)
async def test_every_video_of_the_corpus_ends_with_a_film_that_plays_or_with_a_reason(
    parts: Parts, extension: str
) -> None:
    files = [file for file in CORPUS.iterdir() if file.suffix.lower() == f".{extension}"]
    assert files
    ready = 0
    for file in files:
        media = await made_of(parts, Video(data=file.read_bytes(), mime_type=TYPES[extension], mark=0))
        if isinstance(media, MediaFailed):
            assert media.code in {"corrupt", "truncated", "unsupported"}, (file.name, media)
        elif not media.variants:
            assert media.warnings, file.name
        else:
            ready += 1
            try:
                film = play(body(parts, media, "mp4"))
            except FFmpegError as error:
                raise AssertionError(f"The film of {file.name} does not play: {error}") from error
            assert film.frames, file.name
            assert media.duration == pytest.approx(film.duration, abs=0.05), file.name
    assert ready
