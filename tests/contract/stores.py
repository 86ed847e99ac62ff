"""The object stores that the contract runs on."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from deploy.child import Child
from shared.storage.blobs import Blobs, Unfinished
from shared.storage.memory import MemoryBlobs
from shared.storage.s3 import S3Blobs, S3Settings
from shared.storage.s3_http import S3Http
from shared.storage.s3_multipart import Multipart, Spare
from shared.storage.s3_upload import cut

ACCESS_KEY, SECRET_KEY = "contractaccess", "contractsecret"
PART_BYTES = 5 * 1024 * 1024  # the least that S3 allows for any part but the last
RANDOM = os.urandom(1024 * 1024)


class Store(Protocol):
    """A store, and the name of a bucket that nobody else uses."""

    def connect(self, bucket: str | None = None) -> Blobs:
        """A client, for another bucket where one is named."""

    def leftovers(self) -> list[str]:
        """Whatever the store keeps on its disk that is no object: parts, drafts."""

    async def abandon(self, key: str) -> None:
        """What a client leaves that dies when the first part of a large body is stored."""

    async def stop(self) -> None: ...
    async def start(self) -> None: ...


class MemoryStore:
    def __init__(self) -> None:
        self._blobs = MemoryBlobs()

    def connect(self, bucket: str | None = None) -> Blobs:
        return MemoryBlobs() if bucket else self._blobs

    def leftovers(self) -> list[str]:
        return sorted(upload.key for upload in self._blobs.uploads.values())

    async def abandon(self, key: str) -> None:
        upload = Unfinished(key=key, upload=uuid.uuid4().hex, begun=datetime.now(UTC))
        self._blobs.uploads[upload.upload] = upload

    async def stop(self) -> None:
        self._blobs.stop()

    async def start(self) -> None:
        self._blobs.start()


class S3Store:
    """A real server over a folder. `stopped`: somebody has, and it may not be what it was."""

    def __init__(self, child: Child, spawner: ThreadPoolExecutor, endpoint: str, folder: Path) -> None:
        self._child = child
        self._spawner = spawner
        self._endpoint = endpoint
        self._folder = folder
        self._bucket = f"contract-{uuid.uuid4().hex[:12]}"
        self.stopped = False

    def connect(self, bucket: str | None = None) -> Blobs:
        # Small pages, so that a listing of a few objects has several.
        return S3Blobs(self._settings(bucket), part_bytes=PART_BYTES, page=3)

    def _settings(self, bucket: str | None = None) -> S3Settings:
        return S3Settings(
            endpoint=self._endpoint,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            bucket=bucket or self._bucket,
        )

    async def abandon(self, key: str) -> None:
        client = S3Http(self._settings())
        upload = await Multipart.begin(client, key, "video/mp4", Spare(0))
        async for part in cut(body(PART_BYTES), PART_BYTES):
            if part.size:
                await upload.send(part)
        await client.close()

    def leftovers(self) -> list[str]:
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        kept = [str(path.relative_to(self._folder)) for path in files]
        drafts = f"{self._bucket}/"
        return [
            path
            for path in kept
            if (".rclone" in path and path.startswith(drafts)) or path.startswith(".minio.sys/multipart")
        ]

    def launch(self) -> None:
        """Start the server, and return when it answers."""
        self._child.start(self._spawner)
        self._child.wait_ready()

    async def stop(self) -> None:
        self.stopped = True
        await asyncio.to_thread(self._child.kill)

    async def start(self) -> None:
        await asyncio.to_thread(self.launch)


async def body(size: int, *, piece: int = 65_536, error: BaseException | None = None) -> AsyncIterator[bytes]:
    """`size` bytes in pieces, always the same ones; then `error`, where one is given."""
    sent = 0
    while sent < size:
        offset = sent % len(RANDOM)
        chunk = RANDOM[offset : offset + min(piece, size - sent)]
        sent += len(chunk)
        yield chunk
    if error is not None:
        raise error


def digest(size: int) -> str:
    """What `read` finds of a `body` of that size."""
    whole = hashlib.sha256()
    for _ in range(size // len(RANDOM)):
        whole.update(RANDOM)
    whole.update(RANDOM[: size % len(RANDOM)])
    return whole.hexdigest()


async def read(blobs: Blobs, key: str, *, start: int = 0, length: int | None = None) -> bytes:
    async with blobs.get(key, start=start, length=length) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return [info.key async for info in blobs.list(prefix)]
