"""Text, which has no magic bytes: it is UTF-8, or UTF-16 with a byte order mark, and has no NUL, to its last byte."""

import codecs
from collections.abc import AsyncIterator

from shared.errors import UnsupportedType
from shared.formats import OCTETS, Format

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_text(head: bytes, *, whole: bool) -> bool:
    """Whether the bytes are text; unless `whole`, a character cut off at the end is fine."""
    try:
        return "\0" not in _decoder(head).decode(head, whole)
    except UnicodeDecodeError:
        return False


async def proved(found: Format, head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, of a file that begins with `head` and claims to be text. Raises UnsupportedType where it is
    none after all."""
    decoder = _decoder(head)
    received = 0
    async for piece in pieces:
        received += len(piece)
        _check(decoder, piece, received, found)
        yield piece
    _check(decoder, b"", received, found, final=True)


def _decoder(head: bytes) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-16" if head.startswith(_MARKS) else "utf-8")()


def _check(
    decoder: codecs.IncrementalDecoder, piece: bytes, received: int, found: Format, *, final: bool = False
) -> None:
    try:
        binary = "\0" in decoder.decode(piece, final)
    except UnicodeDecodeError:
        binary = True
    if binary and final:
        raise UnsupportedType(
            f"The file claims to be {found.mime}, but its last character is cut off at byte {received}, where it ends.",
            claimed=found.mime,
            found=OCTETS,
        )
    if binary:
        raise UnsupportedType(
            f"The file claims to be {found.mime}, but something before byte {received} of it is neither UTF-8 nor, "
            "after a byte order mark, UTF-16 text without NUL.",
            claimed=found.mime,
            found=OCTETS,
        )
