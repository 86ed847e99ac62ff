"""What a file's head could only promise is held against its bytes while they stream, to the last."""

from collections.abc import AsyncIterator

from services.ingest import office, text
from shared.formats import Format


def proved(found: Format, head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces. Raises UnsupportedType, at the end at the latest, where they are not what was found."""
    if found.text:
        return text.proved(found, head, pieces)
    if office.needs_proof(found, head):
        return office.proved(found, pieces)
    return pieces
