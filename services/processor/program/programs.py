"""A child's end of the launcher: it has programs started and stopped, and hears how they ended."""

import array
import os
import socket
import time
from typing import TYPE_CHECKING, Self

from services.processor.program import launcher
from services.processor.program.task import Kind, Task, pack

if TYPE_CHECKING:
    from services.processor.frames import Limits
    from services.processor.program.operators import Program


class Programs:
    """Those of one job."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self._pid = connection, pid
        self._running: set[int] = set()
        self._ended: dict[int, int] = {}
        self.started = 0

    @classmethod
    def open(cls, program: "Program", limits: "Limits") -> Self:
        """Makes the process of the launcher: before the child's guards shut, and while it has one thread."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = os.getpid()
        pid = os.fork()
        if pid == 0:
            launcher.main(theirs.fileno(), program, limits, parent=child)
        theirs.close()
        return cls(ours, pid)

    def start(self, task: Task, pipes: tuple[int, int, int]) -> None:
        """`pipes`: stdin, stdout and stderr of the program. Raises OSError where the launcher is gone."""
        self._running.add(task.number)
        self.started = max(self.started, task.number)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", pipes))
        self._connection.sendmsg([pack(task)], [rights])

    def status(self, number: int, *, seconds: float) -> int | None:
        """What it ended with, a signal below 0; None where it still runs after so many seconds, or the launcher does
        not say."""
        until = time.monotonic() + seconds
        while number not in self._ended:
            self._connection.settimeout(max(0.001, until - time.monotonic()))
            try:
                told = self._connection.recv(launcher.ENDED.size)
            except OSError:
                return None
            if not told:
                return None
            ended, status = launcher.ENDED.unpack(told)
            self._running.discard(ended)
            self._ended[ended] = status
        return self._ended[number]

    def stop_all(self) -> None:
        """Kill what still runs: nobody wants what it makes any more."""
        for number in sorted(self._running):
            self._connection.send(pack(Task(number=number, kind=Kind.STOP)))

    def close(self) -> None:
        """End the launcher, and with it all that it has started, and wait until it is gone."""
        self._connection.close()
        os.waitpid(self._pid, 0)
