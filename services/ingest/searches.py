"""How many pictures one process looks at at once for reverse image search."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Unavailable


class Searches:
    """How many are under way in this process; the others hear at once that there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Raises Unavailable."""
        if self._under_way >= self._most:
            raise Unavailable(
                "Too many pictures are being searched for just now; try again soon.", retry_after=2
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
