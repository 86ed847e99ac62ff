"""Encoders that are a program of the operator's: frames go in, packets come out, as with PyAV's own."""

import fcntl
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from services.processor import failures
from services.processor.failures import JobFailed
from services.processor.guards import STDERR_BYTES
from services.processor.program.programs import Programs
from services.processor.program.task import Task

_PATIENCE = 120.0  # seconds in which a program has to take or give something
_DYING = 5.0  # seconds in which one that is broken may tell how it ended
_PIPE = 1024 * 1024
_BEGIN = b"nut/multimedia container\0"
_MOST = 64 * 1024**3  # bytes that a program may write
_LAST_WORDS = 2000
_CODECS = "h264,aac,mp3float,mp3"
_OPTIONS = {
    "protocol_whitelist": "none",
    "format_whitelist": "nut",
    "codec_whitelist": _CODECS,
    "probesize": "32",
    "analyzeduration": "0",
}


class _Into:
    """The program's stdin. Raises OSError where it is closed, TimeoutError where it takes nothing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                if not self._poller.poll(_PATIENCE * 1000):
                    raise TimeoutError("it takes nothing") from None
        return len(data)


class _OutOf:
    """The program's stdout. Raises ValueError for what cannot be what it was asked for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._count = descriptor, 0

    def read(self, size: int) -> bytes:
        data = os.read(self._descriptor, size)
        head = _BEGIN[self._count : self._count + len(data)]
        if not data.startswith(head) or self._count > _MOST:
            raise ValueError(f"it writes what is not NUT: {data[:40]!r}")
        self._count += len(data)
        return data


class Run:
    """A program at work. `task` as it was started; `codec` is what its packets have to be."""

    def __init__(
        self, programs: Programs, task: Task, codec: str, add: Callable[[OutputContainer], Stream]
    ) -> None:
        self._programs, self._task, self._codec = programs, task, codec
        self.stream: Any = None
        self._source: Any = None
        self._packets: deque[Packet[Any]] = deque()
        self._error: Exception | None = None
        self._said: str | None = None
        self._stderr = os.memfd_create("program", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._stderr, STDERR_BYTES)
        fcntl.fcntl(self._stderr, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        stdin, self._stdin = os.pipe()
        self._stdout, stdout = os.pipe()
        for pipe in (stdin, stdout):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        try:
            programs.start(task, (stdin, stdout, self._stderr))
        except OSError as error:
            raise self._verdict(error) from error
        finally:
            os.close(stdin)
            os.close(stdout)
        self._reader = threading.Thread(target=self._listen, daemon=True, name="program")
        self._reader.start()
        self._nut = av.open(
            _Into(self._stdin), "w", format="nut", container_options={"write_index": "0"}, buffer_size=_PIPE
        )
        self._raw: Any = add(self._nut)

    def give(self, frame: VideoFrame | AudioFrame | None) -> "list[Packet[Any]]":
        """What the program has made meanwhile; None for the end, after which all of it is there. Raises JobFailed."""
        try:
            self._nut.mux(self._raw.encode(frame))
            if frame is None:
                self._nut.close()
        except (FFmpegError, OSError) as error:
            raise self._verdict(error) from error
        if frame is None:
            self._end()
        if self._error is not None:
            raise self._verdict(self._error) from self._error
        found = []
        while self._packets:
            found.append(self._packets.popleft())
        return found

    def broken(self, reason: str) -> JobFailed:
        """The verdict on a program whose packets are not what they should be."""
        return self._verdict(ValueError(reason))

    def _listen(self) -> None:
        try:
            self._source = av.open(_OutOf(self._stdout), "r", format="nut", options=_OPTIONS)
            self.stream = self._source.streams[0]
            self._check(self.stream.codec_context.name)
            for packet in self._source.demux(self.stream):
                if packet.size:
                    self._packets.append(packet)
        except (FFmpegError, OSError, ValueError, IndexError, AttributeError) as error:
            self._error = error

    def _check(self, codec: str) -> None:
        if not codec.startswith(self._codec):
            raise ValueError(f"it writes {codec!r}, not {self._codec}")

    def _end(self) -> None:
        os.close(self._stdin)
        before = -1
        while self._reader.is_alive():
            before = len(self._packets)
            self._reader.join(_PATIENCE)
            if self._reader.is_alive() and len(self._packets) == before:
                raise self.broken("it gives nothing")
        os.close(self._stdout)
        if self._programs.status(self._task.number, seconds=_PATIENCE) != 0 or self._error is not None:
            raise self._verdict(self._error or ValueError("it failed"))
        self._said = self._last_words()
        os.close(self._stderr)

    def _verdict(self, error: Exception) -> JobFailed:
        status = self._programs.status(self._task.number, seconds=_DYING)
        if status is None:
            ended = "it did not end by itself"
        else:
            ended = f"signal {-status}" if status < 0 else f"status {status}"
        said = self._last_words() if self._said is None else self._said
        return JobFailed(failures.program_broke(ended, f"{said} ({error})"))

    def _last_words(self) -> str:
        said = os.pread(self._stderr, STDERR_BYTES, 0).rstrip(b"\0")[-_LAST_WORDS:]
        return said.decode("utf-8", "replace").strip()
