"""How a request's body is framed, byte by byte over a real socket: what could be read as one request or as two is
refused, and nothing of the second is done; a body that never ends as it says leaves nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.small import Small, detail, form_head, head, running, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = encoded(picture(64, 48))
SIZE = f"Content-Length: {len(JPEG)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(JPEG), JPEG)
NEXT = head("PUT", "/v1/uploads/raw/next.jpg", SIZE) + JPEG


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small() -> AsyncIterator[Small]:
    async with running(stall=0.6) as made:
        yield made


def put(*headers: str, version: str = "1.1") -> bytes:
    return head("PUT", "/v1/uploads/raw/a.jpg", *headers, close=False, version=version)


def chunk(size: bytes, behind: bytes = b"\r\n") -> bytes:
    return put(CHUNKED) + size + b"\r\n" + JPEG + behind + b"0\r\n\r\n"


LENGTH = f"{len(JPEG):x}".encode()
AMBIGUOUS: dict[str, bytes] = {
    "a length and chunks": put(SIZE, CHUNKED) + CHUNKS,
    "chunks and a length": put(CHUNKED, SIZE) + CHUNKS,
    "two lengths": put(SIZE, f"Content-Length: {len(JPEG) - 1}") + JPEG,
    "the same length twice": put(SIZE, SIZE) + JPEG,
    "a list of lengths": put(f"Content-Length: {len(JPEG)}, {len(JPEG)}") + JPEG,
    "a length with a sign": put(f"Content-Length: +{len(JPEG)}") + JPEG,
    "a negative length": put("Content-Length: -1") + JPEG,
    "a length in hexadecimal": put(f"Content-Length: 0x{len(JPEG):x}") + JPEG,
    "a length with an underscore": put("Content-Length: 1_0") + JPEG,
    "a length beyond all numbers": put("Content-Length: 99999999999999999999999") + JPEG,
    "a space before the colon": put(f"Content-Length : {len(JPEG)}") + JPEG,
    "chunks with a space before the colon": put("Transfer-Encoding : chunked") + CHUNKS,
    "an unknown coding": put("Transfer-Encoding: xchunked") + CHUNKS,
    "no coding": put("Transfer-Encoding: identity") + CHUNKS,
    "chunks that are coded again": put("Transfer-Encoding: chunked, identity") + CHUNKS,
    "compressed chunks": put("Transfer-Encoding: gzip, chunked") + CHUNKS,
    "chunks of chunks": put("Transfer-Encoding: chunked, chunked") + CHUNKS,
    "two codings": put(CHUNKED, "Transfer-Encoding: identity") + CHUNKS,
    "a coding behind a control character": put("Transfer-Encoding: \x0bchunked") + CHUNKS,
    "chunks in HTTP/1.0": put(CHUNKED, version="1.0") + CHUNKS,
    "a folded header": put("X-A: b", "  Transfer-Encoding: chunked") + CHUNKS,
    "line feeds only": put(SIZE).replace(b"\r\n", b"\n") + JPEG,
    "a bare carriage return": put(f"X-A: a\r{SIZE}") + JPEG,
    "a NUL": put("X-A: a\0b", SIZE) + JPEG,
    "no host": put(SIZE).replace(b"Host: t\r\n", b"") + JPEG,
    "two hosts": put(SIZE, "Host: u") + JPEG,
    "two types": put(SIZE, "Content-Type: image/jpeg", "Content-Type: image/png") + JPEG,
    "two tokens": put(SIZE, "Authorization: Bearer x") + JPEG,
    "two keys": put(SIZE, "Idempotency-Key: x", "Idempotency-Key: y") + JPEG,
    "a WebSocket with a body": put(SIZE, "Upgrade: websocket", "Connection: upgrade") + JPEG,
    "HTTP/2 with a body": put(SIZE, "Upgrade: h2c", "Connection: upgrade") + JPEG,
    "a chunk size with 0x": chunk(b"0x" + LENGTH),
    "a negative chunk size": chunk(b"-1"),
    "a chunk size with a sign": chunk(b"+" + LENGTH),
    "a chunk size with a space": chunk(LENGTH + b" "),
    "a chunk size beyond all numbers": chunk(b"f" * 17),
    "an empty chunk size": chunk(b""),
    "a chunk size with a line feed only": put(CHUNKED) + LENGTH + b"\n" + JPEG + b"\n0\n\n",
    "a line feed in a chunk extension": chunk(LENGTH + b";\nfoo"),
    "a chunk without its end": chunk(LENGTH, behind=b""),
    "a chunk that is longer than it says": chunk(b"%x" % (len(JPEG) - 2)),
    "a length among the trailers": put(CHUNKED) + CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("case", AMBIGUOUS)
async def test_a_body_that_can_be_framed_in_two_ways_is_refused_and_what_follows_it_is_not_done(
    small: Small, case: str
) -> None:
    answer = await small.said(AMBIGUOUS[case] + NEXT)
    assert statuses(answer) == [400], answer
    assert b"connection: close" in answer.lower()
    assert len(detail(answer)) > 20
    await small.nothing_is_left()


@pytest.mark.parametrize(
    "request_bytes",
    [
        put(CHUNKED) + CHUNKS,
        put("Transfer-Encoding: Chunked") + CHUNKS,
        put(CHUNKED) + LENGTH + b";name=value\r\n" + JPEG + b"\r\n0\r\n\r\n",
        put(CHUNKED) + CHUNKS[:-2] + b"X-Checksum: abc\r\n\r\n",
        put(CHUNKED) + b"".join(b"1\r\n%c\r\n" % byte for byte in JPEG) + b"0\r\n\r\n",
        put(SIZE, "Content-Encoding: identity") + JPEG,
    ],
    ids=["chunks", "in capitals", "an extension", "a trailer", "chunks of one byte", "no content coding"],
)
async def test_a_body_that_is_framed_well_is_taken_and_the_connection_goes_on(
    small: Small, request_bytes: bytes
) -> None:
    await small.forget()
    assert statuses(await small.said(request_bytes + NEXT)) == [202, 202]
    assert [stored.body for stored in small.blobs.objects.values()] == [JPEG, JPEG]
    await small.forget()


BEGUN = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
LYING: dict[str, tuple[bytes, int | None]] = {
    "a length beyond the body": (put(f"Content-Length: {len(JPEG) + 9}") + JPEG, 408),
    "a form with a length beyond it": (form_head(100_000) + BEGUN + bytes(70_000), 408),
    "a length short of a form": (form_head(len(BEGUN) + 50) + BEGUN + bytes(60_000), 400),
    "chunks that do not end": (put(CHUNKED) + CHUNKS[:-5], 408),
    "a chunk that does not end": (put(CHUNKED) + b"ffff\r\n" + JPEG, 408),
    "a body that never begins": (put(SIZE), 408),
}


async def test_a_length_that_lies_leaves_nothing(small: Small) -> None:
    async def refused(case: str) -> None:
        request, status = LYING[case]
        answer = await small.said(request)
        assert statuses(answer)[:1] == [status], (case, answer)

    await asyncio.gather(*(refused(case) for case in LYING))
    await small.nothing_is_left()


async def test_a_client_that_closes_its_side_in_the_middle_leaves_nothing(small: Small) -> None:
    """Nobody reads the answer; that the connection ends at once is all that is asked."""
    async with asyncio.timeout(0.5):  # below the patience with silent bodies
        for request, _ in (LYING["a length beyond the body"], LYING["chunks that do not end"]):
            await small.said(request, half_close=True)
    await small.nothing_is_left()


async def test_a_body_that_drips_below_the_least_rate_is_given_up(small: Small) -> None:
    async with small.connected() as client:
        await client.send(form_head(100_000) + BEGUN + bytes(1000))

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(b"x")
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        answer = await client.rest()
        dripping.cancel()
    assert statuses(answer) == [408]
    assert "256 a second" in detail(answer)
    await small.nothing_is_left()


@pytest.mark.parametrize(
    "line", [f"X-A: {'a' * 1_000_000}", "\r\n".join(["X-A: b"] * 101)], ids=["a megabyte", "101 of them"]
)
async def test_headers_over_the_limits_are_refused(small: Small, line: str) -> None:
    answer = await small.said(put(SIZE, line) + JPEG)
    assert statuses(answer) == [431]
    assert "65536" in detail(answer)
    await small.nothing_is_left()
