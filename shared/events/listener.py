"""Core messages that have been heard and not yet read."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from shared.events.bus import Message

LONGEST = 4096


class Listener:
    """A queue that never blocks who fills it: the oldest messages go when the reader is too slow."""

    def __init__(self) -> None:
        self._heard: deque[Message] = deque(maxlen=LONGEST)
        self._wake = asyncio.Event()

    def take(self, message: Message) -> None:
        self._heard.append(message)
        self._wake.set()

    async def messages(self) -> AsyncIterator[Message]:
        """All of them, for ever."""
        while True:
            while self._heard:
                yield self._heard.popleft()
            self._wake.clear()
            await self._wake.wait()
