"""Whether a file ends before its own structure says it should, for the formats whose codecs do not tell."""

import mmap
import struct

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_cut_short(mime_type: str, view: mmap.mmap) -> bool:
    """True when the container promises more bytes than there are; False when it does not say or is complete."""
    if mime_type == "image/png":
        return _png_is_cut_short(view)
    if mime_type == "image/webp":
        return view[:4] == b"RIFF" and len(view) >= 12 and _riff_end(view) > len(view)
    return False


def _riff_end(view: mmap.mmap) -> int:
    length: int = struct.unpack_from("<I", view, 4)[0]
    return length + 8


def _png_is_cut_short(view: mmap.mmap) -> bool:
    """Walks the chunks (length, type, data, CRC) until IEND or the end of the bytes."""
    if view[:8] != _PNG_SIGNATURE:
        return False
    position = 8
    while position + 12 <= len(view):
        length: int
        kind: bytes
        length, kind = struct.unpack_from(">I4s", view, position)
        position += 12 + length
        if kind == b"IEND":
            return position > len(view)
    return True
