"""`Expect: 100-continue` over a real socket: a refusal comes without a 100 and before the body, a body that is taken
is asked for once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.entities import Entity
from shared.events import topology
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.small import Small, detail, head, running, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = encoded(picture(64, 48))
RAW = "/v1/uploads/raw/a.jpg"
EXPECT = "Expect: 100-continue"
FORM = "Content-Type: multipart/form-data; boundary=b"
BODY = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + JPEG + b"\r\n--b--\r\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small() -> AsyncIterator[Small]:
    async with running() as made:
        await made.put_entity(Entity(type="post", id="bobs", owners=("bob",)))
        yield made


def asking(method: str, path: str, *headers: str, length: int = 100_000) -> bytes:
    return head(method, path, EXPECT, f"Content-Length: {length}", *headers, close=False)


NOBODY = asking("PUT", RAW).replace(b"Authorization: Bearer", b"X-None:")
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no token": (NOBODY, 401, "Bearer"),
    "a form without a token": (asking("POST", "/v1/uploads", FORM).replace(b"Authorization", b"X-A"), 401, "Bearer"),
    "a file over every limit": (asking("PUT", RAW, length=10**12), 413, "any file here"),
    "a form over every limit": (asking("POST", "/v1/uploads", FORM, length=10**12), 413, "any file here"),
    "a file over the limit of what its name says": (asking("PUT", RAW, length=2_000_001), 413, "2000000 bytes"),
    "a file over its profile's limit": (asking("PUT", RAW + "?profile=tiny", length=701), 413, "'tiny'"),
    "a type that the profile does not take": (
        asking("PUT", "/v1/uploads/raw/a.txt?profile=tiny"), 415, "text/plain",
    ),
    "a name and a type that contradict each other": (
        asking("PUT", RAW, "Content-Type: video/mp4"), 415, "video/mp4",
    ),
    "a name that says a program and a type that says a picture": (
        asking("PUT", "/v1/uploads/raw/a.exe", "Content-Type: image/png"), 415, "The name 'a.exe' says application/",
    ),
    "a compressed body": (asking("PUT", RAW, "Content-Encoding: gzip"), 415, "'gzip'"),
    "no form": (asking("POST", "/v1/uploads", "Content-Type: image/jpeg"), 415, "image/jpeg"),
    "a form without a boundary": (asking("POST", "/v1/uploads", "Content-Type: multipart/form-data"), 400, "boundary"),
    "a digest that cannot be read": (asking("PUT", RAW, "Repr-Digest: abc"), 400, "Repr-Digest"),
    "a key that is none": (asking("PUT", RAW, "Idempotency-Key: a b"), 400, "Idempotency-Key"),
    "a part of a file": (asking("PUT", RAW, "Content-Range: bytes 0-9/20"), 400, "Content-Range"),
    "an unknown option": (asking("PUT", RAW + "?colour=red"), 422, "'colour'"),
    "an unknown profile": (asking("PUT", RAW + "?profile=nope"), 422, "'nope'"),
    "a profile for others": (asking("PUT", RAW + "?profile=internal"), 403, "service role"),
    "an unknown entity": (asking("PUT", RAW + "?entity_type=post&entity_id=absent"), 404, "'absent'"),
    "another's entity": (asking("PUT", RAW + "?entity_type=post&entity_id=bobs"), 403, "'bobs'"),
    "a form for another's entity": (asking("POST", "/v1/media/posts/bobs/media", FORM), 403, "owner"),
    "a form for an unknown entity": (asking("POST", "/v1/media/builders/absent/logo", FORM), 404, "'absent'"),
    "a form for another user": (asking("POST", "/v1/media/users/5/avatar", FORM), 404, "'5'"),
    "a form for what can be no entity": (asking("POST", "/v1/media/posts/%00/media", FORM), 422, "entity"),
    "a form for another's persona": (asking("POST", "/media/upload/7", FORM), 404, "Persona"),
    "an unknown address": (asking("PUT", "/v1/nothing"), 404, "/v1/nothing"),
    "a wrong method": (asking("PATCH", "/v1/uploads"), 405, "PATCH"),
}  # fmt: skip


async def test_a_refusal_comes_without_a_100_and_before_the_body(small: Small) -> None:
    async def refused(case: str) -> None:
        request, status, word = REFUSED[case]
        async with small.connected() as client:
            await client.send(request)
            answer = await client.answer()
            assert statuses(answer) == [status], (case, answer)
            assert word in detail(answer), (case, answer)
            assert await client.rest() == b"", case  # closed cleanly, for nobody knows whether the body comes

    await asyncio.gather(*(refused(case) for case in REFUSED))
    await small.nothing_is_left()


async def test_a_service_that_cannot_store_refuses_with_503(small: Small) -> None:
    small.broker.stop()
    try:
        async with small.connected() as client:
            await client.send(asking("PUT", RAW))
            answer = await client.answer()
    finally:
        small.broker.start()
    assert statuses(answer) == [503]
    assert b"retry-after" in answer.lower()


@pytest.mark.parametrize(
    ("request_head", "body"),
    [
        (asking("PUT", RAW, length=len(JPEG)), JPEG),
        (asking("POST", "/v1/uploads", FORM, length=len(BODY)), BODY),
        (
            head("PUT", RAW, EXPECT, "Transfer-Encoding: chunked", close=False),
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(JPEG), JPEG),
        ),
    ],
    ids=["raw", "form", "of unknown length"],
)
async def test_a_body_that_is_taken_is_asked_for_once(small: Small, request_head: bytes, body: bytes) -> None:
    async with small.connected() as client:
        for _ in range(2):  # the connection lives on
            await client.send(request_head)
            asked = await client.until(b"\r\n\r\n")
            for at in range(0, len(body), 700):
                await client.send(body[at : at + 700])
            assert statuses(asked + await client.answer()) == [100, 202]
    await small.forget()


async def test_who_says_expect_and_does_not_wait_is_answered_too(small: Small) -> None:
    async with small.connected() as client:
        await client.send(asking("PUT", RAW, length=len(JPEG)) + JPEG)
        answer = await client.until(b"\r\n\r\n")
        if b" 100 " in answer:
            answer = await client.answer()
    assert statuses(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")[-1:] == [202]
    await small.forget()


async def test_who_does_not_wait_still_reads_the_refusal(small: Small) -> None:
    async with small.connected() as client:
        length = 11_000_000
        await client.send(asking("PUT", RAW, "Content-Encoding: gzip", length=length))
        await client.send(bytes(length))
        assert statuses(await client.rest()) == [415]
    await small.nothing_is_left()


async def test_a_retry_is_answered_without_its_body_being_asked_for_again(small: Small) -> None:
    """Only as much of it as tells that it is the same file."""
    key = "Idempotency-Key: expected"
    body = JPEG + bytes(1_000_000)
    request = asking("PUT", RAW, key, length=len(body))
    async with small.connected() as client:
        await client.send(request)
        await client.until(b"\r\n\r\n")
        await client.send(body)
        first = await client.answer()
    async with small.connected() as client:
        await client.send(request)
        asked = await client.until(b"\r\n\r\n")
        await client.send(body[:70_000])
        again = await client.answer()
    assert statuses(first) == [202]
    assert statuses(asked + again) == [100, 202]
    assert b"idempotent-replayed: true" in again.lower()
    assert len(await small.bus.kv(topology.IDEMPOTENCY).keys()) == 1
    await small.forget()
