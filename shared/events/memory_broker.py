"""What the in-memory buses of one test share: the broker itself, its clock and its core messages."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator

import msgspec

from shared.errors import SettingsError, Unavailable
from shared.events.bus import Message
from shared.events.memory_stream import MemoryConsumer, MemoryStream, Stored
from shared.events.subjects import matches, overlap
from shared.events.topology import Bucket, Durable, Stream, Topology


class Subscription(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Interest in a subject; of those with the same `queue` one hears each message."""

    subject: str
    queue: str
    take: Callable[[Message], None]
    again: Callable[[], None] | None = None


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """The newest revision of a key."""

    value: bytes
    revision: int
    written: float


class MemoryBucket:
    """The newest value of each key. Revisions count over the whole bucket, as a stream's sequences do."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.values: dict[str, Value] = {}
        self.revision = 0


class MemoryBroker:
    """Streams, consumers, buckets and subscriptions. `advance` moves its clock; `stop` and `start` are an outage."""

    def __init__(self) -> None:
        self.streams: dict[str, MemoryStream] = {}
        self.consumers: dict[str, MemoryConsumer] = {}
        self.buckets: dict[str, MemoryBucket] = {}
        self.running = True
        self.inboxes = itertools.count(1)
        self._subscriptions: list[Subscription] = []
        self._turn = itertools.count()
        self._ahead = 0.0
        self._waiting: set[asyncio.Event] = set()

    def now(self) -> float:
        """Seconds; only differences mean something."""
        return asyncio.get_running_loop().time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass: ack waits, naks with a delay, the dedup window and the age of keys run by this clock."""
        self._ahead += seconds
        self.changed()

    def stop(self) -> None:
        """Be down: every call raises Unavailable, what is stored stays."""
        self.running = False
        self.changed()

    def start(self) -> None:
        """Be there again."""
        self.running = True
        for interest in self._subscriptions:
            if interest.again is not None:
                interest.again()
        self.changed()

    def check(self) -> None:
        if not self.running:
            raise Unavailable("The message broker is not reachable.")

    def ensure(self, topology: Topology) -> None:
        self.check()
        for stream in topology.streams:
            self._ensure_stream(stream)
        for bucket in topology.buckets:
            known = self.buckets.setdefault(bucket.name, MemoryBucket(bucket))
            known.bucket = bucket
        for durable in topology.durables:
            self._ensure_consumer(durable)

    def _ensure_stream(self, stream: Stream) -> None:
        for other in self.streams.values():
            clash = [f"{a} and {b}" for a in stream.subjects for b in other.stream.subjects if overlap(a, b)]
            if other.stream.name != stream.name and clash:
                raise SettingsError(
                    f"The stream {stream.name} cannot be made as wanted: its subjects overlap with those of "
                    f"{other.stream.name} ({', '.join(clash)})."
                )
        self.streams.setdefault(stream.name, MemoryStream(stream)).stream = stream

    def _ensure_consumer(self, durable: Durable) -> None:
        stream = self.streams.get(durable.stream)
        if stream is None:
            raise SettingsError(
                f"The consumer {durable.name} is to read {durable.stream}, which is no stream."
            )
        self.consumers.setdefault(durable.name, MemoryConsumer(durable, stream)).durable = durable

    def stream(self, name: str) -> MemoryStream:
        self.check()
        if name not in self.streams:
            raise Unavailable(f"Stream {name} cannot be read: it does not exist.")
        return self.streams[name]

    def store(self, message: Stored, message_id: str) -> int:
        """Add an event to the stream of its subject."""
        self.check()
        for stream in self.streams.values():
            if any(matches(pattern, message.subject) for pattern in stream.stream.subjects):
                sequence = stream.add(message, message_id, self.now())
                self.changed()
                return sequence
        raise Unavailable(f"No stream takes {message.subject}.")

    def route(self, message: Message) -> int:
        """Hand a core message out; how many heard it."""
        self.check()
        heard = 0
        queues: dict[str, list[Subscription]] = {}
        for subscription in list(self._subscriptions):
            if not matches(subscription.subject, message.subject):
                continue
            if subscription.queue:
                queues.setdefault(subscription.queue, []).append(subscription)
            else:
                subscription.take(message)
                heard += 1
        for members in queues.values():
            members[next(self._turn) % len(members)].take(message)
            heard += 1
        return heard

    @contextlib.contextmanager
    def subscribed(self, subscription: Subscription) -> Iterator[None]:
        self._subscriptions.append(subscription)
        try:
            yield
        finally:
            self._subscriptions.remove(subscription)

    def changed(self) -> None:
        """Wake all who wait for something new."""
        for event in self._waiting:
            event.set()

    async def wait_for_change(self, seconds: float) -> None:
        """Return when something may be new, or after `seconds`."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), max(seconds, 0))
        finally:
            self._waiting.discard(event)
