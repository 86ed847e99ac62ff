"""Takes the place where a photo was taken out of a JPEG while it streams: as many bytes as before, no pixel touched."""

import re
from collections.abc import AsyncIterator, Callable

from services.ingest import exif_block
from services.ingest.attempt import File
from services.ingest.gain_xmp import numbers_alone
from services.ingest.transfer import Head
from shared.errors import Invalid
from shared.profiles import Profile, Profiles

_JFIF_APP, _EXIF_APP, _COMMENT = 0xE0, 0xE1, 0xFE
_SCAN, _END = 0xDA, 0xD9
_SIDES = 13  # where the second of them is, of the thumbnail in JFIF
_ALONE = {0x01, 0xD8, *range(0xD0, 0xD8)}  # markers without a length
_EXIF = b"Exif\0"  # one byte follows, which most writers leave 0 and some readers do not look at
_KEPT = {  # what has to do with how the pixels look, and is no text; and how long it is at most
    _JFIF_APP: {b"JFIF\0": 14 + 3 * 255 * 255},
    0xE2: {
        b"ICC_PROFILE\0": 65_533,
        b"MPF\0": 1024,
        b"urn:iso:std:iso:ts:21496:-1\0": 28 + 141,
    },  # a gain map's
    0xEE: {b"Adobe": 12},
}
_OF_PIXELS = frozenset(
    {*range(0xC0, 0xE0)} - {0xC8}
)  # tables, headers and scans; all others may hold what they like
# A marker that is none of those inside compressed pixels; or the first box of a film, which no pixels look like.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]|\0\0\0.ftyp", re.DOTALL)
_ZEROS = re.compile(rb"\0+")
_PICTURE = b"\xff\xd8\xff"


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
    pictures with EXIF of their own, and films."""

    def __init__(self, *, inner: bool = False) -> None:
        """`inner`: a thumbnail within EXIF, which has no EXIF of its own to keep."""
        self._inner = inner
        self._held = bytearray()
        self._done = bytearray()
        self._step: Callable[[], bool] = self._segment

    def feed(self, piece: bytes) -> bytes:
        """What can be passed on now."""
        self._held += piece
        while self._step():
            pass
        made, self._done = bytes(self._done), bytearray()
        return made

    def end(self) -> bytes:
        """What was held back. A segment that is cut short is not let out with a place in it."""
        rest, self._held = bytes(self._held), bytearray()
        if self._step == self._segment and rest[:1] == b"\xff":
            return rest if rest[1:2] and rest[1] in _OF_PIXELS else rest[:4] + bytes(len(rest[4:]))
        return rest if self._step == self._pixels else bytes(len(rest))

    def _pass(self, count: int, *, blank: bool = False) -> None:
        self._done += bytes(count) if blank else self._held[:count]
        del self._held[:count]

    def _segment(self) -> bool:
        held = self._held
        if len(held) < 2:
            return False
        if held[0] != 0xFF or held[1] == 0:  # a broken file: decoders look for the next marker
            self._pass(1, blank=True)
            self._step = self._junk
        elif held[1] == _END:
            self._pass(2)
            self._step = self._behind
        elif held[1] == 0xFF or held[1] in _ALONE:
            self._pass(1 if held[1] == 0xFF else 2)
        else:
            return self._whole_segment(held[1])
        return True

    def _whole_segment(self, kind: int) -> bool:
        held = self._held
        size = 2 + int.from_bytes(held[2:4])
        if len(held) < max(4, size):
            return False
        if size > 4:
            held[4:size] = self._content(kind, bytes(held[4:size]))
        self._pass(size if size >= 4 else 2)
        if size < 4:
            self._step = self._junk
        elif kind == _SCAN:
            self._step = self._pixels
        return True

    def _content(self, kind: int, block: bytes) -> bytes:
        if kind == _EXIF_APP and block.startswith(_EXIF) and not self._inner:
            return without_place(block)
        if kind == _EXIF_APP and not self._inner:
            return numbers_alone(block)
        if kind == _COMMENT:
            return b" " * len(block)
        kept = len(block) if kind in _OF_PIXELS else _kept(kind, block)
        return block[:kept] + bytes(len(block[kept:]))

    def _pixels(self) -> bool:
        return self._up_to_marker(blank=False)

    def _junk(self) -> bool:
        return self._up_to_marker(blank=True)

    def _up_to_marker(self, *, blank: bool) -> bool:
        """Or to a film, where the picture's end is missing."""
        found = _MARKER.search(self._held)
        if found is None:
            self._pass(max(0, len(self._held) - 7), blank=blank)  # either may have begun
            return False
        self._step = self._segment if self._held[found.start()] == 0xFF else self._nothing
        self._pass(found.start(), blank=blank)
        return True

    def _behind(self) -> bool:
        """Only what follows at once, or behind zeros, is taken for a picture: in a film its sign stands by chance."""
        if zeros := _ZEROS.match(self._held):
            self._pass(zeros.end())
        if len(self._held) < len(_PICTURE) and _PICTURE.startswith(self._held):
            return False
        self._step = self._segment if self._held.startswith(_PICTURE) else self._nothing
        return True

    def _nothing(self) -> bool:
        self._pass(len(self._held), blank=True)
        return False


def _kept(kind: int, block: bytes) -> int:
    """How many bytes of a segment beside the pixels stay. A thumbnail of JFIF is as long as its sides say."""
    most = next((most for name, most in _KEPT.get(kind, {}).items() if block.startswith(name)), 0)
    return (
        14 + 3 * block[_SIDES - 1] * block[_SIDES]
        if kind == _JFIF_APP and most and len(block) > _SIDES
        else most
    )


def without_place(block: bytes) -> bytes:
    """The content of an EXIF segment, as long as before."""
    head = len(_EXIF) + 1
    return block[:head] + exif_block.without_place(block[head:], _thumbnail)


def _thumbnail(data: bytes) -> bytes:
    jpeg = Jpeg(inner=True)
    return jpeg.feed(data) + jpeg.end()
