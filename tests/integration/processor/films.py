"""What tests of videos do with a processor that has no consumer loop."""

from pathlib import Path
from typing import Any

import msgspec

from services.processor.frames import Limits
from services.processor.sandbox import Sandbox
from services.processor.scratch import Scratch
from services.processor.videos import Films
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import MediaProcessed, VariantRef
from shared.storage.memory import MemoryBlobs
from tests.fixtures.videos import Video
from tests.integration.processor.test_handlers import Parts, process, uploaded

MEBIBYTE = 2**20
LIMITS = Limits(cpu_seconds=60, wall_seconds=60)


async def parts_for_films(sandbox: Sandbox, scratch: Path) -> Parts:
    """A processor whose videos lie in the folder `scratch`."""
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    made = Parts(bus, blobs, sandbox)
    films = Films(scratch=Scratch(scratch, 1024 * MEBIBYTE), limits=LIMITS, film_bytes=64 * MEBIBYTE)
    made.deps = msgspec.structs.replace(made.deps, films=films, original_bytes=4 * MEBIBYTE)
    return made


async def done(parts: Parts, made: Video, **changes: Any) -> MediaProcessed:
    """What becomes of it, which has to be a success."""
    await process(parts, await event_of(parts, made, **changes))
    found = (await parts.events())[-1]
    assert isinstance(found, MediaProcessed), found
    return found


async def event_of(parts: Parts, made: Video, **changes: Any) -> Any:
    key = await parts.store(made.data)
    return uploaded(key, media_type="video", mime_type=made.mime_type, filename="clip", **changes)


def body(parts: Parts, media: MediaProcessed, name: str) -> bytes:
    return parts.blobs.objects[ref(media, name).key].body


def ref(media: MediaProcessed, name: str) -> VariantRef:
    return next(variant for variant in media.variants if variant.name == name)
