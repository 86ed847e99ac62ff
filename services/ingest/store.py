"""Whether the object store is there, as far as is known."""

import asyncio

import structlog

from shared.errors import Unavailable
from shared.storage.blobs import Blobs

log = structlog.get_logger()

_LOOK_SECONDS = 1.0


class StoreWatch:
    """Remembers what the last call to the store has shown. A store that is down is looked at again by whoever
    wants to use it, so that its return is noticed at once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._trouble: str | None = None

    def failed(self, error: Unavailable) -> None:
        """A call has shown that it is down."""
        self._trouble = error.detail

    async def look(self) -> None:
        """Ask it. Raises Unavailable."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._blobs.check()
        except TimeoutError as error:
            self._note(f"The object store did not answer within {_LOOK_SECONDS:g} s.")
            raise Unavailable(str(self._trouble), retry_after=2) from error
        except Unavailable as error:
            self._note(error.detail)
            raise
        self._note(None)

    async def check(self) -> None:
        """Return at once unless it is known to be down. Raises Unavailable when it still is."""
        if self._trouble is not None:
            await self.look()

    def _note(self, trouble: str | None) -> None:
        if (trouble is None) != (self._trouble is None):
            log.info("store.changed", down=trouble is not None, trouble=trouble)
        self._trouble = trouble
