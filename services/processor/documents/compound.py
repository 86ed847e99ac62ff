"""The streams of a compound file (MS-CFB), in which DOC, XLS and PPT are kept: found and read within limits."""

import mmap
import struct

from services.processor import failures
from services.processor.documents import found

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# From byte 30: how long sectors and short sectors are, as powers of 2; sectors of the FAT; where the directory begins;
# below which length streams are short; where the FAT of those begins; where the list of the FAT's sectors goes on.
_HEADER, _HEADER_AT = struct.Struct("<2H10x2L4x2L4x2L"), 30
_LISTED, _LISTED_AT = struct.Struct("<109L"), 76
_HEADER_BYTES = 512
# Of the directory: a name, its length, what it is; left, right and below in a tree; where it begins, how long it is.
_ENTRY = struct.Struct("<64sHBx3L36xLQ")
_NUMBER = struct.Struct("<L")
_SHIFTS, _SHORT_SHIFT = (9, 12), 6
_NO_SECTOR, _FREE = 0xFFFFFFFA, 0xFFFFFFFF  # this and all beyond it; of which this is no sector in use
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_MOST_DIRECTORY = 4 * 1024 * 1024  # bytes: 32,768 entries


class Compound:
    """`names` are those of all streams and storages. `is_damaged`: something could not be read for what is wrong."""

    def __init__(self, view: mmap.mmap, mime_type: str) -> None:
        """Raises JobFailed where this is no compound file that can be read."""
        if len(view) < _HEADER_BYTES:
            raise found.truncated("no header")
        self._view, self.is_damaged = view, False
        told = _HEADER.unpack_from(view, _HEADER_AT)
        self._shift, short_shift, fats, directory, self._cutoff, self._short_fat, more, lists = told
        if view[: len(MAGIC)] != MAGIC or self._shift not in _SHIFTS or short_shift != _SHORT_SHIFT:
            raise failures.corrupt(mime_type, "no header of a compound file")
        self._fat = self._sectors_of_fat(fats, more, lists)
        entries = _entries(self._chain(directory, _MOST_DIRECTORY))
        if not entries or entries[0].kind != _ROOT:
            raise (
                found.truncated("no directory") if self.is_damaged else failures.corrupt(mime_type, "no root")
            )
        self.names = frozenset(entry.name for entry in entries if entry.kind in {_STORAGE, _STREAM})
        self._root = entries[0]
        self._streams = {entry.name: entry for entry in _below(entries, self._root) if entry.kind == _STREAM}
        self._short = b""
        self._short_next: tuple[int, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Whether there is such a stream at the top, not in what is embedded."""
        return name in self._streams

    @property
    def is_cut_off(self) -> bool:
        """Whether the last sector that is in use lies behind the end of the file."""
        for row in range(len(self._fat) - 1, -1, -1):
            numbers = self._numbers(self._sector(self._fat[row]))
            used = [column for column, number in enumerate(numbers) if number != _FREE]
            if used or not numbers:
                last = row * ((1 << self._shift) // _NUMBER.size) + (used[-1] if used else 0)
                begin: int = (last + 1) << self._shift
                return begin >= len(self._view)
        return False

    def stream(self, name: str, most: int) -> bytes:
        """The first `most` bytes of a stream at the top, as far as they can be read; nothing where there is none."""
        entry = self._streams.get(name)
        if entry is None:
            return b""
        size = min(entry.size & 0xFFFFFFFF if self._shift == _SHIFTS[0] else entry.size, most)
        if entry.size >= self._cutoff:
            return self._chain(entry.start, size)[:size]
        return self._short_chain(entry.start, size)[:size]

    def _sectors_of_fat(self, count: int, more: int, lists: int) -> list[int]:
        sectors = list(_LISTED.unpack_from(self._view, _LISTED_AT))
        per_list = (1 << self._shift) // _NUMBER.size
        most = min(count, len(self._view) >> self._shift)
        while lists > 0 and len(sectors) < most:
            listed = self._numbers(self._sector(more))
            if not listed:
                break
            sectors += listed[: per_list - 1]
            more, lists = listed[-1], lists - 1
        return sectors[:most]

    def _sector(self, number: int) -> bytes:
        """Nothing for what lies outside the file."""
        begin = (number + 1) << self._shift
        return self._view[begin : begin + (1 << self._shift)] if number < _NO_SECTOR else b""

    def _numbers(self, data: bytes) -> tuple[int, ...]:
        whole = len(data) - len(data) % _NUMBER.size
        return tuple(number for (number,) in _NUMBER.iter_unpack(data[:whole]))

    def _next(self, number: int) -> int:
        row, column = divmod(number, (1 << self._shift) // _NUMBER.size)
        at = ((self._fat[row] + 1) << self._shift) + column * _NUMBER.size if row < len(self._fat) else -1
        if at < 0 or at + _NUMBER.size > len(self._view):
            self.is_damaged = True
            return _NO_SECTOR
        next_one: int = _NUMBER.unpack_from(self._view, at)[0]
        return next_one

    def _chain(self, number: int, most: int) -> bytes:
        """What the sectors from this one on hold, `most` bytes and the rest of a sector."""
        pieces, size = [], 0
        while number < _NO_SECTOR and size < most:
            piece = self._sector(number)
            if not piece:
                self.is_damaged = True
                break
            pieces.append(piece)
            size += len(piece)
            number = self._next(number)
        return b"".join(pieces)

    def _short_chain(self, number: int, most: int) -> bytes:
        """The same of the short sectors, which all lie in a stream of the root's."""
        if not self._short:
            self._short = self._chain(self._root.start, min(self._root.size, _MOST_DIRECTORY))
            self._short_next = self._numbers(self._chain(self._short_fat, _MOST_DIRECTORY >> 4))
        pieces, size = [], 0
        while number < _NO_SECTOR and size < most:
            begin = number << _SHORT_SHIFT
            piece = self._short[begin : begin + (1 << _SHORT_SHIFT)]
            if not piece or number >= len(self._short_next):
                self.is_damaged = True
                break
            pieces.append(piece)
            size += len(piece)
            number = self._short_next[number]
        return b"".join(pieces)


class _Entry:
    """One line of the directory."""

    __slots__ = ("around", "below", "kind", "name", "size", "start")

    def __init__(self, fields: tuple[bytes, int, int, int, int, int, int, int]) -> None:
        name, length, self.kind, left, right, self.below, self.start, self.size = fields
        self.name = name[: max(0, min(length, len(name)) - 2)].decode("utf-16-le", "replace")
        self.around = (left, right)


def _entries(data: bytes) -> list[_Entry]:
    return [_Entry(fields) for fields in _ENTRY.iter_unpack(data[: len(data) - len(data) % _ENTRY.size])]


def _below(entries: list[_Entry], storage: _Entry) -> list[_Entry]:
    """What lies in a storage itself."""
    waiting, seen = [storage.below], set[int]()
    while waiting:
        number = waiting.pop()
        if number < len(entries) and number not in seen:
            seen.add(number)
            waiting += entries[number].around
    return [entries[number] for number in sorted(seen)]
