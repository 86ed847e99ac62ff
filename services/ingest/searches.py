"""How many pictures one process looks at at once for reverse image search."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Unavailable

_DETAIL = "Too many pictures are being searched for just now; try again soon."


class Searches:
    """How many are under way, in all and by caller: nobody gets more than half of them. The others hear at once that
    there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = Counter[str]()

    @asynccontextmanager
    async def one(self, caller: str) -> AsyncIterator[None]:
        """Raises Unavailable."""
        own = max(1, self._most // 2)
        if self._under_way.total() >= self._most or self._under_way[caller] >= own:
            raise Unavailable(_DETAIL, retry_after=2)
        self._under_way[caller] += 1
        try:
            yield
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]
