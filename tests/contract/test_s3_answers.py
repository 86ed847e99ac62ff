"""What the client makes of a store that answers wrongly, late or not at all: a server that does what the test says."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web

from shared.errors import Unavailable
from shared.storage import s3, s3_upload
from shared.storage.s3 import S3Blobs, S3Settings
from tests.contract.stores import body, keys, read

PART = 1000
COMPLETED = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeStore:
    """Answers each kind of request as the test set it, and writes down what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Answer] = {}
        self.uploads: set[str] = set()
        self.sizes: dict[str, int] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        kind = self.kind(request)
        self.asked.append(kind)
        self.headers.append(dict(request.headers))
        answer = self.answers.get(kind)
        if answer is not None:
            return await answer(request)
        came = await request.read()
        if kind == "PUT":
            self.sizes[request.path] = len(came)
        if kind == "HEAD":
            return web.Response(headers={"ETag": '"e"', "Content-Length": str(self.sizes[request.path])})
        if kind == "begin":
            self.uploads.add("u1")
            return xml(
                b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            )
        if kind == "complete":
            return xml(COMPLETED)
        if kind == "abort":
            self.uploads.clear()
            return web.Response(status=204)
        return web.Response(headers={"ETag": '"e"'})

    def kind(self, request: web.Request) -> str:
        query = request.query
        if "uploads" in query:
            return "begin" if request.method == "POST" else "unfinished"
        if "partNumber" in query:
            return f"part {query['partNumber']}"
        if "uploadId" in query:
            return "complete" if request.method == "POST" else "abort"
        return request.method


def xml(text: bytes, status: int = 200) -> web.Response:
    return web.Response(body=text, status=status, content_type="application/xml")


def always(answer: Callable[[], web.Response]) -> Answer:
    async def give(request: web.Request) -> web.StreamResponse:
        await request.read()
        return answer()

    return give


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    monkeypatch.setattr(s3, "LOOK_PAUSES", (0.0, 0.0))
    return FakeStore()


@pytest.fixture
async def blobs(fake: FakeStore) -> AsyncIterator[S3Blobs]:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    client = S3Blobs(
        S3Settings(
            endpoint=f"http://127.0.0.1:{port}", bucket="bucket", access_key="AKEY", secret_key="SECRET"
        ),
        part_bytes=PART,
    )
    yield client
    await client.close()
    await runner.cleanup()


async def test_a_completion_that_fails_with_status_200_is_unavailable_and_aborted(
    fake: FakeStore, blobs: S3Blobs
) -> None:
    fake.answers["complete"] = always(lambda: xml(b"<Error><Code>InternalError</Code></Error>"))
    with pytest.raises(Unavailable, match="InternalError"):
        await blobs.put("a/key", body(3 * PART), size=None, content_type="x/y")
    assert fake.asked == ["begin", "part 1", "part 2", "part 3", "complete", "abort"]
    assert fake.uploads == set()


@pytest.mark.parametrize("there", [None, 3 * PART - 1])
async def test_a_completion_is_believed_only_when_the_object_is_there_whole(
    fake: FakeStore, blobs: S3Blobs, there: int | None
) -> None:
    def head() -> web.Response:
        if there is None:
            return web.Response(status=404)
        return web.Response(headers={"ETag": '"e"', "Content-Length": str(there)})

    fake.answers["HEAD"] = always(head)
    with pytest.raises(Unavailable, match="a/key"):
        await blobs.put("a/key", body(3 * PART), size=None, content_type="x/y")


