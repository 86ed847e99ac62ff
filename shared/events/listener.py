"""Core messages that have been heard and not yet read."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from shared.events.bus import Message

LONGEST = 4096


class Listener:
    """A queue that never blocks who fills it: the oldest messages go when the reader is too slow. Then `on_gap` is
    called, once until all that waits has been read."""

    def __init__(self, on_gap: Callable[[], None] | None = None) -> None:
        self._on_gap = on_gap
        self._losing = False
        self._heard: deque[Message] = deque(maxlen=LONGEST)
        self._wake = asyncio.Event()

    def take(self, message: Message) -> None:
        if len(self._heard) == LONGEST and not self._losing:
            self._losing = True
            if self._on_gap is not None:
                self._on_gap()
        self._heard.append(message)
        self._wake.set()

    async def messages(self) -> AsyncIterator[Message]:
        """All of them, for ever."""
        while True:
            while self._heard:
                yield self._heard.popleft()
            self._losing = False
            self._wake.clear()
            await self._wake.wait()
