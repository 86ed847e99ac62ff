"""The worker's end of the fork server: starts the process, gives orders, and notes what it reports."""

import asyncio
import contextlib
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import msgspec
import structlog

import services
from services.processor import orders
from services.processor.orders import Exited, Ready, Report, Spawned

log = structlog.get_logger()

_START_SECONDS = 30.0
_ROOT = str(Path(services.__path__[0]).parent)
# All that a child gets to know. One thread per library: what runs at the same time is one child per file.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PYTHONPATH": _ROOT,
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
    "VIPS_DISC_THRESHOLD": "16g",  # pixels never go to a temporary file; the memory limit holds instead
    "MALLOC_ARENA_MAX": "1",
}


class Interrupted(Exception):
    """The fork server is gone. That says nothing about any file; its jobs can be repeated."""


class Child:
    """What is known of one child: its pid once it runs, its end once it is reaped."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.exited: asyncio.Future[Exited] = asyncio.get_running_loop().create_future()
        # When the fork server dies, nobody may be waiting any more.
        self.exited.add_done_callback(_look_at)


def _look_at(done: "asyncio.Future[Exited]") -> None:
    if not done.cancelled():
        done.exception()


class ForkClient:
    """One fork server process. Once it is not `alive` it stays so; the sandbox starts another."""

    def __init__(self, process: Process, connection: socket.socket) -> None:
        self.process = process
        self.children: dict[int, Child] = {}
        self.alive = True
        self._connection = connection
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(connection, self._receive)

    def send(self, order: orders.Order, descriptors: tuple[int, ...] = ()) -> None:
        """Raises Interrupted when the order cannot be given; then this fork server has been given up."""
        try:
            orders.send(self._connection, order, descriptors)
        except OSError as error:
            self.give_up(f"it takes no orders: {error}")
            raise Interrupted(f"The fork server takes no orders: {error}") from error

    def give_up(self, reason: str) -> None:
        """Kill the process, and with it its children, and fail whoever waits for one."""
        if not self.alive:
            return
        self.alive = False
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        error = Interrupted(f"The fork server is gone: {reason}.")
        if not self._ready.done():
            self._ready.set_exception(error)
        for child in self.children.values():
            if not child.exited.done():
                child.exited.set_exception(error)
        self.children.clear()

    async def until_ready(self) -> Ready:
        try:
            return await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            self.give_up(f"it was not ready after {_START_SECONDS:g} seconds")
            raise Interrupted(f"The fork server was not ready after {_START_SECONDS:g} seconds.") from None
        except asyncio.CancelledError:
            self.give_up("its start was cancelled")
            raise

    def _receive(self) -> None:
        try:
            report = orders.receive_report(self._connection)
        except BlockingIOError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            self.give_up(f"its socket failed: {error}")
            return
        if report is None:
            self.give_up("it ended")
        else:
            self._note(report)

    def _note(self, report: Report) -> None:
        if isinstance(report, Ready):
            self._ready.set_result(report)
        elif isinstance(report, Spawned):
            self.children[report.number].pid = report.pid
        else:
            self.children.pop(report.number).exited.set_result(report)


async def start() -> ForkClient:
    """A fork server that is ready. Raises Interrupted when it does not get there."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        ours.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-s", "-m", "services.processor.forkserver", str(theirs.fileno())),
            stdin=DEVNULL,
            env=ENVIRONMENT,
            pass_fds=(theirs.fileno(),),
            cwd="/",
        )
    client = ForkClient(process, ours)
    try:
        ready = await client.until_ready()
    except BaseException:
        await process.wait()  # it has been killed; nothing may be left of it
        raise
    log.info("sandbox.ready", pid=process.pid)
    for guard in ready.missing:
        log.error(
            "sandbox.guard_missing", guard=guard, effect="hostile files are contained less than intended"
        )
    return client
