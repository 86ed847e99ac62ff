"""Bytes from the server into a file that is whole or not there: by ranges, checked, then renamed."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from shared.cli.client import Client
from shared.cli.failures import Unreachable
from shared.cli.tally import Meter
from shared.errors import Conflict, Invalid

CHUNK = 256 * 1024


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the server: its path there, a name for it here, its size in bytes, and the SHA-256 in hexadecimal
    digits where the server tells it (of originals)."""

    path: str
    name: str
    size: int
    sha256: str | None


class Part:
    """What is there so far, in `<target>.part` (or gone to the standard output where there is no target)."""

    def __init__(self, target: Path | None) -> None:
        self.target = target
        self.size = 0
        self.resumed = False
        self._digest = hashlib.sha256()
        self._out: BinaryIO = sys.stdout.buffer

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @contextmanager
    def opened(self, *, resume: bool) -> Iterator[None]:
        """`resume`: with what a former run has left. Only what can be checked at the end may be taken over. Raises
        Invalid where the file cannot be written."""
        if self.target is None:
            yield
            self._out.flush()
            return
        place = self._place()
        try:
            with place.open("r+b" if resume and place.exists() else "w+b") as self._out:
                while piece := self._out.read(CHUNK):
                    self._digest.update(piece)
                    self.size += len(piece)
                self.resumed = self.size > 0
                yield
        except OSError as error:
            raise Invalid(f"{os.fspath(place)!r} cannot be written: {error.strerror or error}.") from error

    def add(self, piece: bytes) -> None:
        """Raises Conflict where nobody reads the standard output any more."""
        try:
            self._out.write(piece)
        except BrokenPipeError as error:
            raise Conflict("The standard output was closed before the end.") from error
        self._digest.update(piece)
        self.size += len(piece)

    def drop(self) -> None:
        """Begin anew. Raises Conflict where what is written cannot be taken back."""
        if self.target is None and self.size:
            raise Conflict(
                "The file changed while it was read, and what is on the standard output is of both."
            )
        if self.target is not None:
            self._out.seek(0)
            self._out.truncate()
        self.size, self._digest = 0, hashlib.sha256()

    def is_right(self, wanted: Wanted) -> bool:
        """Whether it is all that was promised."""
        return self.size == wanted.size and wanted.sha256 in {None, self.sha256}

    def finish(self, wanted: Wanted) -> None:
        """The part becomes the file. Raises Conflict for other bytes than were promised, which are dropped."""
        if not self.is_right(wanted):
            found = f"{self.size} bytes with the SHA-256 {self.sha256}"
            if self.target is not None:
                self._place().unlink()
            raise Conflict(f"What came is not what was asked for: {found}. It is dropped; try again.")
        if self.target is not None:
            self._out.flush()
            os.fsync(self._out.fileno())
            self._place().replace(self.target)

    def _place(self) -> Path:
        if self.target is None:
            raise ValueError("the standard output has no part")
        return self.target.with_name(f"{self.target.name}.part")


async def fetch(client: Client, wanted: Wanted, part: Part, meter: Meter) -> None:
    """What is missing of it. A part that is longer than the file, or that is whole and other bytes, begins anew. Raises
    Unreachable where it broke off, Refused."""
    if part.size >= wanted.size and not part.is_right(wanted):
        part.drop()
    meter.begin()
    meter.had(part.size)
    if part.size == wanted.size:
        return
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if wanted.sha256 is not None:
            headers["If-Range"] = f'"{wanted.sha256}"'
    async with client.request("GET", client.address(wanted.path), seconds=None, headers=headers) as answer:
        if part.size and answer.status != 206:
            part.drop()
            meter.begin()
        async for piece in answer.content.iter_chunked(CHUNK):
            part.add(piece)
            meter.sent(len(piece))
    if part.size < wanted.size:
        raise Unreachable(f"{client.server.url} broke off after {part.size} of {wanted.size} bytes.")
