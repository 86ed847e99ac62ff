"""One child process of the stack: how it is started, watched, stopped and killed with all it started itself."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil

from deploy.errors import StackError

LAUNCHER = Path(__file__).with_name("launch.py")
TAIL_LINES = 30
LOG_LIMIT = 32 * 1024 * 1024
POLL_SECONDS = 0.02


class NotReady(Exception):
    """Raised by a probe: the child does not answer yet; the text says what was tried."""


class Cancelled(Exception):
    """A signal asked to stop while something was still starting."""


def never() -> bool:
    """The answer of a stack that nobody cancels."""
    return False


def nothing() -> None:
    """What has to be done before most children start."""


class RunAs(msgspec.Struct, frozen=True, kw_only=True):
    """The user a child runs as, and the folders that user must be able to reach."""

    uid: int
    gid: int
    reach: tuple[str, ...]


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and how to tell that it works. `env` is the whole environment of the child; `before` runs each time
    it is started, while nothing of an earlier one runs any more."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    probe: Callable[[], None]
    cwd: str = "/"
    run_as: RunAs | None = None
    stop_signal: int = signal.SIGTERM
    # What the kernel sends should the stack itself be killed.
    death_signal: int = signal.SIGKILL
    ready_seconds: float = 30.0
    before: Callable[[], None] = nothing


class Child:
    """A process that can be started, stopped and started again; its output goes to one log file."""

    def __init__(self, spec: ChildSpec, log: Path) -> None:
        self.spec = spec
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; raises StackError when it was never started."""
        if self.process is None:
            message = f"{self.spec.name} was not started"
            raise StackError(message)
        return self.process.pid

    def start(self, spawner: ThreadPoolExecutor) -> None:
        """Start it by the spawner's one thread, and do not wait until it is ready.

        The kernel's death signal follows the *thread* that started a child, so that thread has to live
        as long as the stack.
        """
        if not self.alive:
            self.process = spawner.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        spec = self.spec
        spec.before()
        order: dict[str, object] = {"parent": os.getpid(), "signal": spec.death_signal}
        if spec.run_as is not None:
            order |= {"uid": spec.run_as.uid, "gid": spec.run_as.gid, "reach": spec.run_as.reach}
        launcher = [sys.executable, "-I", "-S", "-B", str(LAUNCHER), msgspec.json.encode(order).decode()]
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [*launcher, *spec.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(spec.env),
                cwd=spec.cwd,
                # Its own group: a Ctrl-C at the terminal reaches the stack only, which then stops in order.
                process_group=0,
            )

    def wait_ready(self, cancelled: Callable[[], bool] = never) -> None:
        """Return when the probe passes; StackError with the last log lines when the child dies or takes too long."""
        deadline = time.monotonic() + self.spec.ready_seconds
        while True:
            try:
                self.spec.probe()
            except NotReady as reason:
                self._endure(deadline, cancelled, f"{self.spec.name} is not ready: {reason}")
            else:
                if self.alive:
                    return
            if not self.alive:
                raise StackError(self.obituary())

    def finish(self, seconds: float, cancelled: Callable[[], bool] = never) -> None:
        """Return when a command that ends by itself has ended well; StackError with its output otherwise."""
        deadline = time.monotonic() + seconds
        while self.alive:
            self._endure(deadline, cancelled, f"{self.spec.name} does not end")
        if self.process is None or self.process.returncode != 0:
            raise StackError(self.obituary())

    def _endure(self, deadline: float, cancelled: Callable[[], bool], state: str) -> None:
        if cancelled():
            raise Cancelled
        if time.monotonic() > deadline:
            raise StackError(f"{state}, and its time is up. Last lines of {self.log}:\n{self.tail()}")
        time.sleep(POLL_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal to the child's main process; nothing where it is gone."""
        if self.process is not None and self.alive:
            self.process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        if self.process is None:
            return True
        try:
            self.process.wait(timeout=max(seconds, 0.001))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL the child and every process below it, also those that left its group, and reap it."""
        if self.process is None:
            return
        family = descendants(self.process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.wait()
        await_end(family, seconds=5)

    def obituary(self) -> str:
        """What a person needs to know of a child that died: how, and its last words."""
        code = self.process.poll() if self.process is not None else None
        how = (
            f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit status {code}"
        )
        return f"{self.spec.name} ended by itself ({how}). Last lines of {self.log}:\n{self.tail()}"

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        with self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65_536))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def bound_log(self) -> None:
        """Keep one older part and start again once the log is large; writers append, so cutting it is safe."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
            os.truncate(self.log, 0)


def descendants(pid: int) -> list[psutil.Process]:
    try:
        family: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return family


def await_end(family: list[psutil.Process], seconds: float) -> None:
    """Return when none of them runs any more; one that only waits to be reaped by its new parent has ended."""
    deadline = time.monotonic() + seconds
    while any(runs(member) for member in family) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def plain_env() -> dict[str, str]:
    """An environment for servers: nothing of the caller's that could change what they do (PG*, RCLONE_*, ...)."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, **kept, "HOME": "/", "LC_ALL": "C", "TZ": "UTC"}
