"""One row's file to the server: read for its digest, then sent under a key that makes a retry harmless."""

import asyncio
import binascii
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from shared.cli.client import Client
from shared.cli.failures import Unreachable
from shared.cli.importing.columns import Dialect
from shared.cli.importing.folder import Opened
from shared.cli.importing.row import Row
from shared.cli.retries import Patience, retrying
from shared.errors import TripodError
from shared.imports import ImportCheck, ImportedMedia

CHUNK = 256 * 1024
READ = 4 * 1024 * 1024
ASKS_FIRST = 1024 * 1024
PATH = "/v1/imports/media"
PATH_OF_CHECKS = "/v1/imports/check"
HEAD = 64 * 1024
"""Bytes by which a file is checked; the server looks at no more."""


class Changed(TripodError):
    """The file is not what was read a moment ago."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all rows of a run."""

    dialect: Dialect
    source: str
    patience: Patience = Patience()


async def digest(opened: Opened) -> str:
    """SHA-256 in hexadecimal digits. Raises Changed for a file that cannot be read."""
    found, place = hashlib.sha256(), 0
    while piece := await asyncio.to_thread(_read, opened.fd, READ, place):
        found.update(piece)
        place += len(piece)
    return found.hexdigest()


async def send(
    client: Client,
    wish: Wish,
    row: Row,
    opened: Opened,
    sha256: str,
    *,
    moved: Callable[[int], None],
    noting: Callable[[BaseException, float], None],
) -> tuple[ImportedMedia, bool]:
    """What it became, and whether the server had it before. Raises what the last attempt raised."""
    query = _query(wish, row, opened)
    said = msgspec.json.encode([query, row.fields, row.filename, opened.size, sha256])
    key = f"import-{hashlib.sha256(said).hexdigest()[:40]}"

    attempts = 0

    async def once() -> tuple[ImportedMedia, bool]:
        nonlocal attempts
        attempts += 1
        boundary = f"tripod-{secrets.token_hex(16)}"
        before, after = _around(boundary, row)
        headers = {
            "Idempotency-Key": key,
            "Content-Length": str(len(before) + opened.size + len(after)),
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Repr-Digest": f"sha-256=:{binascii.b2a_base64(bytes.fromhex(sha256), newline=False).decode()}:",
        }
        faults: list[Changed] = []
        url = client.address(PATH, query)
        pieces = _pieces(before, opened, after, moved, faults)
        try:
            async with client.request(
                "POST", url, seconds=None, headers=headers, data=pieces, expect100=opened.size >= ASKS_FIRST
            ) as answer:
                # A first attempt that is answered for an earlier one is of a run that did not hear of it.
                known = answer.status == 200 or (attempts == 1 and "Idempotent-Replayed" in answer.headers)
                return msgspec.json.decode(await answer.read(), type=ImportedMedia), known
        except Unreachable as error:
            raise (faults[0] if faults else error) from error.__cause__
        except msgspec.DecodeError as error:
            raise Unreachable(f"{client.server.url} answers, but not as Tripod does.") from error

    return await retrying(wish.patience, noting)(once)


async def check(client: Client, wish: Wish, row: Row, opened: Opened, *, registering: bool) -> ImportCheck:
    """What would become of it, by the beginning of its file. Raises what the last attempt raised."""
    query = (
        *_query(wish, row, opened),
        ("size", str(opened.size)),
        *((("registering", "true"),) if registering else ()),
    )
    boundary = f"tripod-{secrets.token_hex(16)}"
    before, after = _around(boundary, row)
    body = before + await asyncio.to_thread(_read, opened.fd, HEAD, 0) + after
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    async def once() -> ImportCheck:
        async with client.request(
            "POST", client.address(PATH_OF_CHECKS, query), headers=headers, data=body
        ) as answer:
            return msgspec.json.decode(await answer.read(), type=ImportCheck)

    return await retrying(wish.patience)(once)


def _query(wish: Wish, row: Row, opened: Opened) -> tuple[tuple[str, str], ...]:
    when = row.created_at or datetime.fromtimestamp(opened.modified_ns / 1e9, UTC)
    said = {
        "dialect": wish.dialect,
        "source": wish.source,
        "old_id": row.old_id,
        "created_at": when.isoformat(),
    }
    return tuple((name, value) for name, value in {**said, **row.query}.items() if value)


def _around(boundary: str, row: Row) -> tuple[bytes, bytes]:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in row.fields.items()
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
        f"filename*=UTF-8''{quote(row.filename, safe='')}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return "".join([*parts, file]).encode(errors="replace"), f"\r\n--{boundary}--\r\n".encode()


async def _pieces(
    before: bytes, opened: Opened, after: bytes, moved: Callable[[int], None], faults: list[Changed]
) -> AsyncIterator[bytes]:
    """As many bytes as there were. What is raised here reaches the caller as a broken connection, so it is noted in
    `faults`."""
    yield before
    place = 0
    while place < opened.size:
        try:
            piece = await asyncio.to_thread(_read, opened.fd, min(CHUNK, opened.size - place), place)
            if not piece:
                raise Changed("The file became shorter while it was read.")  # noqa: TRY301 - as a broken disk
        except Changed as error:
            faults.append(error)
            raise
        yield piece
        place += len(piece)
        moved(len(piece))
    yield after


def _read(fd: int, count: int, place: int) -> bytes:
    try:
        return os.pread(fd, count, place)
    except OSError as error:
        raise Changed(f"The file cannot be read: {error.strerror or error}.") from error
