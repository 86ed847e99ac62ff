"""Whether an original may stand for a variant of its own size: it shows the same, and has nothing to leave out."""

import mmap

from services.processor.embedded import Embedded
from services.processor.vips import Image

_SCAN, _LENGTH_OF_JFIF = 0xDA, 16
_PICTURE = frozenset(
    {*range(0xC0, 0xD0), 0xDB, 0xDD, 0xEE}
)  # frames and tables, restarts, and what Adobe says of colours
_MOST_SEGMENTS = 64


def is_plain(mime_type: str, header: Image, found: Embedded, view: mmap.mmap) -> bool:
    """An upright picture of 8-bit sRGB or greys without metadata, profile or remarks, as far as its header says. It may
    be transparent."""
    fields = header.get_fields()
    turned = "orientation" in fields and header.get("orientation") != 1
    remarks = any(name.startswith("png-comment-") for name in fields)
    if turned or remarks or found != Embedded():
        return False
    if header.format != "uchar" or header.interpretation not in {"srgb", "b-w"}:
        return False
    return mime_type != "image/jpeg" or _has_pictures_alone(view)


def _has_pictures_alone(view: mmap.mmap) -> bool:
    """Whether the segments in front of the first scan of a JPEG are all about its pixels."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        marker, length = view[position : position + 2], int.from_bytes(view[position + 2 : position + 4])
        if len(marker) < 2 or marker[0] != 0xFF:
            return False
        if marker[1] == _SCAN:
            return True
        if marker[1] not in _PICTURE and (marker[1], length) != (0xE0, _LENGTH_OF_JFIF):
            return False
        position += 2 + length
    return False
