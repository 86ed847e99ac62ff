"""Rebuilds the EXIF of a picture where it stands: what is known to hold no place is copied, all else is zero."""

import struct
from collections.abc import Callable
from typing import NamedTuple

_SHORT, _LONG, _IFD = 3, 4, 13
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_GPS, _THUMBNAIL, _THUMBNAIL_BYTES = 0x8825, 0x0201, 0x0202
_POINTERS = {0x014A, 0x8769, 0xA005}  # further pictures, the camera's directory, interoperability
_LAST_GPS_TAG = 0x1F
_KNOWN = frozenset(
    {
        *_POINTERS,
        # Interoperability.
        *(0x0001, 0x0002, 0x1000, 0x1001, 0x1002),
        # TIFF 6.0: how the picture is stored, what it shows, who made it with what and when.
        *(
            0x00FE,
            0x00FF,
            0x0100,
            0x0101,
            0x0102,
            0x0103,
            0x0106,
            0x0107,
            0x010A,
            0x010E,
            0x010F,
            0x0110,
            0x0112,
        ),
        *(
            0x0115,
            0x0116,
            0x0118,
            0x0119,
            0x011A,
            0x011B,
            0x011C,
            0x0128,
            0x0129,
            0x012D,
            0x0131,
            0x0132,
            0x013B,
        ),
        *(
            0x013C,
            0x013D,
            0x013E,
            0x013F,
            _THUMBNAIL,
            _THUMBNAIL_BYTES,
            0x0211,
            0x0212,
            0x0213,
            0x0214,
            0x8298,
        ),
        # Windows: stars, title, comment, author, keywords, subject.
        *(0x4746, 0x4749, *range(0x9C9B, 0x9CA0)),
        # Exif 3.0: exposure, sensitivity, time, lens, scene, names of camera and photographer.
        *(0x829A, 0x829D, 0x8822, 0x8827, 0x882A, 0x882B, *range(0x8830, 0x8836), 0x9000, 0x9003, 0x9004),
        *(
            *range(0x9010, 0x9013),
            0x9101,
            0x9102,
            *range(0x9201, 0x920C),
            0x9214,
            0x9286,
            *range(0x9290, 0x9293),
        ),
        *(
            0x9400,
            0x9401,
            0x9404,
            0x9405,
            *range(0xA000, 0xA004),
            0xA20B,
            *range(0xA20E, 0xA211),
            0xA214,
            0xA215,
        ),
        *(0xA217, *range(0xA300, 0xA303), *range(0xA401, 0xA40B), 0xA40C, 0xA420, *range(0xA430, 0xA43D)),
        *(*range(0xA460, 0xA463), 0xA500),
    }
)
"""What is copied. Not here: XMP, IPTC, Photoshop, GeoTIFF, maker notes and GPS, in which a place may
stand; air pressure and depth of water, which tell of one; and whatever nobody could look into."""
_MOST_DIRECTORIES, _MOST_ENTRIES = 8, 200  # a stranger's block costs milliseconds at most


class _Entry(NamedTuple):
    tag: int
    kind: int
    values: int
    raw: bytes
    """The last four bytes: the value, or where it is."""

    @property
    def length(self) -> int:
        return _TYPE_BYTES.get(self.kind, 0) * self.values


class _Directory(NamedTuple):
    entries: list[_Entry]
    following: int


