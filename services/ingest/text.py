"""Text, which has no magic bytes: UTF-8, UTF-16 with a byte order mark, or Windows-1252, held to that to its last byte."""

import codecs
from collections.abc import AsyncIterator

from shared.errors import UnsupportedType
from shared.formats import OCTETS, Format

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What no text in Windows-1252 has: controls other than tabs and ends of lines and pages, and what it has no letter for.
_NEVER_OLD = bytes({*range(0x20), 0x7F, 0x81, 0x8D, 0x8F, 0x90, 0x9D} - set(b"\t\n\v\f\r"))


class _Reading:
    """Bytes that are taken for text as long as they are. What is no UTF-8 may be Windows-1252, as old programs write
    it, if nothing before it was a character of UTF-8 that this does not have."""

    def __init__(self, head: bytes) -> None:
        self._has_mark = head.startswith(_MARKS)
        self._decoder = codecs.getincrementaldecoder("utf-16" if self._has_mark else "utf-8")()
        self._is_old = self._is_beyond_ascii = False
        self._may_be_old = not self._has_mark

    def take(self, piece: bytes, *, final: bool = False) -> bool:
        """Whether all so far is text; where `final`, without half a character at its end."""
        self._may_be_old = self._may_be_old and len(piece.translate(None, _NEVER_OLD)) == len(piece)
        if not self._is_old:
            try:
                text = self._decoder.decode(piece, final)
            except UnicodeDecodeError as error:
                is_cut = final and error.end == len(error.object) and "end of data" in error.reason
                before = error.object[: error.start]
                self._is_old = not (is_cut or self._is_beyond_ascii) and before.isascii()
                return self._is_old and self._may_be_old
            self._is_beyond_ascii = self._is_beyond_ascii or not text.isascii()
            return "\0" not in text
        return self._may_be_old


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
                "without NUL, nor UTF-16 after a byte order mark, nor Windows-1252 without control characters.",
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
