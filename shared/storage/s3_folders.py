"""The first object of a folder goes ahead of the others.

A store over a file system makes a folder with the first object in it. The embedded one may fail when two do so at once,
or lose sight of what one of them has stored there.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator

HEAD_START_SECONDS = 0.5
"""How long the others wait at the most: a slow first object must not hold up a folder."""
KEPT = 10_000


class Folders:
    """The folders that this process has lately stored into."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, asyncio.Event] = OrderedDict()

    @contextlib.asynccontextmanager
    async def entered(self, key: str) -> AsyncIterator[None]:
        """Around the storing of `key`."""
        folder = key.rpartition("/")[0]
        made = self._known.get(folder)
        if made is not None:
            if not made.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(made.wait(), HEAD_START_SECONDS)
            yield
            return
        made = self._known[folder] = asyncio.Event()
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        try:
            yield
        except BaseException:
            self.forget(key)
            raise
        finally:
            made.set()

    def forget(self, key: str) -> None:
        """The object is gone, and with it perhaps its folder."""
        self._known.pop(key.rpartition("/")[0], None)
