"""Finds in a JPEG the second one that is the gain map of an Ultra HDR photo, and the numbers that come with it."""

import mmap
import re
import struct
from collections.abc import Iterator

import msgspec

from services.processor.gain_numbers import of_xmp, speaks_of_gains
from shared.ultra_hdr import ISO, MPF, XMP, Gains, UnusableNumbers, read_iso

_MOST_SEGMENTS = 4096
_MOST_PICTURES = 8  # phones put two or three into a file
_MOST_BYTES = 32 * 1024 * 1024
_PICTURE = b"\xff\xd8\xff"
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_START_OF_SCAN, _END, _FILL = 0xDA, 0xD9, 0xFF
# Within a scan's data 0xFF is followed by 0, or by the number of a restart.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ZEROS = re.compile(rb"\0{0,65536}")
_LIST = 0xB002


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """The gain map as a JPEG, with whatever follows it in the file."""

    data: bytes
    gains: Gains


class _Head(msgspec.Struct, kw_only=True):
    """What the segments in front of the pixels say. `index`: the list of pictures, and where its offsets count from."""

    end: int
    iso: bytes | None = None
    xmp: bytes | None = None
    index: tuple[int, bytes] | None = None

    @property
    def claims(self) -> bool:
        return self.iso is not None or self.xmp is not None


class NoGainMap(ValueError):
    """The file says that it is Ultra HDR, and the gain map is not there or cannot be understood."""


def second_picture(view: mmap.mmap) -> Second | None:
    """None for a file that does not claim to have one. Raises NoGainMap, with the reason."""
    head = _head(view, 0)
    if not head.claims and head.index is None:
        return None
    for place in _places(view, head):
        found = _head(view, place)
        if (found.iso is not None and len(found.iso) > 4) or found.xmp is not None:
            return Second(data=view[place : place + _MOST_BYTES], gains=_gains(found))
    if head.claims:
        raise NoGainMap("it is not there")
    return None


def _gains(head: _Head) -> Gains:
    """The standard's own numbers, else the older ones in XMP."""
    faults = []
    for read, block in ((read_iso, head.iso), (of_xmp, head.xmp)):
        try:
            if block is not None:
                return read(block)
        except UnusableNumbers as error:
            faults.append(str(error))
    raise NoGainMap(faults[0])


def _head(view: mmap.mmap, start: int) -> _Head:
    position, head = start + 2, _Head(end=start)
    for _ in range(_MOST_SEGMENTS):
        marker = view[position : position + 2]
        if len(marker) < 2 or marker[0] != _FILL or marker[1] in {_START_OF_SCAN, _END}:
            break
        if marker[1] == _FILL or marker[1] in _ALONE:
            position += 1 if marker[1] == _FILL else 2
            continue
        length = int.from_bytes(view[position + 2 : position + 4])
        if marker[1] in {0xE1, 0xE2}:
            _note(head, view[position + 4 : position + 2 + length], position + 4)
        position += 2 + max(2, length)
    head.end = position
    return head


def _note(head: _Head, body: bytes, position: int) -> None:
    """The first of each kind counts."""
    if body.startswith(ISO) and head.iso is None:
        head.iso = body[len(ISO) :]
    elif body.startswith(XMP) and head.xmp is None and speaks_of_gains(body):
        head.xmp = body[len(XMP) :]
    elif body.startswith(MPF) and head.index is None:
        head.index = (position + len(MPF), body[len(MPF) :])


def _places(view: mmap.mmap, head: _Head) -> Iterator[int]:
    """Where pictures begin behind the first one: by its list, and else directly behind each other."""
    seen = set[int]()
    for place in _listed(*head.index) if head.index else ():
        if place > head.end and place not in seen and view[place : place + 3] == _PICTURE:
            seen.add(place)
            yield place
    end = head.end
    for _ in range(_MOST_PICTURES if head.claims else 0):
        behind = _next(view, end)
        if behind is None:
            return
        if behind not in seen:
            yield behind
        end = _head(view, behind).end


def _listed(counted_from: int, index: bytes) -> list[int]:
    """The places in the list of pictures (CIPA DC-007), whatever they lead to."""
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(index[:4])
    if order is None:
        return []
    try:
        (at,) = struct.unpack_from(order + "I", index, 4)
        (count,) = struct.unpack_from(order + "H", index, at)
        entries = struct.iter_unpack(order + "HHII", index[at + 2 : at + 2 + 12 * min(count, 16)])
        for tag, _, size, start in entries:
            if tag == _LIST:
                pictures = index[start : start + min(size // 16, _MOST_PICTURES) * 16]
                return [counted_from + entry[0] for entry in struct.iter_unpack(order + "8xI4x", pictures)]
    except struct.error:
        pass  # cut off, or no list at all: they are looked for by their own marks
    return []


def _next(view: mmap.mmap, position: int) -> int | None:
    """Where the picture after the one begins whose pixels are at `position`."""
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(view, position)
        if found is None:
            return None
        marker, position = view[found.start() + 1], found.end()
        if marker == _END:
            zeros = _ZEROS.match(view, position)
            position = zeros.end() if zeros else position
            return position if view[position : position + 3] == _PICTURE else None
        if marker not in _ALONE:
            position += int.from_bytes(view[position : position + 2])
    return None
