"""Whether a sound file is whole: what it claims to hold beside what could be read."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from av.container import InputContainer

from services.processor.audio_mp3 import frame_of, is_frame
from services.processor.audio_steady import Steady
from services.processor.video_source import sound_stream

if TYPE_CHECKING:
    from av.packet import Packet

# Seconds by which a sound may be shorter than its file claims: a hundredth of it, within these.
_LEAST_GAP, _ALLOWED_GAP = 0.055, 1.0
_LOOSE = 0.15  # ASF counts what it holds back in front, too
# Of these FFmpeg guesses how long they are by their bytes.
_GUESSED = frozenset({"audio/mpeg", "audio/aac"})
_LAST = 128 * 1024  # bytes; an Ogg page has at most 65,307
_END_OF_STREAM = 4
_HEAD = 64 * 1024
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MOST_KNOWN = 2**31 - 2**20  # bytes; programs write this and more for what they do not know
# Of MP3: from the head of a frame to the count in it, how often the rate is halved by version, and how many samples
# encoders put in front and behind, as those of AAC do.
_BEFORE_COUNT, _HALVINGS, _SILENT = (36, 21, 13), (2, 0, 1, 0), 2304
_RATES = (44_100, 48_000, 32_000, 0)


class End:
    """Hears of every packet, and knows in the end whether the last was cut."""

    def __init__(self, mime_type: str) -> None:
        self._mime_type = mime_type
        self._head, self._size, self._is_corrupt = b"", 0, False

    def hear(self, packet: "Packet[Any]") -> None:
        if packet.size:
            self._head, self._size = bytes(memoryview(packet)[:8]), packet.size
            self._is_corrupt = self._is_corrupt or packet.is_corrupt

    @property
    def is_cut(self) -> bool:
        return self._is_corrupt or self._size < self._length()

    def _length(self) -> int:
        """Bytes of the last frame by its own head, 0 where that does not tell."""
        head = self._head
        if self._mime_type == "audio/aac" and len(head) >= 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
            return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        found = frame_of(head[:4]) if self._mime_type == "audio/mpeg" else None
        return found[2] if found else 0


def what_is_missing(
    descriptor: int, mime_type: str, claimed: float | None, steady: Steady, end: End
) -> Iterator[str]:
    """Warnings. `claimed` in seconds."""
    if mime_type in _GUESSED or (mime_type == "audio/x-ms-wma" and _is_broadcast(descriptor)):
        claimed = _counted(descriptor) if mime_type == "audio/mpeg" else None
    found = steady.samples / steady.rate
    gap = (claimed or 0.0) - found
    least = _LOOSE if mime_type == "audio/x-ms-wma" else _LEAST_GAP
    if claimed and gap > max(least, _SILENT / steady.rate, min(_ALLOWED_GAP, claimed / 100)):
        yield f"The file says that it lasts {claimed:.6g} seconds; only {round(found, 3):g} could be read."
    elif end.is_cut and mime_type == "audio/wav" and _is_of_any_length(descriptor):
        return
    elif end.is_cut or (mime_type == "audio/ogg" and not _has_end(descriptor)):
        yield "The file breaks off; what could be read is there."


def claimed_by(source: InputContainer, told: float | None) -> float | None:
    """How long the sound is by its own stream or by `told` of the whole file; None where nobody says. The lower one:
    the file counts chapters and subtitles, the stream what an edit list leaves out."""
    stream = sound_stream(source)
    if stream is not None and stream.duration and stream.time_base and 0 < stream.duration < 2**60:
        own = round(float(stream.duration * stream.time_base), 3)
        return min(own, told) if told else own
    return told


def _counted(descriptor: int) -> float | None:
    """Seconds that are in an MP3 at least, by the number of frames that the first of them tells."""
    head = os.pread(descriptor, 10, 0)
    begin = 0
    if head[:3] == b"ID3":
        begin = 10 + sum(
            (byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
    first = os.pread(descriptor, _HEAD, begin)
    place = min((at for at in (first.find(b"Xing"), first.find(b"Info")) if at >= 0), default=-1)
    if not 0 <= place <= _HEAD - 12 or not first[place + 7] & 1:
        return None
    for back in _BEFORE_COUNT:
        head = first[max(0, place - back) :][:4]
        if len(head) == 4 and is_frame(head):
            halvings = _HALVINGS[head[1] >> 3 & 3]
            rate = _RATES[head[2] >> 2 & 3] >> halvings
            count = int.from_bytes(first[place + 8 : place + 12])
            return max(0, count * (1152 >> (halvings > 0)) - _SILENT) / rate if rate else None
    return None


def _is_of_any_length(descriptor: int) -> bool:
    """A WAV that was written into a pipe, whose length nobody knew beforehand: it ends where it ends."""
    head = os.pread(descriptor, _HEAD, 0)
    place = head.find(b"data", 12)
    size = int.from_bytes(head[place + 4 : place + 8], "little") if place > 0 else 1
    return head[:4] == b"RIFF" and (size == 0 or size > _MOST_KNOWN)


def _is_broadcast(descriptor: int) -> bool:
    """An ASF file that was sent as it was made: what it says of its length means nothing."""
    head = os.pread(descriptor, _HEAD, 0)
    place = head.find(_FILE_PROPERTIES)
    return place >= 0 and bool(int.from_bytes(head[place + 88 : place + 89]) & 1)


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
