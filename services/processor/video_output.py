"""A film as it is written: to a descriptor that came with the job, and read again only to move its index forward."""

import errno
import os
from typing import Any

import av
from av.container import OutputContainer

from services.processor import failures
from services.processor.video_source import Reader

_BUFFER = 1024 * 1024


class Writer(Reader):
    """The film's file. Raises JobFailed's cause as OSError EFBIG where it becomes too long."""

    name = "film.mp4"

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.is_full = False

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            try:
                written = os.pwrite(self._descriptor, rest, self._place)
            except OSError as error:
                self.is_full = error.errno in {errno.EFBIG, errno.ENOSPC}
                raise
            self._place += written
            rest = rest[written:]
        return len(data)


class Film:
    """An MP4 that is written. `size` tells how long it has become."""

    def __init__(self, descriptor: int, *, fragmented: bool) -> None:
        os.ftruncate(descriptor, 0)
        self._writer = Writer(descriptor)
        self._descriptor = descriptor
        # With the index in front a film plays while it is loaded; fragments carry their own.
        flags = "+frag_keyframe+delay_moov+default_base_moof" if fragmented else "+faststart"
        self.container: OutputContainer = av.open(
            self._writer,
            "w",
            format="mp4",
            container_options={"movflags": flags, "fflags": "+bitexact", "strict": "normal"},
            buffer_size=_BUFFER,
            io_open=self._again,
        )

    def _again(self, url: str, flags: int, options: dict[str, Any]) -> Reader:  # noqa: ARG002 - PyAV's signature
        """The muxer reads what it has written, to move it: the same file, and never another."""
        if url != Writer.name:
            raise PermissionError(f"a film may open no other file: {url[:100]!r}")
        return Reader(self._descriptor)

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def verdict(self, error: Exception, limit: int) -> Exception:
        """The error, or that the film has become too long."""
        if self._writer.is_full:
            return failures.JobFailed(failures.too_much_output(self.size, limit))
        return error
