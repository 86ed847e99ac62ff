"""The broker as the services see it: durable events, core messages, requests and key-value buckets.

Two implementations pass one contract suite: `jetstream` (NATS) and `memory` (tests).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from shared.events.topology import Durable, Topology

REPLY_HEADER = "Tripod-Reply"
"""Where the sender of an event wants to hear of the commit; JetStream keeps the reply field for its acks."""

Headers = Mapping[str, str]


class KeyConflict(Exception):
    """The key exists already, or its revision is not the expected one. Nothing was written."""


class NoAnswer(Exception):
    """A request found no responder, or none answered in time."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A core message: at most once, never stored."""

    subject: str
    data: bytes
    headers: Headers
    reply: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A value of a bucket with the revision that a compare-and-set needs."""

    key: str
    value: bytes
    revision: int
    created: datetime


class Delivery(Protocol):
    """One event handed to one consumer. Only the consumer loop settles it."""

    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def sequence(self) -> int:
        """Its place in the stream, from 1."""
        ...

    @property
    def delivered(self) -> int:
        """How often it was handed out, this time included."""
        ...

    async def ack(self) -> None:
        """Done, confirmed by the broker. Raises Unavailable when the confirmation does not come."""
        ...

    async def nak(self, delay: float) -> None:
        """Hand it out again after `delay` seconds."""
        ...

    async def terminate(self) -> None:
        """Never hand it out again."""
        ...

    async def in_progress(self) -> None:
        """Restart the ack wait: the work goes on."""
        ...


class KeyValue(Protocol):
    """A bucket. Keys match `[-/_=.a-zA-Z0-9]+`; make foreign text safe with `shared.events.kv_token`."""

    async def get(self, key: str) -> Entry | None:
        """The newest value, None when absent or deleted. Raises Unavailable."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Write where nothing is, also after a delete; the new revision. Raises KeyConflict, Unavailable."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Replace exactly that revision; the new one. Raises KeyConflict, Unavailable."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever was there; the new revision. Raises Unavailable."""
        ...

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Remove; absent is success. With a revision only exactly that one: raises KeyConflict otherwise."""
        ...

    async def wipe(self, key: str) -> None:
        """Remove without the mark that a delete leaves, which has the key in it; absent is success. Raises
        Unavailable."""
        ...

    async def keys(self, prefix: str = "") -> list[str]:
        """All keys that start with `prefix`, sorted. Raises Unavailable."""
        ...


class Bus(Protocol):
    """A connection to the broker."""

    @property
    def connected(self) -> bool:
        """False from the moment the connection is lost until it is back."""
        ...

    async def ensure(self, topology: Topology) -> None:
        """Make streams, consumers and buckets as the table says; differing ones are updated where the broker
        can, else SettingsError names the difference. Harmless when repeated."""
        ...

    async def publish(
        self, subject: str, data: bytes, *, message_id: str, headers: Headers | None = None
    ) -> int:
        """Store an event; its stream sequence. The same `message_id` within the dedup window is stored once
        (and answers the first sequence). Raises Unavailable: then the outcome is unknown, a retry harmless."""
        ...

    async def fetch(self, durable: Durable, *, batch: int, wait: float) -> list[Delivery]:
        """Up to `batch` deliveries, as soon as there are any; an empty list after `wait` seconds without.
        Raises Unavailable."""
        ...

    async def erase(self, stream: str, sequence: int) -> None:
        """Remove one stored event and overwrite its bytes; absent is success. Raises Unavailable."""
        ...

    async def read(self, stream: str, sequence: int) -> Message | None:
        """One stored event by its place, None where there is none (any more). Raises Unavailable."""
        ...

    async def last_sequence(self, stream: str) -> int:
        """The newest place in a stream, 0 when it was never written. Raises Unavailable."""
        ...

    async def handled_through(self, durable: Durable) -> int:
        """The place in its stream up to which a consumer has settled every event that is for it, the stream's last
        where it has settled all; what follows may be settled in part. Raises Unavailable."""
        ...

    async def broadcast(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        """Send a core message to whoever listens now. Raises Unavailable when not connected."""
        ...

    def listen(
        self, subject: str, on_gap: Callable[[], None] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Core messages from now on, stored events included as they are stored. Survives reconnects. A slow
        reader loses the oldest messages, never blocks the connection. `on_gap` is called when some may have been
        missed: the connection is back, or the reader was too slow."""
        ...

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Headers | None = None
    ) -> bytes:
        """One answer of one server of `subject`. Raises NoAnswer, Unavailable."""
        ...

    def serve(
        self, subject: str, queue: str, handler: Callable[[Message], Awaitable[bytes]]
    ) -> AbstractAsyncContextManager[None]:
        """Answer requests while the context is open; instances with one `queue` share the work."""
        ...

    def inbox(self) -> str:
        """A fresh subject that only this connection listens to."""
        ...

    def kv(self, bucket: str) -> KeyValue:
        """A bucket of the topology."""
        ...

    async def close(self) -> None:
        """Send what is pending and disconnect."""
        ...
