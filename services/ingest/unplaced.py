"""Takes the place where a photo was taken out of a JPEG while it streams: as many bytes as before, no pixel touched."""

import re
import struct
from collections.abc import AsyncIterator, Iterator

from services.ingest.attempt import File
from services.ingest.transfer import Head
from shared.errors import Invalid
from shared.profiles import Profile, Profiles

_EXIF, _XMP, _MORE_XMP = (
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"http://ns.adobe.com/xmp/extension/\0",
)
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_ALONE = {0x01, 0xD8, *range(0xD0, 0xD8)}  # markers without a length
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # that is none of those inside compressed pixels
_PICTURE = re.compile(rb"\xff\xd8\xff")
_GPS_IFD, _LAST_GPS_TAG = 0x8825, 0xFF
_NESTED = (0x014A, 0x8769)
_MOST_IFDS = 16
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# `exif:GPSLatitude`, and what drones write. All repeats are bounded: the text is a stranger's.
_NAME = rb"[:<](?:gps\w{0,40}|\w{0,20}(?:latitude|longt?itude|altitude))"
_ATTRIBUTE = re.compile(rb"(" + _NAME + rb"\s{0,9}=\s{0,9})(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_ELEMENT = re.compile(rb"(" + _NAME + rb"(?:\s[^<>]{0,200})?>)([^<]+)", re.IGNORECASE)


async def of(profiles: Profiles, file: File) -> tuple[Head, AsyncIterator[bytes]]:
    """Head and rest of the file as they are stored: without a place where its profile asks for that."""
    source = file.source
    asked = source.profile_known and profiles[source.early.profile].strip_gps
    if not asked or file.found.mime != "image/jpeg":
        return file.head, source.chunks
    rest = unplaced(_from(file.head, source.chunks))
    return Head(data=await anext(rest), whole=False), rest


def check(profile: Profile, name: str, file: File) -> None:
    """Raises Invalid where the profile came too late for the place to be taken out."""
    if profile.strip_gps and not file.source.profile_known:
        raise Invalid(
            f"Files of the profile {name!r} are stored without the place where they were taken, so the form must say "
            "`profile` before the file.",
            field="profile",
        )


async def _from(head: Head, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head.data
    if not head.whole:
        async for piece in chunks:
            yield piece


async def unplaced(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same file without a place. Holds back at most one segment of 64 KiB beside the piece that came."""
    jpeg = Jpeg()
    async for piece in pieces:
        if made := jpeg.feed(piece):
            yield made
    if rest := jpeg.end():
        yield rest


class Jpeg:
    """Knows where in the file it is: between segments, within pixels, or behind the end, where phones put further
    pictures with EXIF of their own."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._done = bytearray()
        self._searching: re.Pattern[bytes] | None = None

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on now."""
        self._held += piece
        while self._search() if self._searching else self._segment():
            pass
        made, self._done = bytes(self._done), bytearray()
        return made

    def end(self) -> bytes:
        """What was held back. A segment that is cut short is not let out with a place in it."""
        rest, self._held = self._held, bytearray()
        return bytes(rest[:4] + bytes(len(rest[4:])) if rest[:2] == b"\xff\xe1" else rest)

    def _pass(self, count: int) -> None:
        self._done += self._held[:count]
        del self._held[:count]

    def _search(self) -> bool:
        """Pass on what is no segment; whether there is more to look at."""
        found = self._searching.search(self._held) if self._searching else None
        if found is None:
            self._pass(max(0, len(self._held) - 2))  # the sign that is looked for may have begun
            return False
        self._pass(found.start())
        self._searching = None
        return True

    def _segment(self) -> bool:
        held = self._held
        if len(held) < 2:
            return False
        if held[0] != 0xFF or held[1] == 0:  # no JPEG, or a broken one: decoders look for the next marker
            return self._look_for(_MARKER, behind=1)
        if held[1] == _END:
            return self._look_for(_PICTURE, behind=2)
        if held[1] == 0xFF or held[1] in _ALONE:
            self._pass(1 if held[1] == 0xFF else 2)
            return True
        return self._whole_segment(held[1])

    def _whole_segment(self, kind: int) -> bool:
        held = self._held
        size = 2 + int.from_bytes(held[2:4])
        if len(held) < max(4, size):
            return False
        if kind == _APP1:
            held[4:size] = without_place(bytes(held[4:size]))
        if kind == _SCAN or size < 4:
            return self._look_for(_MARKER, behind=size)
        self._pass(size)
        return True

    def _look_for(self, sign: re.Pattern[bytes], behind: int) -> bool:
        self._pass(behind)
        self._searching = sign
        return True


def without_place(block: bytes) -> bytes:
    """The content of an APP1 segment, as long as before."""
    if block.startswith(_EXIF):
        return _EXIF + _exif(bytearray(block[len(_EXIF) :]))
    if block.startswith(_XMP):
        return _ELEMENT.sub(_blank_text, _ATTRIBUTE.sub(_blank_value, block))
    if block.startswith(_MORE_XMP):  # parts of one text, which may be cut anywhere: depth maps, mostly
        return _MORE_XMP + b" " * (len(block) - len(_MORE_XMP))
    return block


def _blank_value(found: re.Match[bytes]) -> bytes:
    quote = found[2][:1]
    return found[1] + quote + b" " * (len(found[2]) - 2) + quote


def _blank_text(found: re.Match[bytes]) -> bytes:
    return found[1] + b" " * len(found[2])


def _exif(tiff: bytearray) -> bytes:
    """With a GPS directory that is empty. What is no TIFF is wiped: some reader may find its way through it."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None or len(tiff) < 8:
        return bytes(len(tiff))
    for directory in list(dict.fromkeys(_places(tiff, order)))[:_MOST_IFDS]:
        entries = list(_entries(tiff, order, directory))
        ours = [index for index, (tag, *_) in enumerate(entries) if tag <= _LAST_GPS_TAG]
        for index in ours:
            _, kind, count, offset = entries[index]
            length = _TYPE_BYTES.get(kind, 1) * count
            if length > 4:
                _wipe(tiff, offset, length)
            _wipe(tiff, directory + 2 + 12 * index, 12)
        if len(ours) == len(
            entries
        ):  # some writers point to the camera's directory instead, which has to stay
            _wipe(tiff, directory, 2)
    return bytes(tiff)


def _wipe(tiff: bytearray, offset: int, length: int) -> None:
    if offset >= 8:  # the header stays
        end = min(len(tiff), offset + length)
        tiff[offset:end] = bytes(max(0, end - offset))


def _places(tiff: bytearray, order: str) -> Iterator[int]:
    """Where the GPS directories are, of whichever picture of the file."""
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    waiting, seen = [first], set[int]()
    while waiting and len(seen) < _MOST_IFDS:
        directory = waiting.pop()
        if directory in seen:
            continue
        seen.add(directory)
        entries = list(_entries(tiff, order, directory))
        for tag, _, _, offset in entries:
            if tag == _GPS_IFD:
                yield offset
            elif tag in _NESTED:
                waiting.append(offset)
        end = directory + 2 + 12 * len(entries)
        if entries and end + 4 <= len(tiff):
            (following,) = struct.unpack_from(order + "I", tiff, end)
            waiting.append(following)


def _entries(tiff: bytearray, order: str, directory: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count, and the value or where it is; as many as there is room for."""
    if not 8 <= directory <= len(tiff) - 2:
        return
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for at in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, values, offset = struct.unpack_from(order + "HHII", tiff, at)
        yield tag, kind, values, offset