LIES: dict[str, tuple[int, dict[str, str]]] = {
    "nothing is there": (404, {}),
    "it is shorter": (200, {"ETag": '"e"', "Content-Length": "9"}),
    "it is longer": (200, {"ETag": '"e"', "Content-Length": "11"}),
    "it is another": (200, {"ETag": '"f"', "Content-Length": "10"}),
    "nobody knows how long it is": (200, {"ETag": '"e"', "Transfer-Encoding": "chunked"}),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("known", [True, False])
async def test_a_store_that_says_stored_is_believed_only_when_the_object_is_there(
    fake: FakeStore, blobs: S3Blobs, lie: str, *, known: bool
) -> None:
    status, headers = LIES[lie]
    fake.answers["HEAD"] = always(lambda: web.Response(status=status, headers=headers))
    with pytest.raises(Unavailable, match="a/key"):
        await blobs.put("a/key", body(10), size=10 if known else None, content_type="x/y")
    assert set(fake.asked) == {"PUT", "HEAD"}


async def test_an_object_that_shows_a_moment_later_is_there(fake: FakeStore, blobs: S3Blobs) -> None:
    looks = iter([404, 200])
    there = {"ETag": '"e"', "Content-Length": "10"}
    fake.answers["HEAD"] = always(
        lambda: web.Response(status=404) if next(looks) == 404 else web.Response(headers=there)
    )
    assert (await blobs.put("a/key", body(10), size=10, content_type="x/y")).size == 10
    assert fake.asked == ["PUT", "HEAD", "HEAD"]


@pytest.mark.parametrize(
    ("told", "found", "believed"),
    [
        ("a-3", "a-3", True),
        ("a-3", "b-3", False),
        ("a-3", "a-2", False),
        ("a-3", "0123", True),  # the embedded store: of the parts when completed, of the whole afterwards
        ("", "0123", True),
        ("a-3", "", True),
    ],
)
async def test_the_etag_of_a_completion_is_that_of_the_object(
    fake: FakeStore, blobs: S3Blobs, told: str, found: str, *, believed: bool
) -> None:
    done = f"<CompleteMultipartUploadResult><ETag>&quot;{told}&quot;</ETag></CompleteMultipartUploadResult>"
    fake.answers["complete"] = always(lambda: xml(done.encode()))
    there = {"ETag": f'"{found}"', "Content-Length": str(3 * PART)}
    fake.answers["HEAD"] = always(lambda: web.Response(headers=there))
    put = blobs.put("a/key", body(3 * PART), size=None, content_type="x/y")
    if believed:
        assert (await put).size == 3 * PART
    else:
        with pytest.raises(Unavailable, match="ETag"):
            await put


async def test_a_part_that_fails_ends_the_upload_and_aborts_it(fake: FakeStore, blobs: S3Blobs) -> None:
    fake.answers["part 2"] = always(lambda: xml(b"<Error><Code>SlowDown</Code></Error>", 503))
    with pytest.raises(Unavailable, match="SlowDown"):
        await blobs.put("a/key", body(10 * PART, piece=PART), size=None, content_type="x/y")
    assert "complete" not in fake.asked
    assert fake.asked[-1] == "abort"


async def test_an_upload_that_the_store_has_forgotten_is_unavailable_and_not_a_missing_object(
    fake: FakeStore, blobs: S3Blobs
) -> None:
    for forgotten in ("part 2", "complete"):
        fake.answers = {forgotten: always(lambda: xml(b"<Error><Code>NoSuchUpload</Code></Error>", 404))}
        with pytest.raises(Unavailable, match="forgotten"):
            await blobs.put("a/key", body(3 * PART), size=None, content_type="x/y")


async def test_an_abort_is_repeated_and_its_failure_does_not_hide_the_first_one(
    fake: FakeStore, blobs: S3Blobs
) -> None:
    fake.answers["abort"] = always(lambda: xml(b"<Error><Code>SlowDown</Code></Error>", 503))
    with pytest.raises(KeyError, match="first"):
        await blobs.put("a/key", body(3 * PART, error=KeyError("first")), size=None, content_type="x/y")
    assert fake.asked.count("abort") == 3


async def test_at_most_one_part_is_on_its_way_and_parts_are_in_order(fake: FakeStore, blobs: S3Blobs) -> None:
    on_the_way, most = 0, 0

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal on_the_way, most
        on_the_way += 1
        most = max(most, on_the_way)
        assert len(await request.read()) == PART
        await asyncio.sleep(0.01)
        on_the_way -= 1
        return web.Response(headers={"ETag": '"e"'})

    fake.answers = {f"part {number}": slow for number in range(1, 6)}
    fake.answers["HEAD"] = always(lambda: web.Response(headers={"Content-Length": str(5 * PART)}))
    await blobs.put("a/key", body(5 * PART, piece=100), size=None, content_type="x/y")
    assert most == 1
    assert [asked for asked in fake.asked if asked.startswith("part")] == [f"part {n}" for n in range(1, 6)]


async def test_without_a_spare_the_next_part_is_not_filled_before_the_last_one_has_arrived(
    fake: FakeStore, blobs: S3Blobs
) -> None:
    blobs._spare._left = 0
    arrived: list[int] = []
    pulled: list[int] = []

    async def note(request: web.Request) -> web.StreamResponse:
        await request.read()
        arrived.append(int(request.query["partNumber"]))
        return web.Response(headers={"ETag": '"e"'})

    async def watched() -> AsyncIterator[bytes]:
        for number in range(1, 4):
            assert arrived == list(range(1, number))
            pulled.append(number)
            yield b"x" * PART

    fake.answers = {f"part {number}": note for number in range(1, 4)}
    fake.answers["HEAD"] = always(lambda: web.Response(headers={"Content-Length": str(3 * PART)}))
    await blobs.put("a/key", watched(), size=None, content_type="x/y")
    assert pulled == [1, 2, 3]


@pytest.mark.parametrize(
    ("status", "headers", "sent"),
    [
        (206, {"Content-Range": "bytes 2-4/10"}, b"234"),
        (200, {"Content-Range": "bytes 2-4/10"}, b"234"),
        (206, {"Content-Range": "bytes 2-4/*"}, b"234"),
    ],
)
async def test_both_ways_to_answer_a_range_are_understood(
    fake: FakeStore, blobs: S3Blobs, status: int, headers: dict[str, str], sent: bytes
) -> None:
    fake.answers["GET"] = always(lambda: web.Response(status=status, headers=headers, body=sent))
    assert await read(blobs, "a/key", start=2, length=3) == b"234"
    assert fake.headers[0]["Range"] == "bytes=2-4"


@pytest.mark.parametrize(
    ("status", "headers", "sent"),
    [
        (200, {}, b"0123456789"),
        (206, {"Content-Range": "bytes 3-5/10"}, b"345"),
        (206, {"Content-Range": "bytes 1-3/10"}, b"123"),
        (206, {"Content-Range": "bytes 2-9/10"}, b"23456789"),
        (206, {"Content-Range": "bytes 2-4/10"}, b"23"),
        (206, {"Content-Range": "bytes 2-4/10"}, b"2345"),
        (206, {"Content-Range": "nonsense"}, b"234"),
    ],
)
async def test_bytes_other_than_those_asked_for_are_never_taken_for_them(
    fake: FakeStore, blobs: S3Blobs, status: int, headers: dict[str, str], sent: bytes
) -> None:
    fake.answers["GET"] = always(lambda: web.Response(status=status, headers=headers, body=sent))
    with pytest.raises(Unavailable):
        await read(blobs, "a/key", start=2, length=3)


async def test_a_body_that_ends_early_is_unavailable(fake: FakeStore, blobs: S3Blobs) -> None:
    async def cut_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"01234")
        assert request.transport is not None
        request.transport.close()
        return response

    fake.answers["GET"] = cut_off
    with pytest.raises(Unavailable):
        await read(blobs, "a/key")


