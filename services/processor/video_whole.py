"""Whether a video ends before it says it does: what its container claims of its length, beside the bytes there are."""

import os
import struct

CUT = "The file breaks off; what could be read is there."
_HEAD = 64 * 1024
_MOST_BOXES = 100_000
_SLACK = 8  # bytes: some count the padding of a last chunk that they do not write
_BOXES = frozenset({b"moov", b"mdat", b"moof"})  # what else a box seems to be may be junk behind a whole file
_SEGMENT = b"\x18\x53\x80\x67"
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_BROADCAST = 1  # of an ASF stream that was begun before its length was known
_FLV_LENGTH = b"\x00\x08filesize\x00"


def is_cut(descriptor: int, mime_type: str) -> bool:
    """True where the container promises more bytes than there are; False where it does not say, or is whole."""
    size, head = os.fstat(descriptor).st_size, os.pread(descriptor, _HEAD, 0)
    if mime_type in {"video/mp4", "video/quicktime", "video/3gpp"}:
        return _boxes_end(descriptor, size) > size
    return _claimed(head, mime_type) > size + _SLACK


def _claimed(head: bytes, mime_type: str) -> int:
    """The length of the file in bytes, 0 where it is not told."""
    if mime_type == "video/x-msvideo" and head[:4] == b"RIFF":
        length = int.from_bytes(head[4:8], "little")
        return length + 8 if length < 2**32 - 1 else 0
    if mime_type in {"video/x-matroska", "video/webm"}:
        return _segment_end(head)
    if mime_type == "video/x-ms-wmv":
        place = head.find(_ASF_PROPERTIES)
        if place < 0 or len(head) < place + 92 or head[place + 88] & _BROADCAST:
            return 0
        return int.from_bytes(head[place + 40 : place + 48], "little")
    if mime_type == "video/x-flv":
        place = head.find(_FLV_LENGTH)
        number = head[place + len(_FLV_LENGTH) :][:8]
        told: float = struct.unpack(">d", number)[0] if place >= 0 and len(number) == 8 else 0.0
        return int(told) if 0 < told < 2**53 else 0
    return 0


def _segment_end(head: bytes) -> int:
    """Where Matroska's one segment ends (RFC 8794, 4.4 and 5); 0 where its length was not known when it was begun."""
    place = head.find(_SEGMENT)
    if place < 0 or len(head) < place + 12:
        return 0
    begin = place + len(_SEGMENT)
    width = 9 - head[begin].bit_length()
    if not 1 <= width <= 8:
        return 0
    length = int.from_bytes(head[begin : begin + width]) & ((1 << 7 * width) - 1)
    return begin + width + length if length != (1 << 7 * width) - 1 else 0


def _boxes_end(descriptor: int, size: int) -> int:
    """Where the last of the boxes of an MP4 that hold the film ends (ISO/IEC 14496-12, 4.2)."""
    place = end = 0
    for _ in range(_MOST_BOXES):
        head = os.pread(descriptor, 16, place)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4])
        length = int.from_bytes(head[8:16]) if length == 1 else length or size - place
        if length < 8:
            break
        if head[4:8] in _BOXES:
            end = place + length
        place += length
    return end
