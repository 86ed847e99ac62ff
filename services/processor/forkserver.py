"""The fork server: a process with one thread and all libraries loaded, which forks one child per file.

Started by the sandbox with a clean environment and one end of a socket. It ends, and all children with it, when
the other end closes. It never looks at a file itself.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback

from services.processor import child, orders
from services.processor.kernel import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl
from services.processor.orders import Exited, Kill, Ready, Spawn, Spawned
from services.processor.preload import preload


class _Children:
    """The living children: by the number of their job, and by the descriptor that tells when they end."""

    def __init__(self) -> None:
        self.pids: dict[int, int] = {}
        self.watched: dict[int, int] = {}


def main(connection: socket.socket) -> None:
    """Serve until the worker closes its end."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(
        PR_SET_CHILD_SUBREAPER, 1
    )  # what a child that was killed had started comes to us, to be reaped as well
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the worker decides
    preload()
    orders.send(connection, Ready(missing=_probe()))
    children = _Children()
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    try:
        while True:
            for descriptor, _ in poller.poll():
                if descriptor != connection.fileno():
                    _reap(descriptor, connection, children, poller)
                elif not _obey(connection, children, poller):
                    return
    finally:
        for number in list(children.pids):
            _kill(number, children)


def _obey(connection: socket.socket, children: _Children, poller: "select.poll") -> bool:
    received = orders.receive_order(connection)
    if received is None:
        return False
    order, descriptors = received
    if isinstance(order, Kill):
        _kill(order.number, children)
    else:
        _spawn(order, descriptors, connection, children, poller)
    return True


def _spawn(
    order: Spawn,
    descriptors: tuple[int, ...],
    connection: socket.socket,
    children: _Children,
    poller: "select.poll",
) -> None:
    original, frames, stderr, *films = descriptors
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        gc.disable()
        child.main(order.job, original=original, frames=frames, stderr=stderr, films=films, server=server)
    for descriptor in descriptors:
        os.close(descriptor)
    watch = os.pidfd_open(pid)
    children.pids[order.number] = pid
    children.watched[watch] = order.number
    poller.register(watch, select.POLLIN)
    orders.send(connection, Spawned(number=order.number, pid=pid))


def _reap(watch: int, connection: socket.socket, children: _Children, poller: "select.poll") -> None:
    number = children.watched.pop(watch)
    poller.unregister(watch)
    os.close(watch)
    # Until it is waited for, the pid and the group cannot be anybody else's.
    _kill(number, children)
    pid = children.pids.pop(number)
    _, status, usage = os.wait4(pid, 0)
    with contextlib.suppress(ChildProcessError):
        while True:  # all that is left of its group has been killed with it
            os.waitpid(-pid, 0)
    report = Exited(
        number=number,
        status=os.waitstatus_to_exitcode(status),
        cpu_milliseconds=round((usage.ru_utime + usage.ru_stime) * 1000, 1),
        peak_kib=usage.ru_maxrss,
    )
    orders.send(connection, report)


def _kill(number: int, children: _Children) -> None:
    pid = children.pids.get(number)
    if pid is None:
        return
    # The group does not exist until the child has called setsid; the child itself does.
    for send, target in ((os.kill, pid), (os.killpg, pid)):
        try:
            send(target, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _probe() -> tuple[str, ...]:
    """Which guards are missing, tried out by a child of its own."""
    server = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, "\n".join(child.probe(server)).encode())
        except BaseException:  # noqa: BLE001 - a child must not return into the server's loop
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        return (f"all of them: the trial child ended with status {status}",)
    return tuple(said.splitlines())


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as worker:
        main(worker)
