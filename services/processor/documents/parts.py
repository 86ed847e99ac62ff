"""The parts of a document that is a zip: found and inflated within limits, in memory, and never further down than one
level."""

import mmap
import os
import zipfile
import zlib
from collections.abc import Iterator

from services.processor import failures
from services.processor.documents import found

MOST_INFLATED = 64 * 1024 * 1024
"""Bytes of all parts of one document together; what is behind that is not read."""
_MOST_DIRECTORY = 4 * 1024 * 1024  # bytes: some 50,000 parts
_MOST_COMMENT = 65_535
# Expat before 2.6 looks at an unfinished token again with every chunk, so they are long.
_CHUNK = 1024 * 1024
_PIECE = 4096
_METHODS = frozenset(
    {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
)  # of all others it would inflate without a limit
_END, _END_64, _LOCATOR_64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_IS_ENCRYPTED = 1
_Errors = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


class Parts:
    """The members of a zip by name. `is_spent`: the limit was reached, and something was not read for that."""

    def __init__(self, descriptor: int, view: mmap.mmap, mime_type: str) -> None:
        """Raises JobFailed where this is no zip that can be read."""
        _check_directory(view)
        try:
            self._zip = zipfile.ZipFile(os.fdopen(os.dup(descriptor), "rb"))
        except _Errors as error:
            raise failures.corrupt(mime_type, repr(error)) from error
        self._left = MOST_INFLATED
        self.names = tuple(self._zip.namelist())
        self.is_encrypted = any(info.flag_bits & _IS_ENCRYPTED for info in self._zip.infolist())
        self.is_spent = self.is_damaged = False

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def chunks(self, name: str) -> Iterator[bytes]:
        """The part piece by piece, as far as it can be read; nothing where there is none."""
        info = self._zip.NameToInfo.get(name)
        if info is None or info.flag_bits & _IS_ENCRYPTED:
            return
        if info.compress_type not in _METHODS:
            self.is_damaged = True
            return
        gathered = bytearray()
        try:
            with self._zip.open(info) as part:
                # In short pieces: what is inflated together with damage is lost.
                while piece := part.read(min(_PIECE, self._left)):
                    self._left -= len(piece)
                    gathered += piece
                    if len(gathered) >= _CHUNK:
                        yield bytes(gathered)
                        gathered.clear()
                self.is_spent = self.is_spent or self._left == 0
        except _Errors:
            self.is_damaged = True
        if gathered:
            yield bytes(gathered)

    def beginning(self, name: str) -> bytes:
        """The first piece of a part, empty where there is none."""
        return next(self.chunks(name), b"")


def _check_directory(view: mmap.mmap) -> None:
    """The directory is read at once, so its length is looked at first. Raises JobFailed."""
    end = view.rfind(_END, max(0, len(view) - _MOST_COMMENT - 22))
    if end < 0 or end + 22 > len(view):
        raise found.truncated("no directory")
    size = int.from_bytes(view[end + 12 : end + 16], "little")
    if end >= 20 and view[end - 20 : end - 16] == _LOCATOR_64:
        record = view[max(0, end - 76) : end - 20]
        if not record.startswith(_END_64):
            raise found.too_many_parts("a directory of ZIP64 that is not where it belongs")
        size = int.from_bytes(record[40:48], "little")
    if size > _MOST_DIRECTORY:
        raise found.too_many_parts(f"a directory of {size} bytes")
