"""What headers promise of an upload, over a real socket: keys that make it harmless to repeat, and digests."""

import base64
import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.events import topology
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.small import Small, detail, form_head, head, running, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = encoded(picture(64, 48))
BODY = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + JPEG + b"\r\n--b--\r\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small() -> AsyncIterator[Small]:
    async with running() as made:
        yield made


def digest(body: bytes, algorithm: str = "sha-256") -> str:
    found = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64.b64encode(found).decode()}:"


def raw(*headers: str) -> bytes:
    return head("PUT", "/v1/uploads/raw/a.jpg", f"Content-Length: {len(JPEG)}", *headers) + JPEG


def form(*headers: str) -> bytes:
    return form_head(len(BODY), "b", *headers) + BODY


RIGHT, WRONG = digest(JPEG), digest(b"x")
TAKEN: dict[str, bytes] = {
    "both of a file": raw(f"Content-Digest: {RIGHT}", f"Repr-Digest: {RIGHT}"),
    "two algorithms": raw(f"Repr-Digest: {RIGHT}, {digest(JPEG, 'sha-512')}"),
    "two algorithms in two lines": raw(f"Repr-Digest: {RIGHT}", f"Repr-Digest: {digest(JPEG, 'sha-512')}"),
    "a parameter": raw(f"Repr-Digest: {RIGHT};q=1"),
    "one that proves nothing": raw("Content-Digest: md5=:AAAA:, crc32c=:AAAA:"),
    "an unknown one beside a right one": raw(f"Content-Digest: blake3=:AAAA:, {RIGHT}"),
    "an empty header": raw("Content-Digest:"),
    "of the whole form": form(f"Content-Digest: {digest(BODY)}", f"Repr-Digest: {digest(BODY, 'sha-512')}"),
    "of the file in the form": form(f"Repr-Digest: {RIGHT}"),
    "the longest key": raw(f"Idempotency-Key: {'k' * 255}"),
    "a key of signs": raw('Idempotency-Key: "a/b:c"\'*>'),
}


@pytest.mark.parametrize("case", TAKEN)
async def test_a_promise_that_is_kept_is_taken(small: Small, case: str) -> None:
    await small.forget()
    assert statuses(await small.said(TAKEN[case])) == [202]
    assert [stored.body for stored in small.blobs.objects.values()] == [JPEG]


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "another body": (raw(f"Content-Digest: {WRONG}"), 422, RIGHT),
    "another file": (raw(f"Repr-Digest: {WRONG}"), 422, RIGHT),
    "another by SHA-512": (raw(f"Content-Digest: {digest(b'x', 'sha-512')}"), 422, "sha-512"),
    "one of two is another": (raw(f"Content-Digest: {RIGHT}, {digest(b'x', 'sha-512')}"), 422, "sha-512"),
    "another form": (form(f"Content-Digest: {RIGHT}"), 422, "Content-Digest"),
    "another file in the form": (form(f"Repr-Digest: {WRONG}"), 422, RIGHT),
    "hexadecimal": (raw(f"Content-Digest: {hashlib.sha256(JPEG).hexdigest()}"), 400, "Content-Digest"),
    "the old form": (raw(f"Content-Digest: SHA-256={RIGHT[9:-1]}"), 400, "RFC 9530"),
    "no base64": (raw("Content-Digest: sha-256=:abc$:"), 400, "Content-Digest"),
    "too short": (raw("Content-Digest: sha-256=:AAAA:"), 400, "3 bytes instead of 32"),
    "an endless list": (raw(f"Content-Digest: {', '.join([RIGHT] * 100)}"), 400, "too long"),
    "a key with a space": (raw("Idempotency-Key: a b"), 400, "Idempotency-Key"),
    "an empty key": (raw("Idempotency-Key:"), 400, "Idempotency-Key"),
    "a key that is too long": (raw(f"Idempotency-Key: {'k' * 256}"), 400, "255"),
    "a key in other letters": (raw("Idempotency-Key: \xe4"), 400, "ASCII"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_promise_that_is_broken_or_cannot_be_read_leaves_nothing(small: Small, case: str) -> None:
    request, status, word = REFUSED[case]
    await small.forget()
    answer = await small.said(request)
    assert statuses(answer) == [status], answer
    assert word in detail(answer)
    await small.nothing_is_left()


async def test_a_key_that_came_with_a_broken_promise_is_free_again(small: Small) -> None:
    await small.forget()
    key = "Idempotency-Key: free"
    assert statuses(await small.said(raw(key, f"Content-Digest: {WRONG}"))) == [422]
    assert await small.bus.kv(topology.IDEMPOTENCY).keys() == []
    first = await small.said(raw(key, f"Content-Digest: {RIGHT}"))
    again = await small.said(raw(key))
    assert [*statuses(first), *statuses(again)] == [202, 202]
    assert b"idempotent-replayed: true" in again.lower()
    assert first.rpartition(b"\r\n")[2] == again.rpartition(b"\r\n")[2]
    assert len(small.blobs.objects) == 1