async def test_small_harmless_calls_are_tried_three_times(fake: FakeStore, blobs: S3Blobs) -> None:
    failures = 2

    def sometimes() -> web.Response:
        nonlocal failures
        failures -= 1
        return web.Response(status=503) if failures >= 0 else web.Response(headers={"Content-Length": "0"})

    for call in (
        lambda: blobs.head("a/key"),
        lambda: blobs.delete("a/key"),
        lambda: blobs.put_bytes("a/key", b"", content_type="x/y"),
        lambda: read(blobs, "a/key"),
    ):
        failures = 2
        fake.answers = {kind: always(sometimes) for kind in ("HEAD", "DELETE", "PUT", "GET")}
        await call()
    failures = 3
    with pytest.raises(Unavailable):
        await blobs.head("a/key")


async def test_a_streamed_body_is_sent_only_once(fake: FakeStore, blobs: S3Blobs) -> None:
    fake.answers["PUT"] = always(lambda: web.Response(status=503))
    with pytest.raises(Unavailable):
        await blobs.put("a/key", body(10), size=10, content_type="x/y")
    assert fake.asked == ["PUT"]


async def test_a_put_that_finds_nothing_there_is_unavailable(fake: FakeStore, blobs: S3Blobs) -> None:
    fake.answers["PUT"] = always(lambda: web.Response(status=404))
    with pytest.raises(Unavailable, match="404"):
        await blobs.put("a/key", body(10), size=10, content_type="x/y")
    with pytest.raises(Unavailable, match="404"):
        await blobs.put_bytes("a/key", b"", content_type="x/y")


async def test_an_early_refusal_ends_a_streamed_body_at_once(fake: FakeStore, blobs: S3Blobs) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return xml(b"<Error><Code>AccessDenied</Code></Error>", 403)

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await asyncio.Event().wait()

    fake.answers["PUT"] = refuse
    with pytest.raises(Unavailable, match="AccessDenied"):
        await asyncio.wait_for(blobs.put("a/key", endless(), size=10**9, content_type="x/y"), 5)


async def test_a_store_that_takes_no_more_bytes_is_given_up(
    fake: FakeStore, blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_upload, "STALL_SECONDS", 0.3)
    let_go = asyncio.Event()

    async def stall(_: web.Request) -> web.StreamResponse:
        await let_go.wait()
        return web.Response()

    fake.answers["PUT"] = stall
    size = 256 * 1024 * 1024
    try:
        with pytest.raises(Unavailable, match="in time"):
            await asyncio.wait_for(blobs.put("a/key", body(size), size=size, content_type="x/y"), 20)
    finally:
        let_go.set()


