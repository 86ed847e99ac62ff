"""One file to the server: read for its digest, asked for, then sent under a key that makes a retry harmless."""

import asyncio
import binascii
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from shared.cli.client import Client, Media
from shared.cli.failures import Refused, Unreachable
from shared.cli.parcel import Parcel, parcel_of
from shared.cli.retries import Patience, retrying
from shared.cli.tally import Meter
from shared.errors import Conflict, Invalid, TripodError

CHUNK = 256 * 1024
READ = 4 * 1024 * 1024
ASKS_FIRST = 1024 * 1024
"""Bytes from which on a file waits for the server's `100 Continue`: a refusal then costs no transfer."""
_KEYS = 100
_ASKED_BRIEFLY = Patience(attempts=2, longest=2)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of every file of a run: the options of the upload, as its query has them. `again`: send also what is
    there already."""

    options: tuple[tuple[str, str], ...] = ()
    again: bool = False
    patience: Patience = Patience()

    def of(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.options if key == name), default)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file on the disk as it was when it was read; `sha256` in hexadecimal digits."""

    path: Path
    size: int
    modified: int  # ns
    sha256: str

    @property
    def filename(self) -> str:
        """The name under which it is sent."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")


async def read(path: Path) -> File:
    """Piece by piece, so that Ctrl-C is heard within a large file. Raises Invalid for what cannot be read."""
    digest = hashlib.sha256()

    def next_piece(opened: BinaryIO) -> int:
        piece = opened.read(READ)
        digest.update(piece)
        return len(piece)

    try:
        with path.open("rb") as opened:
            state = os.fstat(opened.fileno())
            while await asyncio.to_thread(next_piece, opened):
                pass
    except OSError as error:
        raise Invalid(f"The file cannot be read: {error.strerror or error}.") from error
    return File(path=path, size=state.st_size, modified=state.st_mtime_ns, sha256=digest.hexdigest())


async def there_already(client: Client, wish: Wish, file: File) -> Media | None:
    """The caller's own media with these bytes, of the same profile and at the same place, if the catalog can say. Where
    it cannot (it is down) the key has to do: uploads go on without a catalog, so this does."""
    asked = [("sha256", file.sha256), ("owner", client.server.sub), ("sort", "created_at"), ("limit", "200")]
    try:
        page = await client.ask("GET", "/v1/media", asked, patience=_ASKED_BRIEFLY)
    except Refused as error:
        if error.answered >= 500:
            return None
        raise
    return next((media for media in page["items"] if _same_place(media, wish)), None)


def _same_place(media: Media, wish: Wish) -> bool:
    link = media.get("entity") or {}
    place = (media.get("profile"), link.get("type", ""), link.get("id", ""), link.get("field", ""))
    wanted = ("profile", "default"), ("entity_type", ""), ("entity_id", ""), ("entity_field", "")
    return place == tuple(wish.of(name, default) for name, default in wanted)


def keys(file: File, wish: Wish) -> list[str]:
    """Idempotency keys in the order in which they are tried: the next one when what the former made was deleted. They
    follow from the file and what is said of it, so a run that is started again after a kill asks for the same media."""
    if wish.again:
        return [f"tripod-{secrets.token_hex(16)}"]
    said = msgspec.json.encode([file.filename, file.size, file.sha256, wish.options])
    base = hashlib.sha256(said).hexdigest()[:40]
    return [f"tripod-{base}-{number}" for number in range(_KEYS)]


async def send(
    client: Client,
    wish: Wish,
    file: File,
    meter: Meter,
    noting: Callable[[BaseException, float], None],
) -> Media:
    """The media that it became. Raises what the last attempt raised."""
    for key in keys(file, wish):
        try:
            found: Media = await retrying(wish.patience, noting)(_send, client, wish, file, meter, key)
        except Refused as error:
            if error.answered != 410:
                raise
        else:
            return found
    raise Conflict(
        f"What this file became was deleted {_KEYS} times in a day; --again sends it under a new key."
    )


async def _send(client: Client, wish: Wish, file: File, meter: Meter, key: str) -> Media:
    meter.begin()
    faults: list[TripodError] = []
    parcel = parcel_of(file.filename, wish.options)
    headers = {
        "Idempotency-Key": key,
        "Content-Length": str(len(parcel.before) + file.size + len(parcel.after)),
        "Content-Type": parcel.content_type,
        "Repr-Digest": f"sha-256=:{_base64(file.sha256)}:",
    }
    asks = file.size >= ASKS_FIRST
    url = client.address(parcel.path, parcel.query)
    try:
        # Closed here: a request that breaks off leaves its pieces to nobody.
        with _opened(file) as opened:
            pieces = _around(parcel, _pieces(opened, file, meter.sent, faults))
            async with client.request(
                parcel.method, url, seconds=None, headers=headers, data=pieces, expect100=asks
            ) as answer:
                media: Media = msgspec.json.decode(await answer.read())
                return media
    except Unreachable as error:
        raise (faults[0] if faults else error) from error.__cause__
    except msgspec.DecodeError as error:
        raise Unreachable(f"{client.server.url} answers, but not as Tripod does: no JSON.") from error


async def _around(parcel: Parcel, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if parcel.before:
        yield parcel.before
    async for piece in pieces:
        yield piece
    if parcel.after:
        yield parcel.after


def _opened(file: File) -> BinaryIO:
    try:
        return file.path.open("rb")
    except OSError as error:
        raise _unreadable(error) from error


async def _pieces(
    opened: BinaryIO, file: File, moved: Callable[[int], None], faults: list[TripodError]
) -> AsyncIterator[bytes]:
    """The bytes that were digested, as many as there were. A file that changed meanwhile is noted in `faults`, because
    what is raised here reaches the caller as a broken connection."""
    left = file.size
    try:
        _check_unchanged(opened, file)
        while left:
            piece = await asyncio.to_thread(opened.read, min(CHUNK, left))
            if not piece:
                raise _changed()
            yield piece
            left -= len(piece)
            moved(len(piece))
    except OSError as error:
        faults.append(_unreadable(error))
        raise
    except Invalid as error:
        faults.append(error)
        raise


def _check_unchanged(opened: BinaryIO, file: File) -> None:
    state = os.fstat(opened.fileno())
    if (state.st_size, state.st_mtime_ns) != (file.size, file.modified):
        raise _changed()


def _unreadable(error: OSError) -> Invalid:
    return Invalid(f"The file cannot be read any more: {error.strerror or error}.")


def _changed() -> Invalid:
    return Invalid("The file changed while it was read; try again when nobody writes to it.")


def _base64(digits: str) -> str:
    return binascii.b2a_base64(bytes.fromhex(digits), newline=False).decode()
