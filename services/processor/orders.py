"""What the worker and the fork server say to each other, one message per packet."""

import array
import socket
from typing import TypeAlias

import msgspec

from services.processor.frames import Job
from shared.film_recipes import MOST_FILMS

MAX_PACKET = 128 * 1024
# With Spawn: the original, the child's end of the frame socket, the file for its stderr, and files for films.
DESCRIPTORS = 3 + MOST_FILMS


class Spawn(msgspec.Struct, frozen=True, kw_only=True, tag="spawn"):
    """Start a child for this job."""

    number: int
    job: Job


class Kill(msgspec.Struct, frozen=True, kw_only=True, tag="kill"):
    """End a child and whatever it has started; none of that number is no error."""

    number: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The libraries are loaded; `missing` names the guards that this kernel does not offer."""

    missing: tuple[str, ...]


class Spawned(msgspec.Struct, frozen=True, kw_only=True, tag="spawned"):
    """A child runs."""

    number: int
    pid: int


class Exited(msgspec.Struct, frozen=True, kw_only=True, tag="exited"):
    """A child is gone and reaped. `status` is 0 or more as an exit code, below 0 a signal; peak in KiB."""

    number: int
    status: int
    cpu_milliseconds: float
    peak_kib: int


Order: TypeAlias = Spawn | Kill
Report: TypeAlias = Ready | Spawned | Exited

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def send(connection: socket.socket, message: Order | Report, descriptors: tuple[int, ...] = ()) -> None:
    """One packet, whole or not at all. Raises OSError, BlockingIOError where the other side has stopped reading."""
    control = []
    if descriptors:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    connection.sendmsg([_encoder.encode(message)], control)


def receive_order(connection: socket.socket) -> tuple[Order, tuple[int, ...]] | None:
    """The next order and the descriptors it brought; None when the worker is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, MAX_PACKET, DESCRIPTORS)
    return (_orders.decode(data), tuple(descriptors)) if data else None


def receive_report(connection: socket.socket) -> Report | None:
    """The next report; None when the fork server is gone."""
    data = connection.recv(MAX_PACKET)
    return _reports.decode(data) if data else None
