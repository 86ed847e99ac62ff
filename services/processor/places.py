"""Places for children: fresh uploads take the next free one before bulk work does, and have one of their own."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class _Waiter:
    owner: str
    turn: asyncio.Future[None]


@dataclass(slots=True)
class _Line:
    """Who waits, in the order of their coming, and how many places each owner holds by this line."""

    waiting: list[_Waiter] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)

    def next(self, *, newcomers_only: bool = False) -> _Waiter | None:
        """Of those whose owners hold fewest places the one who came first. `newcomers_only`: who holds none."""
        waiting = (waiter for waiter in self.waiting if not waiter.turn.done())
        first = min(waiting, key=lambda waiter: self.held[waiter.owner], default=None)
        if first is not None and newcomers_only and self.held[first.owner]:
            return None
        return first


class Places:
    """At most `count` at once, and `spare` more for urgent ones whose owners hold no urgent place: neither bulk work
    nor one owner's fresh files keep all from others, and no place stays empty while there is work.

    The urgent ones are served first; among them, as among the others, owners take turns: who holds fewest goes first.
    """

    def __init__(self, count: int, *, spare: int = 0) -> None:
        self._free = count  # below zero, spare places are taken; those that are given back first fill these
        self._spare = spare
        self._urgent, self._patient = _Line(), _Line()

    @contextlib.asynccontextmanager
    async def take(self, owner: str, *, urgent: bool) -> AsyncIterator[None]:
        """Hold a place for `owner` while the context is open."""
        line = self._urgent if urgent else self._patient
        await self._acquire(line, owner)
        try:
            yield
        finally:
            self._give_back(line, owner)

    async def _acquire(self, line: _Line, owner: str) -> None:
        waiter = _Waiter(owner, asyncio.get_running_loop().create_future())
        line.waiting.append(waiter)
        self._hand_out()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._give_back(line, owner)  # the place was ours already
            else:
                line.waiting.remove(waiter)
            raise

    def _give_back(self, line: _Line, owner: str) -> None:
        self._free += 1
        line.held[owner] -= 1
        if not line.held[owner]:
            del line.held[owner]
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free > -self._spare:
            line, waiter = self._urgent, self._urgent.next(newcomers_only=self._free <= 0)
            if waiter is None and self._free > 0:
                line, waiter = self._patient, self._patient.next()
            if waiter is None:
                return
            line.waiting.remove(waiter)
            line.held[waiter.owner] += 1
            self._free -= 1
            waiter.turn.set_result(None)
