"""Streams and pull consumers in memory, with the rules of JetStream."""

import msgspec

from shared.errors import Malformed, Unavailable
from shared.events.bus import Headers
from shared.events.subjects import matches
from shared.events.topology import Durable, Stream

ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event in a stream."""

    subject: str
    data: bytes
    headers: Headers

    @property
    def size(self) -> int:
        return len(self.data) + sum(len(name) + len(value) for name, value in self.headers.items())

    @property
    def kept(self) -> int:
        """With what the broker keeps beside it."""
        return self.size + len(self.subject) + 22


class MemoryStream:
    """Events by sequence, from 1."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.events: dict[int, Stored] = {}
        self.last = 0
        self._size = 0
        self._ids: dict[str, tuple[int, float]] = {}

    def add(self, event: Stored, message_id: str, now: float) -> int:
        """The sequence; that of the first one where the id was seen within the dedup window."""
        window = self.stream.duplicate_window.total_seconds()
        known = self._ids.get(message_id)
        if known is not None and now - known[1] < window:
            return known[0]
        if event.size > self.stream.max_stored_bytes:
            raise Malformed(
                f"The broker refuses the {len(event.data)} bytes of {message_id} on {event.subject}: "
                f"at most {self.stream.max_stored_bytes} are allowed, headers included."
            )
        if self._size + event.kept > self.stream.max_bytes:
            raise Unavailable(f"Stream {self.stream.name} is full: publish {event.subject}.")
        self.last += 1
        self._size += event.kept
        self.events[self.last] = event
        self._ids[message_id] = (self.last, now)
        return self.last

    def erase(self, sequence: int) -> None:
        event = self.events.pop(sequence, None)
        self._size -= event.kept if event else 0


class _Pending(msgspec.Struct, kw_only=True):
    """Handed out and not settled; handed out again at `due`."""

    delivered: int
    due: float


class MemoryConsumer:
    """Where one durable stands in its stream."""

    def __init__(self, durable: Durable, stream: MemoryStream) -> None:
        self.durable = durable
        self.stream = stream
        self.exhausted: list[int] = []
        """Sequences that were handed out `max_deliver` times and never come again, not yet announced."""
        self._next = 1
        self._pending: dict[int, _Pending] = {}

    def take(self, batch: int, now: float) -> list[tuple[int, int]]:
        """Up to `batch` pairs of sequence and delivery count, those to be handed out again first."""
        self._forget(now)
        again = sorted(seq for seq, pending in self._pending.items() if pending.due <= now)
        taken = [self._hand_out(seq, now) for seq in again[:batch]]
        while len(taken) < batch and len(self._pending) < self.durable.max_ack_pending:
            sequence = self._advance()
            if sequence is None:
                break
            taken.append(self._hand_out(sequence, now))
        return taken

    @property
    def floor(self) -> int:
        """The place up to which all that are for it are settled."""
        if self._pending:
            return min(self._pending) - 1
        waiting = (n for n in range(self._next, self.stream.last + 1) if self._is_ours(n))
        return next(waiting, self.stream.last + 1) - 1

    def next_due(self) -> float | None:
        """When the next unsettled one is handed out again."""
        return min((pending.due for pending in self._pending.values()), default=None)

    def settle(self, sequence: int) -> None:
        self._pending.pop(sequence, None)

    def postpone(self, sequence: int, due: float) -> None:
        pending = self._pending.get(sequence)
        if pending is not None:
            pending.due = due

    def _hand_out(self, sequence: int, now: float) -> tuple[int, int]:
        pending = self._pending.setdefault(sequence, _Pending(delivered=0, due=0))
        pending.delivered += 1
        pending.due = now + self.durable.ack_wait.total_seconds()
        return sequence, pending.delivered

    def _advance(self) -> int | None:
        while self._next <= self.stream.last:
            sequence = self._next
            self._next += 1
            if self._is_ours(sequence):
                return sequence
        return None

    def _is_ours(self, sequence: int) -> bool:
        event = self.stream.events.get(sequence)
        return event is not None and any(matches(s, event.subject) for s in self.durable.subjects)

    def _forget(self, now: float) -> None:
        """Those erased from the stream, and those handed out too often."""
        for sequence, pending in list(self._pending.items()):
            if sequence not in self.stream.events:
                del self._pending[sequence]
            elif pending.due <= now and pending.delivered >= self.durable.max_deliver:
                del self._pending[sequence]
                self.exhausted.append(sequence)
