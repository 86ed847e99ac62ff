"""Text, which has no magic bytes: UTF-8, UTF-16 with a byte order mark, or an older encoding, to its last byte."""

import codecs
from collections.abc import AsyncIterator

from shared.errors import UnsupportedType
from shared.formats import OCTETS, Format

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What is in no text of an older encoding (Windows-1252, KOI8-R, Shift JIS, ...), though it may be in one in UTF-8.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\v\f\r"))


class _Reading:
    """Bytes that are taken for text as long as they are."""

    def __init__(self, head: bytes) -> None:
        self._has_mark = head.startswith(_MARKS)
        self._decoder = codecs.getincrementaldecoder("utf-16" if self._has_mark else "utf-8")()
        self._is_unicode, self._has_controls = True, False

    def take(self, piece: bytes, *, final: bool = False) -> bool:
        """Whether all so far is text; where `final`, its last character too."""
        self._has_controls = self._has_controls or len(piece.translate(None, _CONTROLS)) < len(piece)
        if self._is_unicode:
            try:
                return "\0" not in self._decoder.decode(piece, final)
            except UnicodeDecodeError:
                self._is_unicode = False
        return not (self._has_mark or self._has_controls)


def is_text(head: bytes, *, whole: bool) -> bool:
    """Whether the bytes are text; unless `whole`, a character cut off at the end is fine."""
    return _Reading(head).take(head, final=whole)


async def proved(found: Format, head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, of a file that begins with `head` and claims to be text. Raises UnsupportedType where it is
    none after all."""
    reading, received = _Reading(head), 0
    async for piece in pieces:
        received += len(piece)
        if not reading.take(piece):
            raise UnsupportedType(
                f"The file claims to be {found.mime}, but something before byte {received} of it is neither UTF-8 "
                "nor, after a byte order mark, UTF-16 without NUL, nor an older encoding without control characters.",
                claimed=found.mime,
                found=OCTETS,
            )
        yield piece
    if not reading.take(b"", final=True):
        raise UnsupportedType(
            f"The file claims to be {found.mime}, but its last character is cut off at byte {received}, where it ends.",
            claimed=found.mime,
            found=OCTETS,
        )
