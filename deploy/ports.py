"""Ports of the embedded stack: which are free, and who holds one that is not."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

from deploy.errors import StackError

# Below the kernel's ephemeral range: a port from there may become some client's source port while
# the server that owns it is down for a moment.
LOWEST, HIGHEST = 10_000, 30_000

_reserved: set[int] = set()
_book: list[int] = []
"""The descriptor of the file whose n-th byte is locked by the process that port n was given to; opened once, because
closing it anywhere would end all locks."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now (lingering closed connections do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    """A random free port that is not in `taken`, and adds it there.

    It is this process's until it ends: another one that looks for a port would find this one free whenever its server
    has not started yet, or is down for a moment, and take it away.
    """
    chooser = random.SystemRandom()
    for _ in range(1000):
        port = chooser.randint(LOWEST, HIGHEST)
        if port not in taken and _reserve(port) and is_free(port):
            taken.add(port)
            return port
    message = f"found no free port between {LOWEST} and {HIGHEST} in 1000 tries"
    raise StackError(message)


def _reserve(port: int) -> bool:
    """Whether the port was nobody's."""
    if port in _reserved:
        return False
    if not _book:
        path = Path(tempfile.gettempdir()) / f"tripod-ports-{os.getuid()}"
        _book.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        fcntl.lockf(_book[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    _reserved.add(port)
    return True


def holder(port: int) -> str:
    """The process that listens on a port, as text; empty where this user may not see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                return f"pid {connection.pid}"
    return ""


def require_free(purposes: Mapping[str, int]) -> None:
    """Raise StackError naming every busy port of {purpose: port}, and who holds it."""
    busy = []
    for purpose, port in purposes.items():
        if is_free(port):
            continue
        who = holder(port)
        busy.append(f"port {port} ({purpose}) is in use" + (f" by {who}" if who else " by another process"))
    if busy:
        raise StackError(
            "\n".join(busy) + "\nStop that process, or choose other ports: see `python -m deploy run --help`."
        )
