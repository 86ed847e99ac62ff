"""Walks the chunks of a PNG: length, type, data, CRC."""

import mmap
import struct
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME = 12  # length, type and CRC


def is_png(view: mmap.mmap) -> bool:
    return view[:8] == _SIGNATURE


def chunks(view: mmap.mmap) -> Iterator[tuple[bytes, int]]:
    """Type and end of each chunk that begins within the bytes; its end may lie beyond them. None where it is no PNG."""
    position = len(_SIGNATURE)
    while is_png(view) and position + _FRAME <= len(view):
        length: int
        kind: bytes
        length, kind = struct.unpack_from(">I4s", view, position)
        position += _FRAME + length
        yield kind, position
