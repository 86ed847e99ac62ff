"""Runs a job in a contained child of its own and comes back with one verdict, whatever happens to the child."""

import asyncio
import contextlib
import fcntl
import itertools
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import msgspec
import structlog

from services.processor import failures, fork_client
from services.processor.autopsy import autopsy
from services.processor.failures import Failure
from services.processor.fork_client import Child, ForkClient, Interrupted
from services.processor.frames import HEADER, Ahead, Failed, Finished, Job, Result, StepDone, unpack
from services.processor.guards import STDERR_BYTES
from services.processor.orders import Kill, Spawn

log = structlog.get_logger()

_REAP_SECONDS = 5.0
_ROOM_BESIDE_VARIANTS = 1024 * 1024  # bytes for progress, EXIF and everything else a child may say


OnStep: TypeAlias = Callable[[StepDone], Awaitable[None]]
OnFilm: TypeAlias = Callable[[Ahead | Finished], Awaitable[None]]


async def _ignore(_: StepDone | Ahead | Finished) -> None:
    """For those who do not follow progress."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended and what it cost."""

    verdict: Result | Failure
    cpu_milliseconds: float = 0
    wall_milliseconds: float = 0
    peak_kib: int = 0


class Sandbox:
    """Several jobs may run at once. Use as an async context manager; a dead fork server is replaced."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._client: ForkClient | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._running()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the fork server; its children end with it."""
        client, self._client = self._client, None
        if client is not None:
            client.give_up("the worker is stopping")
            await client.process.wait()

    @property
    def pids(self) -> tuple[int, ...]:
        """The children that run now."""
        children = self._client.children.values() if self._client else ()
        return tuple(child.pid for child in children if child.pid is not None)

    @property
    def server_pid(self) -> int | None:
        return self._client.process.pid if self._client else None

    async def run(
        self,
        job: Job,
        original: int,
        on_step: OnStep = _ignore,
        *,
        films: Sequence[int] = (),
        on_film: OnFilm = _ignore,
    ) -> Outcome:
        """One file through the pipeline.

        `original` is a descriptor of the file's bytes; the child gets it read-only and this call does not close it,
        nor `films`, descriptors of empty files that a video's films are written to.
        Every way for the child to end becomes an Outcome. Cancelling kills the child and waits until it is gone.
        """
        try:
            client = await self._running()
            started = time.monotonic()
            async with _attempt(client, next(self._numbers), job, original, films) as attempt:
                outcome = await attempt.attend(on_step, on_film)
            wall = round((time.monotonic() - started) * 1000, 1)
            return msgspec.structs.replace(outcome, wall_milliseconds=wall)
        except Interrupted as error:
            return Outcome(verdict=failures.interrupted(str(error)))

    async def _running(self) -> ForkClient:
        async with self._starting:
            if self._client is not None and not self._client.alive:
                log.warning("sandbox.restarting")
                await self._client.process.wait()
                self._client = None
            if self._client is None:
                self._client = await fork_client.start()
            return self._client


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A running child, the stream of its frames and the file that its stderr goes to."""

    client: ForkClient
    number: int
    job: Job
    child: Child
    reader: asyncio.StreamReader
    stderr: int

    async def attend(self, on_step: OnStep, on_film: OnFilm) -> Outcome:
        """Listen to the end. Raises Interrupted when the fork server dies meanwhile."""
        limits = self.job.limits
        said: Result | Failure | None
        try:
            async with asyncio.timeout(limits.wall_seconds):
                said = await self._listen(on_step, on_film)
                if isinstance(said, Failure):
                    await (
                        self.end()
                    )  # it has nothing more to say, and if it was not honest it may not stop by itself
                exited = await asyncio.shield(self.child.exited)
        except TimeoutError:
            await self.end()
            said, exited = failures.timed_out(limits.wall_seconds), await self.child.exited
        if said is None or (isinstance(said, Result) and exited.status != 0):
            said = autopsy(exited, limits, self.stderr)
        return Outcome(verdict=said, cpu_milliseconds=exited.cpu_milliseconds, peak_kib=exited.peak_kib)

    async def _listen(self, on_step: OnStep, on_film: OnFilm) -> Result | Failure | None:
        """The child's verdict, None where it ends without one. It is not trusted to behave."""
        total, limit = 0, self.job.limits.output_bytes
        try:
            while True:
                (length,) = HEADER.unpack(await self.reader.readexactly(HEADER.size))
                total += length
                if total > limit + _ROOM_BESIDE_VARIANTS:
                    return failures.too_much_output(total, limit)
                frame = unpack(await self.reader.readexactly(length))
                if isinstance(frame, Failed | Result):
                    return frame.failure if isinstance(frame, Failed) else frame
                if isinstance(frame, StepDone):
                    await on_step(frame)
                else:
                    await on_film(frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except msgspec.MsgspecError as error:
            return failures.crashed(f"the child wrote what is no frame: {error}")

    async def end(self) -> None:
        """Kill the child where it still lives, and wait for it. A fork server that cannot do so goes as well."""
        exited = self.child.exited
        if exited.done() or not self.client.alive:
            return
        with contextlib.suppress(Interrupted):
            self.client.send(Kill(number=self.number))
        await asyncio.wait({exited}, timeout=_REAP_SECONDS)
        if not exited.done():
            self.client.give_up(f"child {self.number} could not be ended")


@contextlib.asynccontextmanager
async def _attempt(
    client: ForkClient, number: int, job: Job, original: int, films: Sequence[int]
) -> AsyncIterator[_Attempt]:
    """A child that has been ordered. When this is left, it is gone and so are our descriptors."""
    async with contextlib.AsyncExitStack() as stack:
        # As long as it may become: a child that may write long files could fill memory with what it prints.
        stderr = os.memfd_create("stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        stack.callback(os.close, stderr)
        os.ftruncate(stderr, STDERR_BYTES)
        fcntl.fcntl(stderr, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        stack.callback(theirs.close)
        readable = os.open(f"/proc/self/fd/{original}", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, readable)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        stack.callback(writer.close)
        child = client.children[number] = Child()
        attempt = _Attempt(client, number, job, child, reader, stderr)
        stack.push_async_callback(attempt.end)
        client.send(Spawn(number=number, job=job), (readable, theirs.fileno(), stderr, *films))
        theirs.close()
        yield attempt
