"""What may be sent to the store a second time, and the answers after which that is worth it."""

from collections.abc import AsyncIterable, AsyncIterator

from shared.errors import Unavailable

KEEP_BYTES = 256 * 1024
"""Up to this length a body is collected and sent from memory; a longer one flows, and only once the store asks for it.
Servers written in Go read as much of a body that they do not want; behind more of it a refusal would be lost in a
reset."""


class StoreFault(Unavailable):
    """The store says that something went wrong on its side (500), so the same request may well succeed.

    The embedded store does this when two objects are the first of a folder at once and both make it.
    """


class Once:
    """A body that can be read once. `begun`: somebody has."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body
        self.begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        return aiter(self._body)