def without_place(tiff: bytes, picture: Callable[[bytes], bytes]) -> bytes:
    """The block, as long as before, every value that stays where it was. `picture` takes the place out of a
    thumbnail. What is no TIFF becomes zeros."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return bytes(len(tiff))
    block = _Block(tiff, order)
    block.walk()
    return block.written(picture) if block.directories else bytes(len(tiff))


class _Block:
    """The directories of one block that are to stay, by where they are, and what GPS directories hold."""

    def __init__(self, tiff: bytes, order: str) -> None:
        self._tiff, self._order = tiff, order
        self._claimed: list[int] = []
        self._gps: list[tuple[int, int]] = []
        self._gps_seen = set[int]()
        self._budget = 4 * len(tiff)
        self.directories: dict[int, _Directory] = {}

    def walk(self) -> None:
        self._claim([self._number("I", 4)])
        for at in self._claimed:  # grows
            found = self._entries(at)
            entries = [entry for entry in found if self._stays(entry)]
            (count,) = struct.unpack_from(self._order + "H", self._tiff, at)
            end = at + 2 + 12 * count
            following = self._number("I", end) if end + 4 <= len(self._tiff) else 0
            self.directories[at] = _Directory(entries, following if self._claim([following]) else 0)
            for entry in found:
                if entry.tag == _GPS:
                    self._note_gps(entry)

    def written(self, picture: Callable[[bytes], bytes]) -> bytes:
        """Directories come last, the first at the very end: no value that lies across may hide the orientation."""
        made = bytearray(len(self._tiff))
        for directory in self.directories.values():
            for entry in directory.entries:
                if entry.length > 4:
                    start = self._offset(entry)
                    made[start : start + entry.length] = self._tiff[start : start + entry.length]
        self._write_thumbnail(made, picture)
        for start, end in self._gps:
            made[start:end] = bytes(end - start)
        for at, directory in reversed(self.directories.items()):
            packed = struct.pack(self._order + "H", len(directory.entries))
            for tag, kind, values, raw in directory.entries:
                packed += struct.pack(self._order + "HHI", tag, kind, values) + raw
            packed += struct.pack(self._order + "I", directory.following)
            packed = packed[: len(made) - at]
            made[at : at + len(packed)] = packed
        made[:8] = self._tiff[:8]
        return bytes(made)

    def _number(self, form: str, at: int) -> int:
        return int(struct.unpack_from(self._order + form, self._tiff, at)[0])

    def _offset(self, entry: _Entry) -> int:
        return int(struct.unpack(self._order + "I", entry.raw)[0])

    def _entries(self, at: int) -> list[_Entry]:
        """As many as there is room for."""
        if not 8 <= at <= len(self._tiff) - 2:
            return []
        count = min(self._number("H", at), _MOST_ENTRIES, (len(self._tiff) - at - 2) // 12)
        body = self._tiff[at + 2 : at + 2 + 12 * count]
        return [_Entry(*each) for each in struct.iter_unpack(self._order + "HHI4s", body)]

    def _claim(self, places: list[int]) -> bool:
        """Whether these are directories that nobody else points to: there are no loops then."""
        known = [*self._claimed]
        for at in places:
            if not 8 <= at <= len(self._tiff) - 2 or at in known or len(known) >= _MOST_DIRECTORIES:
                return False
            known.append(at)
        self._claimed += places
        return bool(places)

    def _stays(self, entry: _Entry) -> bool:
        if entry.tag not in _KNOWN or not entry.length:
            return False
        if entry.length > 4:
            start = self._offset(entry)
            self._budget -= entry.length
            outside = start < 8 or start + entry.length > len(self._tiff)
            if outside or self._budget < 0 or entry.tag <= _LAST_GPS_TAG:
                return False
        return entry.tag not in _POINTERS or self._claim(self._pointed(entry))

    def _pointed(self, entry: _Entry) -> list[int]:
        if entry.values == 1 and entry.kind in (_SHORT, _LONG, _IFD):
            return [self._number_in(entry)]
        if entry.kind in (_LONG, _IFD) and entry.values <= _MOST_DIRECTORIES:
            return list(struct.unpack_from(f"{self._order}{entry.values}I", self._tiff, self._offset(entry)))
        return []

    def _number_in(self, entry: _Entry) -> int:
        if entry.kind == _SHORT:
            return int(struct.unpack_from(self._order + "H", entry.raw)[0])
        return self._offset(entry)

    def _note_gps(self, pointer: _Entry) -> None:
        """Of whatever type the pointer is: its directory is copied by nobody, unless another value lies across."""
        places = {self._offset(pointer), *struct.unpack_from(self._order + "H", pointer.raw)} - self._gps_seen
        for at in sorted(places)[: _MOST_DIRECTORIES - len(self._gps_seen)]:
            self._gps_seen.add(at)
            for index, entry in enumerate(self._entries(at)):
                if entry.tag > _LAST_GPS_TAG:
                    continue
                spans = [(at + 2 + 12 * index, 12)]
                if entry.length > 4:
                    spans.append((self._offset(entry), entry.length))
                self._gps += [
                    (start, min(start + length, len(self._tiff)))
                    for start, length in spans
                    if start < len(self._tiff)
                ]

    def _write_thumbnail(self, made: bytearray, picture: Callable[[bytes], bytes]) -> None:
        """The first one; there is one in all cameras' files."""
        for directory in self.directories.values():
            numbers = {
                entry.tag: self._number_in(entry)
                for entry in directory.entries
                if entry.tag in (_THUMBNAIL, _THUMBNAIL_BYTES) and entry.values == 1
            }
            if len(numbers) == 2 and numbers[_THUMBNAIL] >= 8:
                start = numbers[_THUMBNAIL]
                bytes_of_it = self._tiff[start : start + numbers[_THUMBNAIL_BYTES]]
                if bytes_of_it.startswith(b"\xff\xd8"):
                    made[start : start + len(bytes_of_it)] = picture(bytes_of_it)
                    return
