"""Whether a sound file is whole: what it claims to hold beside what could be read."""

import os
from collections.abc import Iterator

_ALLOWED_GAP = 1.0  # seconds, and a twentieth, by which a sound may be shorter than its file claims
# Of these FFmpeg guesses how long they are by their bytes, unless they begin with a count.
_GUESSED = frozenset({"audio/mpeg", "audio/aac"})
_LAST = 128 * 1024  # bytes; an Ogg page has at most 65,307
_END_OF_STREAM = 4
_HEAD = 64 * 1024


def what_is_missing(descriptor: int, mime_type: str, claimed: float | None, found: float) -> Iterator[str]:
    """Warnings; all durations in seconds."""
    counted = mime_type not in _GUESSED or _has_count(descriptor)
    gap = (claimed or 0.0) - found
    if counted and gap > max(_ALLOWED_GAP if claimed and claimed > 20 else 0.1, (claimed or 0) / 20):
        yield f"The file says that it lasts {claimed:g} seconds; only {found:g} could be read."
    elif mime_type == "audio/ogg" and not _has_end(descriptor):
        yield "The file breaks off; what could be read is there."


def _has_count(descriptor: int) -> bool:
    """An MP3 whose first frame tells how many there are."""
    head = os.pread(descriptor, 10, 0)
    begin = 0
    if head[:3] == b"ID3":
        begin = 10 + sum(
            (byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
    frame = os.pread(descriptor, _HEAD, begin)
    place = min((at for at in (frame.find(b"Xing"), frame.find(b"Info")) if at >= 0), default=-1)
    return 0 <= place < _HEAD - 8 and bool(frame[place + 7] & 1)


def _has_end(descriptor: int) -> bool:
    """An Ogg file whose last page says so and is whole."""
    size = os.fstat(descriptor).st_size
    begin = max(0, size - _LAST)
    tail = os.pread(descriptor, _LAST, begin)
    place = tail.rfind(b"OggS\0")
    if place < 0 or len(tail) < place + 27:
        return False
    segments = tail[place + 26]
    table = tail[place + 27 : place + 27 + segments]
    end = place + 27 + segments + sum(table)
    return len(table) == segments and end <= len(tail) and bool(tail[place + 5] & _END_OF_STREAM)
