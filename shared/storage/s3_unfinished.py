"""The multipart uploads that an S3 store knows of and that nobody has completed or aborted."""

from datetime import datetime
from functools import partial

from shared.storage.blobs import BlobMissing, Unfinished
from shared.storage.s3_http import S3Http, child_text, parse_xml, repeated


async def find(http: S3Http, key: str | None, page: int) -> tuple[Unfinished, ...]:
    """All of them, or those of exactly this key; `page`: how many to ask for at a time. Raises Unavailable.

    MinIO answers from its disk only where the prefix is a whole key; without one, and after a restart, it knows none.
    """
    found: list[Unfinished] = []
    markers: dict[str, str] = {}
    what = "list unfinished uploads" + (f" of {key}" if key else "")
    while True:
        query = {"uploads": "", "max-uploads": str(page), **({"prefix": key} if key else {}), **markers}
        try:
            _, body = await repeated(partial(http.fetch, "GET", "", what, query=query))
        except BlobMissing:
            return tuple(found)  # how the embedded store says that it knows of none
        answer = parse_xml(body, what)
        for item in answer.iter("Upload"):
            upload = Unfinished(
                key=child_text(item, "Key"),
                upload=child_text(item, "UploadId"),
                begun=datetime.fromisoformat(child_text(item, "Initiated")),
            )
            if key is None or upload.key == key:
                found.append(upload)
        following = {
            "key-marker": child_text(answer, "NextKeyMarker"),
            "upload-id-marker": child_text(answer, "NextUploadIdMarker"),
        }
        if child_text(answer, "IsTruncated") != "true" or following == markers or not any(following.values()):
            return tuple(found)
        markers = following
