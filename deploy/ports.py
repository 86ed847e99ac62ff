"""Ports of the embedded stack: which are free, and who holds one that is not."""

import random
import socket
from collections.abc import Mapping

import psutil

from deploy.errors import StackError

# Below the kernel's ephemeral range: a port from there may become some client's source port while
# the server that owns it is down for a moment.
LOWEST, HIGHEST = 10_000, 30_000


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
    """A random free port that is not in `taken`, and adds it there."""
    chooser = random.SystemRandom()
    for _ in range(1000):
        port = chooser.randint(LOWEST, HIGHEST)
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    message = f"found no free port between {LOWEST} and {HIGHEST} in 1000 tries"
    raise StackError(message)


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
