"""How many scans a progressive JPEG has: each may be a few bytes long and costs a pass over the whole picture."""

import mmap
import re

from shared.jpeg_frame import jpeg_frame

MOST_SCANS = 100
"""Encoders write some ten. A file of 300 KB and 880 scans kept a processor busy for more than a minute."""

_MOST_MARKERS = 4096
# Within a scan's data 0xFF is followed by 0, or by the number of a restart.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START_OF_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, 0xD8})


def has_too_many_scans(view: bytes | mmap.mmap) -> bool:
    """Whether a progressive JPEG has more than MOST_SCANS. What lies behind the picture's end does not count."""
    frame = jpeg_frame(view)
    if frame is None or not frame.progressive:
        return False
    scans, position = 0, 2
    for _ in range(_MOST_MARKERS):
        found = _MARKER.search(view, position)
        if found is None or view[found.start() + 1] == _END:
            return False
        marker, position = view[found.start() + 1], found.end()
        scans += marker == _START_OF_SCAN
        if scans > MOST_SCANS:
            return True
        if marker not in _WITHOUT_LENGTH:
            position += int.from_bytes(view[position : position + 2])
    return True
