"""A multipart upload: parts in order, one on its way while the next one fills, completed or aborted."""

import asyncio
from collections.abc import AsyncIterable
from types import TracebackType
from typing import Self

import structlog

from shared import failpoints
from shared.errors import Unavailable
from shared.storage.blobs import BlobMissing
from shared.storage.s3_http import S3Http, child_text, parse_xml, repeated
from shared.storage.s3_upload import Part, put_stream

log = structlog.get_logger()


class Spare:
    """How many parts may be filled while the one before is still on its way, over all uploads of a process.

    Each upload may hold one part; a second one only while there is a spare. So memory is bounded, and nobody
    waits for another upload's client.
    """

    def __init__(self, parts: int) -> None:
        self._left = parts

    def take(self) -> bool:
        """Whether there was one."""
        if self._left == 0:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        self._left += 1


class Multipart:
    """Leaving the context without `complete` aborts the upload, also when the task is being cancelled."""

    def __init__(self, http: S3Http, key: str, upload_id: str, spare: Spare) -> None:
        self._http = http
        self._key = key
        self._upload_id = upload_id
        self._spare = spare
        self._etags: list[str] = []
        self._sending: asyncio.Task[None] | None = None
        self._completed = False
        self.size = 0

    @classmethod
    async def begin(cls, http: S3Http, key: str, content_type: str, spare: Spare) -> Self:
        """Open an upload at the store."""
        what = f"begin to store {key}"
        _, body = await http.fetch(
            "POST", key, what, query={"uploads": ""}, headers={"Content-Type": content_type}
        )
        return cls(http, key, child_text(parse_xml(body, what), "UploadId"), spare)

    async def stream(self, body: AsyncIterable[bytes], size: int) -> None:
        """Send exactly `size` bytes as one part while they come; return when it is there. Raises Unavailable,
        ValueError for another length, and whatever the body raises."""
        await self._before_part()
        self.size += size
        what = self._part_name()
        try:
            headers = await put_stream(self._http, self._key, what, body, size, query=self._part_query())
        except BlobMissing as error:
            raise _forgotten(what) from error
        self._etags.append(headers["ETag"])

    async def _before_part(self) -> None:
        await self._sent()
        if len(self._etags) == 1:
            failpoints.reach("ingest.mid_parts")

    async def send(self, part: Part) -> None:
        """Send a part after the one before it; return when the next one may be filled. Raises Unavailable."""
        await self._before_part()
        self.size += part.size
        self._sending = asyncio.create_task(self._send(part))
        if self._spare.take():
            self._sending.add_done_callback(lambda _: self._spare.give_back())
        else:
            await self._sent()

    async def _send(self, part: Part) -> None:
        what = self._part_name()
        try:
            headers, _ = await self._http.fetch(
                "PUT",
                self._key,
                what,
                query=self._part_query(),
                headers={"Content-Length": str(part.size)},
                data=part,
            )
        except BlobMissing as error:
            raise _forgotten(what) from error
        self._etags.append(headers["ETag"])

    def _part_name(self) -> str:
        return f"store part {len(self._etags) + 1} of {self._key}"

    def _part_query(self) -> dict[str, str]:
        return {"partNumber": str(len(self._etags) + 1), "uploadId": self._upload_id}

    async def _sent(self) -> None:
        if self._sending is not None:
            await self._sending
            self._sending = None

    async def complete(self) -> str:
        """Make the object of the parts; its ETag as far as it is told. The store may answer 200 and still have
        failed."""
        await self._sent()
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        what = f"complete {self._key}"
        try:
            _, body = await self._http.fetch(
                "POST",
                self._key,
                what,
                query={"uploadId": self._upload_id},
                headers={"Content-Type": "application/xml"},
                data=f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode(),
            )
        except BlobMissing as error:
            raise _forgotten(what) from error
        answer = parse_xml(body, what)
        if answer.tag == "Error":
            raise Unavailable(f"The object store refuses to {what}: {child_text(answer, 'Code')}.")
        self._completed = True
        return child_text(answer, "ETag").strip('"')

    async def abort(self) -> None:
        """Let the store forget the parts; absent is success. Raises Unavailable."""

        async def ask() -> None:
            try:
                await self._http.fetch(
                    "DELETE",
                    self._key,
                    f"abort the upload of {self._key}",
                    query={"uploadId": self._upload_id},
                )
            except BlobMissing:
                return

        await repeated(ask)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        if not self._completed:
            # A task of its own: being cancelled must not keep it from cleaning up.
            await asyncio.shield(asyncio.create_task(self._clean_up()))

    async def _clean_up(self) -> None:
        try:
            await self.abort()
        except Unavailable as error:
            # What the caller sees is the first failure; the sweep finds what is left.
            log.warning("upload.abort_failed", key=self._key, error=error.detail)


def _forgotten(what: str) -> Unavailable:
    """A restart of the embedded store does this."""
    return Unavailable(f"The object store has forgotten the upload: {what}.")
