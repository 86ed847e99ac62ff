"""The arithmetic of a run of uploads: bytes of each file and of all, also when a file starts anew or is not sent."""

import time
from collections.abc import Callable
from typing import Protocol

import msgspec


class Watcher(Protocol):
    """Shows what changes; the bars do."""

    def begins(self, name: str, size: int) -> None: ...

    def moves(self, name: str, done: int) -> None: ...

    def ends(self, name: str) -> None: ...

    def totals(self, tally: "Tally") -> None: ...


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """The part of one file in a tally."""

    tally: "Tally"
    name: str

    def begin(self) -> None:
        self.tally.begin(self.name)

    def had(self, size: int) -> None:
        self.tally.had(self.name, size)

    def sent(self, size: int) -> None:
        self.tally.sent(self.name, size)


class Tally:
    """What is planned and what is done, in files and bytes.

    A file that is there already counts as a file that is done, but its bytes are taken out of what is planned: else
    the rate would be of bytes that never went over the wire, and the time that is left too short. A file that starts
    anew takes back what it had sent, so `done` never exceeds `planned`.
    """

    def __init__(
        self,
        sizes: dict[str, int],
        watcher: Watcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.files = len(sizes)
        self.files_done = 0
        self.planned = sum(sizes.values())
        self.done = 0
        self.wire = 0
        """Bytes that were sent, those that were sent again included."""
        self._sizes = sizes
        self._sent: dict[str, int] = {}
        self._watcher = watcher
        self._clock = clock
        self._began = clock()

    def meter(self, name: str) -> Meter:
        return Meter(tally=self, name=name)

    def begin(self, name: str) -> None:
        """An attempt: what a former one sent does not count any more."""
        self.done -= self._sent.get(name, 0)
        if name not in self._sent and self._watcher is not None:
            self._watcher.begins(name, self._sizes[name])
        self._sent[name] = 0
        self._tell(name)

    def sent(self, name: str, size: int) -> None:
        """So many more bytes of this file."""
        self._sent[name] += size
        self.done += size
        self.wire += size
        self._tell(name)

    def had(self, name: str, size: int) -> None:
        """So many of its bytes are there from a former attempt: done, but not over the wire of this one."""
        self._sent[name] += size
        self.done += size
        self._tell(name)

    def stored(self, name: str) -> None:
        """All of it is there."""
        self.done += self._sizes[name] - self._sent.get(name, 0)
        self._close(name)

    def all_sent(self, name: str) -> bool:
        """Whether it is under way, and its last byte is out."""
        return self._sent.get(name) == self._sizes[name]

    def passed(self, name: str) -> None:
        """It is not sent, or what was sent of it was in vain: none of its bytes are waited for."""
        self.done -= self._sent.get(name, 0)
        self.planned -= self._sizes[name]
        self._close(name)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """Bytes a second over the wire, on average since the beginning."""
        return self.wire / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until all is there, at that rate; None while nothing was sent."""
        if self.done >= self.planned:
            return 0.0
        return (self.planned - self.done) / self.rate if self.rate > 0 else None

    def _close(self, name: str) -> None:
        self.files_done += 1
        self._sent.pop(name, None)
        if self._watcher is not None:
            self._watcher.ends(name)
            self._watcher.totals(self)

    def _tell(self, name: str) -> None:
        if self._watcher is not None:
            self._watcher.moves(name, self._sent[name])
            self._watcher.totals(self)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run. `bytes` went over the wire, those that were sent again included."""

    uploaded: int
    skipped: int
    failed: int
    not_tried: int
    bytes: int
    seconds: float
