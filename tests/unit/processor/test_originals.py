import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.processor.failures import JobFailed
from services.processor.originals import LOOKS, fetched
from shared.storage.blobs import BlobMissing
from shared.storage.memory import MemoryBlobs


class Hiding(MemoryBlobs):
    """A store that does not find what it has for the first few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.times -= 1
        if self.times >= 0:
            raise BlobMissing(key)
        async with super().get(key, start=start, length=length) as chunks:
            yield chunks


async def test_an_original_that_is_hidden_for_a_moment_is_found() -> None:
    blobs = Hiding(len(LOOKS))
    await blobs.put_bytes("a", b"the bytes", content_type="image/png")
    async with fetched(blobs, "a", limit=100) as descriptor:
        assert os.pread(descriptor, 100, 0) == b"the bytes"


async def test_an_original_that_stays_away_is_missing() -> None:
    with pytest.raises(JobFailed) as caught:
        async with fetched(MemoryBlobs(), "absent", limit=100):
            pass
    assert caught.value.failure.code == "missing"


async def test_an_original_over_the_limit_is_refused() -> None:
    blobs = MemoryBlobs()
    await blobs.put_bytes("a", b"x" * 101, content_type="image/png")
    with pytest.raises(JobFailed) as caught:
        async with fetched(blobs, "a", limit=100):
            pass
    assert caught.value.failure.code == "too_large"
