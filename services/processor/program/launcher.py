"""Starts the operator's program for a child that may start none: a process between both, which never sees a file.

It takes numbers over a socket and gives back exit statuses. It ends, and what it has started with it, when the child's
end of the socket closes; a child's death signal would not reach it, since the child may signal nobody outside.
"""

import os
import select
import signal
import socket
import struct
import sys
import traceback

from services.processor import guards
from services.processor.frames import Limits
from services.processor.kernel import PR_SET_PDEATHSIG, prctl
from services.processor.program.operators import ENVIRONMENT, Program
from services.processor.program.task import SIZE, Kind, Task, arguments, unpack

ENDED = struct.Struct(
    "<Ii"
)  # the number of a task, and the status that its program ended with, a signal below 0
PIPES = 3  # descriptors with each task: stdin, stdout and stderr of the program
_CONNECTION = 3
_MOST_RUNNING = 32
_NOT_STARTED = 127


def main(connection: int, program: Program, limits: Limits, *, parent: int) -> None:
    """Serve the child `parent` until it is gone. Never returns: what a child would do next is not for this."""
    try:
        os.dup2(connection, _CONNECTION, inheritable=False)
        os.closerange(_CONNECTION + 1, os.sysconf("SC_OPEN_MAX"))
        guards.apply_to_launcher(program.reads, parent=parent)
        with socket.socket(fileno=_CONNECTION) as child:
            _Launcher(child, program, limits).serve()
    except BaseException:  # noqa: BLE001 - the last line before the process ends; the worker reads what is printed
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


class _Launcher:
    """The programs that run: by the descriptor that tells when one ends, its task's number and its pid."""

    def __init__(self, child: socket.socket, program: Program, limits: Limits) -> None:
        self._child, self._program, self._limits = child, program, limits
        self._running: dict[int, tuple[int, int]] = {}
        self._poller = select.poll()
        self._poller.register(child, select.POLLIN)

    def serve(self) -> None:
        try:
            while True:
                for descriptor, _ in self._poller.poll():
                    if descriptor != _CONNECTION:
                        self._reap(descriptor)
                    elif not self._obey():
                        return
        finally:
            for _, pid in self._running.values():
                os.kill(pid, signal.SIGKILL)
            for _, pid in self._running.values():
                os.waitpid(pid, 0)

    def _obey(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._child, SIZE, PIPES)
        if not data:
            return False
        task = unpack(data)
        if task.kind is Kind.STOP:
            for number, pid in self._running.values():
                if number == task.number:
                    os.kill(pid, signal.SIGKILL)
            return True
        if len(descriptors) != PIPES or len(self._running) >= _MOST_RUNNING:
            raise ValueError(f"{len(descriptors)} descriptors came, and {len(self._running)} programs run")
        launcher = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(self._program, task, descriptors, self._limits, launcher)
        for descriptor in descriptors:
            os.close(descriptor)
        watch = os.pidfd_open(pid)
        self._running[watch] = (task.number, pid)
        self._poller.register(watch, select.POLLIN)
        return True

    def _reap(self, watch: int) -> None:
        self._poller.unregister(watch)
        number, pid = self._running.pop(watch)
        os.close(watch)
        _, status = os.waitpid(pid, 0)
        self._child.send(ENDED.pack(number, os.waitstatus_to_exitcode(status)))


def _become(program: Program, task: Task, pipes: list[int], limits: Limits, launcher: int) -> None:
    """Never returns."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:
            os._exit(0)
        for place, descriptor in enumerate(pipes):
            os.dup2(descriptor, place)
        os.closerange(PIPES, os.sysconf("SC_OPEN_MAX"))
        for number in (signal.SIGPIPE, signal.SIGINT):  # Python has changed what they do
            signal.signal(number, signal.SIG_DFL)
        started = arguments(program.path, task)
        guards.apply_to_program(limits)
        os.execve(program.path, started, ENVIRONMENT)  # noqa: S606 - that is what it is for
    except BaseException as error:  # noqa: BLE001 - it must not return into the launcher's loop
        os.write(2, f"{program.path} could not be started: {error}\n".encode())
        os._exit(_NOT_STARTED)