async def test_a_slow_client_is_not_mistaken_for_a_stalled_store(
    fake: FakeStore, blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_upload, "STALL_SECONDS", 0.1)
    blobs._http._open_session()._timeout = blobs._http._open_session()._timeout.__class__(sock_read=0.1)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.3)
            yield b"x"

    assert (await blobs.put("a/key", slow(), size=3, content_type="x/y")).size == 3
    assert fake.asked == ["PUT", "HEAD"]


async def test_what_a_body_is_sure_to_have_goes_as_one_part_and_its_end_as_another(
    fake: FakeStore, blobs: S3Blobs
) -> None:
    came: list[int] = []

    async def note(request: web.Request) -> web.StreamResponse:
        came.append(len(await request.read()))
        return web.Response(headers={"ETag": '"e"'})

    fake.answers = {"part 1": note, "part 2": note}
    fake.answers["HEAD"] = always(lambda: web.Response(headers={"Content-Length": "7350"}))
    stored = await blobs.put("a/key", body(7350, piece=333), size=None, content_type="x/y", at_least=7000)
    assert stored.size == 7350
    assert came == [7000, 350]
    assert fake.asked == ["begin", "part 1", "part 2", "complete", "HEAD"]


async def test_more_than_one_part_may_hold_streams_as_several(
    fake: FakeStore, blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "LARGEST_PUT", 3 * PART)
    fake.answers["HEAD"] = always(lambda: web.Response(headers={"Content-Length": "7900"}))
    await blobs.put("a/key", body(7900, piece=333), size=None, content_type="x/y", at_least=6999)
    lengths = [int(sent["Content-Length"]) for sent in fake.headers[1:-2]]
    assert lengths == [3 * PART, 3 * PART, PART, 900]


async def test_a_body_that_is_not_sure_to_fill_a_part_is_collected(fake: FakeStore, blobs: S3Blobs) -> None:
    await blobs.put("a/key", body(PART - 1), size=None, content_type="x/y", at_least=PART - 2)
    assert fake.asked == ["PUT", "HEAD"]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_a_part_that_is_refused_while_it_streams_ends_the_upload_at_once_and_aborts_it(
    fake: FakeStore, blobs: S3Blobs, status: int
) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return xml(b"<Error><Code>NoSuchUpload</Code></Error>", status)

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * PART
        await asyncio.Event().wait()

    fake.answers["part 1"] = refuse
    with pytest.raises(Unavailable, match="part 1 of a/key"):
        await asyncio.wait_for(
            blobs.put("a/key", endless(), size=None, content_type="x/y", at_least=10**9), 5
        )
    assert fake.asked == ["begin", "part 1", "abort"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not xml",
        b"<html>",
        b'<!DOCTYPE a [<!ENTITY b "cccc">]><ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>',
    ],
)
async def test_a_listing_that_is_no_plain_xml_is_unavailable(
    fake: FakeStore, blobs: S3Blobs, text: bytes
) -> None:
    fake.answers["GET"] = always(lambda: xml(text))
    with pytest.raises(Unavailable):
        await keys(blobs)


async def test_no_error_text_holds_a_key_pair_or_a_signature(fake: FakeStore, blobs: S3Blobs) -> None:
    fake.answers["GET"] = always(lambda: xml(b"<Error><Code>SignatureDoesNotMatch</Code></Error>", 403))
    with pytest.raises(Unavailable) as caught:
        await read(blobs, "a/key")
    signature = re.search(r"Signature=(\w+)", fake.headers[0]["Authorization"])
    assert signature is not None
    for secret in ("SECRET", "AKEY", signature.group(1), "Authorization"):
        assert secret not in caught.value.detail
        assert secret not in repr(caught.value.__cause__)


async def test_a_listing_of_unfinished_uploads_that_goes_round_in_a_circle_ends(
    fake: FakeStore, blobs: S3Blobs
) -> None:
    begun = "2026-11-21T10:00:00.000Z"
    namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    page = (
        f"<ListMultipartUploadsResult {namespace}><IsTruncated>true</IsTruncated>"
        "<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
        f"<Upload><Key>a</Key><UploadId>u</UploadId><Initiated>{begun}</Initiated></Upload>"
        "</ListMultipartUploadsResult>"
    ).encode()
    fake.answers["unfinished"] = always(lambda: xml(page))
    found = await blobs.unfinished()
    assert {(upload.key, upload.upload, upload.begun) for upload in found} == {
        ("a", "u", datetime(2026, 11, 21, 10, tzinfo=UTC))
    }
    assert fake.asked == ["unfinished", "unfinished"]
