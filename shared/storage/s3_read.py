"""The bytes of an object as the store sends them: those that were asked for, all of them, or an error."""

import re
from collections.abc import AsyncIterator

import aiohttp

from shared.errors import Unavailable
from shared.storage.s3_http import unreachable

CHUNK_BYTES = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(?:\d+|\*)")


def expected(response: aiohttp.ClientResponse, key: str, start: int, length: int | None) -> int | None:
    """How many bytes must come. Some stores answer a range with status 200 and a Content-Range."""
    given = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if given is not None:
        first, last = int(given.group(1)), int(given.group(2))
        if first != start or (length is not None and last >= start + length):
            raise Unavailable(f"The object store answers with another range of {key} than was asked for.")
        return last - first + 1
    if start or length is not None:
        raise Unavailable(f"The object store does not answer ranges: read {key}.")
    return response.content_length


async def chunks(response: aiohttp.ClientResponse, key: str, due: int | None) -> AsyncIterator[bytes]:
    seen = 0
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            seen += len(chunk)
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise unreachable(error, f"read {key}") from error
    if due is not None and seen != due:
        raise Unavailable(f"The object store sent {seen} of the {due} bytes of {key}.")


async def nothing() -> AsyncIterator[bytes]:
    for piece in list[bytes]():
        yield piece
