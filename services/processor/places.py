"""Places for children: fresh uploads take the next free one before bulk work does, and have one of their own."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Places:
    """At most `count` at once, and `spare` more for urgent ones: bulk work never holds all places, nor does a place
    stay empty while only bulk work is there. Those who wait are served in their order, the urgent ones first."""

    def __init__(self, count: int, *, spare: int = 0) -> None:
        self._free = count
        self._spare = spare
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def take(self, *, urgent: bool) -> AsyncIterator[None]:
        """Hold a place while the context is open."""
        await self._acquire(urgent=urgent)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, *, urgent: bool) -> None:
        # Below zero, spare places are taken; those that are given back first fill these.
        if self._free > (-self._spare if urgent else 0):
            self._free -= 1
            return
        queue = self._urgent if urgent else self._patient
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the place was ours already
            else:
                queue.remove(turn)
            raise

    def _release(self) -> None:
        if self._hand_on(self._urgent) or (self._free >= 0 and self._hand_on(self._patient)):
            return
        self._free += 1

    def _hand_on(self, queue: "deque[asyncio.Future[None]]") -> bool:
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False
