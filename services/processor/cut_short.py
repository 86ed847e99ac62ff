"""Whether a file ends before its own structure says it should, for the formats whose codecs do not tell."""

import mmap
import struct

from services.processor.gif_blocks import ends_within_a_block, is_gif
from services.processor.png_chunks import chunks, is_png


def is_cut_short(mime_type: str, view: mmap.mmap) -> bool:
    """True when the container promises more bytes than there are; False when it does not say or is complete."""
    if mime_type == "image/png":
        return _png_is_cut_short(view)
    if mime_type == "image/webp":
        return view[:4] == b"RIFF" and len(view) >= 12 and _riff_end(view) > len(view)
    if mime_type == "image/gif":
        return is_gif(view) and ends_within_a_block(view)
    return False


def _riff_end(view: mmap.mmap) -> int:
    length: int = struct.unpack_from("<I", view, 4)[0]
    return length + 8


def _png_is_cut_short(view: mmap.mmap) -> bool:
    """It is, unless a chunk that says it is the last one ends within the bytes."""
    return is_png(view) and not any(kind == b"IEND" and end <= len(view) for kind, end in chunks(view))
