"""Blobs in a bucket of an S3 store."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

import structlog

from shared.errors import Unavailable
from shared.storage import s3_unfinished
from shared.storage.blobs import BlobInfo, BlobMissing, Unfinished
from shared.storage.s3_again import KEEP_BYTES, Once, StoreFault
from shared.storage.s3_bucket import make_bucket
from shared.storage.s3_folders import Folders
from shared.storage.s3_http import (
    RETRY_PAUSES,
    S3Http,
    S3Settings,
    child_text,
    parse_xml,
    repeated,
)
from shared.storage.s3_multipart import Multipart, Spare
from shared.storage.s3_read import chunks, expected, nothing
from shared.storage.s3_upload import Rest, collected, cut, put_stream

__all__ = ["S3Blobs", "S3Settings"]

log = structlog.get_logger()

PART_BYTES = 6 * 1024 * 1024
SPARE_PARTS = 6
LOOK_PAUSES = (0.05, 0.2, 0.6)
LARGEST_LOOK = 32 * 1024 * 1024
"""Up to this size an object of one PUT is looked at afterwards. The embedded store reads all of it to answer, and such
a PUT, unlike the completion of parts, has one answer that comes when all is done."""
LARGEST_PUT = 5 * 1024**3  # S3's limit for one PUT
MOST_PARTS = 10_000  # S3's limit for one multipart upload
PAGE_KEYS = 1000


class S3Blobs:
    """See `blobs.Blobs`. Connects when it is first used."""

    def __init__(self, settings: S3Settings, *, part_bytes: int = PART_BYTES, page: int = PAGE_KEYS) -> None:
        self._settings = settings
        self._http = S3Http(settings)
        self._part_bytes = part_bytes
        self._page = page
        self._spare = Spare(SPARE_PARTS)
        self._folders = Folders()

    async def ensure_bucket(self) -> None:
        await asyncio.to_thread(make_bucket, self._settings)

    async def check(self) -> None:
        await self._http.fetch("HEAD", "", f"find the bucket {self._settings.bucket}")

    async def put(
        self,
        key: str,
        body: AsyncIterable[bytes],
        *,
        size: int | None,
        content_type: str,
        at_least: int = 0,
    ) -> BlobInfo:
        if size is not None and size <= KEEP_BYTES:
            return await self._put_small(key, await collected(body, size), content_type)
        if size is not None and size <= LARGEST_PUT:
            return await self._put_stream(key, body, size, content_type)
        if size is None and at_least >= self._part_bytes:
            return await self._put_begun(key, body, at_least, content_type)
        return await self._put_parts(key, body, size, content_type)

    async def put_bytes(self, key: str, body: bytes, *, content_type: str) -> BlobInfo:
        async def send() -> BlobInfo:
            told = {"Content-Length": str(len(body)), "Content-Type": content_type}
            headers, _ = await self._http.fetch("PUT", key, f"store {key}", headers=told, data=body)
            return _stored(key, len(body), headers)

        return await repeated(send)

    async def _put_small(self, key: str, body: bytes, content_type: str) -> BlobInfo:
        headers = {"Content-Length": str(len(body)), "Content-Type": content_type}

        async def send() -> Mapping[str, str]:
            return (await self._http.fetch("PUT", key, f"store {key}", headers=headers, data=body))[0]

        return await self._put_once_more(key, len(body), send, lambda: True)

    async def _put_stream(
        self, key: str, body: AsyncIterable[bytes], size: int, content_type: str
    ) -> BlobInfo:
        once = Once(body)

        async def send() -> Mapping[str, str]:
            return await put_stream(self._http, key, f"store {key}", once, size, content_type=content_type)

        return await self._put_once_more(key, size, send, lambda: not once.begun)

    async def _put_once_more(
        self,
        key: str,
        size: int,
        send: Callable[[], Awaitable[Mapping[str, str]]],
        possible: Callable[[], bool],
    ) -> BlobInfo:
        """Send, and look at what is there then; after a fault of the store send again, as long as that is possible."""
        for pause in (*RETRY_PAUSES, None):
            try:
                async with self._folders.entered(key):
                    stored = _stored(key, size, await send())
                    return stored if size > LARGEST_LOOK else await self._verified(key, size, stored.etag)
            except StoreFault as error:
                if pause is None or not possible():
                    raise
                log.info("store.asked_again", key=key, error=error.detail)
                await asyncio.sleep(pause)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _put_begun(
        self, key: str, body: AsyncIterable[bytes], at_least: int, content_type: str
    ) -> BlobInfo:
        """What the body is sure to have goes as one part, or a few, as it comes; only its end is collected."""
        rest = Rest(body)
        async with await Multipart.begin(self._http, key, content_type, self._spare) as upload:
            while (length := min(at_least - upload.size, LARGEST_PUT)) >= self._part_bytes:
                await upload.stream(rest.first(length), length)
            async with contextlib.aclosing(cut(rest, self._part_bytes)) as parts:
                async for part in parts:
                    if part.size:
                        await upload.send(part)
            if upload.size < at_least:
                raise ValueError(f"The body had {upload.size} bytes; at least {at_least} were announced.")
            etag = await upload.complete()
        return await self._verified(key, upload.size, etag)

    async def _put_parts(
        self, key: str, body: AsyncIterable[bytes], size: int | None, content_type: str
    ) -> BlobInfo:
        length = self._part_bytes if size is None else max(self._part_bytes, -(-size // MOST_PARTS))
        async with contextlib.aclosing(cut(body, length)) as parts:
            first = await anext(parts)
            if first.size < length and size is None:
                if first.size <= KEEP_BYTES:
                    return await self._put_small(key, await collected(first, first.size), content_type)
                return await self._put_stream(key, first, first.size, content_type)
            async with await Multipart.begin(self._http, key, content_type, self._spare) as upload:
                await upload.send(first)
                async for part in parts:
                    if part.size:
                        await upload.send(part)
                if size is not None and upload.size != size:
                    raise ValueError(f"The body had {upload.size} bytes and {size} were announced.")
                etag = await upload.complete()
        return await self._verified(key, upload.size, etag)

    async def _verified(self, key: str, size: int, etag: str) -> BlobInfo:
        """What a transfer has left: the store's word for it alone proves nothing. `etag`: what it said that it is.

        The embedded store may know nothing of a new object for a moment when its folder was just made anew.
        """
        for pause in LOOK_PAUSES:
            found = await self.head(key)
            if _doubt(found, size, etag) is None:
                break
            await asyncio.sleep(pause)
        else:
            found = await self.head(key)
        doubt = _doubt(found, size, etag)
        if found is None or doubt is not None:
            raise Unavailable(f"The object store has {doubt} for {key} after {size} bytes were sent.")
        return found

    @contextlib.asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if length == 0:
            if await self.head(key) is None:
                raise BlobMissing(key)
            yield nothing()
            return
        headers = {}
        if start or length is not None:
            headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        response = await repeated(lambda: self._http.open("GET", key, f"read {key}", headers=headers))
        try:
            yield chunks(response, key, expected(response, key, start, length))
        finally:
            response.close()  # where all was read the connection has gone back already

    async def head(self, key: str) -> BlobInfo | None:
        async def ask() -> BlobInfo | None:
            try:
                headers, _ = await self._http.fetch("HEAD", key, f"find {key}")
            except BlobMissing:
                return None
            length = headers.get("Content-Length", "")
            if not length.isdecimal():
                raise Unavailable(f"The object store does not say how large {key} is.")
            return _stored(key, int(length), headers)

        return await repeated(ask)

    async def delete(self, key: str) -> None:
        self._folders.forget(key)

        async def ask() -> None:
            with contextlib.suppress(BlobMissing):
                await self._http.fetch("DELETE", key, f"delete {key}")

        await repeated(ask)

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        what = f"list {prefix or 'all'}"
        token = ""
        while True:
            query = {"list-type": "2", "prefix": prefix, "max-keys": str(self._page)}
            if token:
                query["continuation-token"] = token
            page = await self._page_of(query, what)
            for item in page.iter("Contents"):
                yield BlobInfo(
                    key=child_text(item, "Key"),
                    size=int(child_text(item, "Size")),
                    etag=child_text(item, "ETag").strip('"'),
                    modified=datetime.fromisoformat(child_text(item, "LastModified")),
                )
            token = child_text(page, "NextContinuationToken")
            if child_text(page, "IsTruncated") != "true" or not token:
                return

    async def unfinished(self, key: str | None = None) -> tuple[Unfinished, ...]:
        return await s3_unfinished.find(self._http, key, self._page)

    async def abort(self, upload: Unfinished) -> None:
        await Multipart(self._http, upload.key, upload.upload, self._spare).abort()

    async def _page_of(self, query: Mapping[str, str], what: str) -> ET.Element:
        _, body = await repeated(lambda: self._http.fetch("GET", "", what, query=query))
        return parse_xml(body, what)

    async def close(self) -> None:
        await self._http.close()


def _stored(key: str, size: int, headers: Mapping[str, str]) -> BlobInfo:
    when = headers.get("Last-Modified") or headers.get("Date")
    return BlobInfo(
        key=key,
        size=size,
        etag=headers.get("ETag", "").strip('"'),
        modified=parsedate_to_datetime(when) if when else datetime.now(UTC),
    )


def _doubt(found: BlobInfo | None, size: int, etag: str) -> str | None:
    """What is there instead of what was sent; None where it is that, as far as can be told."""
    if found is None:
        return "nothing"
    if found.size != size:
        return f"{found.size} bytes"
    if _contradict(etag, found.etag):
        return f"another object (ETag {found.etag[:80]!r} instead of {etag[:80]!r})"
    return None


def _contradict(told: str, found: str) -> bool:
    """Whether two ETags are of different objects. The embedded store tells that of the parts (`...-3`) when an object
    is completed and that of the whole afterwards: these cannot be compared."""
    return bool(told and found) and told != found and ("-" in told) == ("-" in found)
