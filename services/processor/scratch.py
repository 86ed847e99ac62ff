"""Room on a disk for what is too long for memory: files without a name, gone when they are closed, and counted."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from services.processor import failures
from services.processor.failures import JobFailed

_LEFT_TO_OTHERS = 256 * 1024 * 1024  # bytes of the disk that stay free


class Scratch:
    """At most `total` bytes in the folder `place`, less where the disk has less; who needs more than is free waits."""

    def __init__(self, place: Path, total: int) -> None:
        self.place, self.total = place, total
        self._taken = 0
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Room for `size` bytes. Raises JobFailed where there never will be as much."""
        if size > self.total:
            raise JobFailed(failures.no_room(size, self.total))
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(size))
            self._taken += size
        try:
            yield
        finally:
            async with self._changed:
                self._taken -= size
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        if self._taken == 0:  # nobody's leaving will make more
            return True
        free = shutil.disk_usage(self.place).free - _LEFT_TO_OTHERS
        return self._taken + size <= self.total and size <= free

    @contextlib.contextmanager
    def file(self) -> Iterator[int]:
        """A descriptor of an empty file that nobody else can open."""
        descriptor = _nameless(self.place)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _nameless(place: Path) -> int:
    try:
        return os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # the file system has no such files
        descriptor, name = tempfile.mkstemp(dir=place)
        Path(name).unlink()
        return descriptor
