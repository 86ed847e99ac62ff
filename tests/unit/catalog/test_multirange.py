"""Several ranges of one file: which parts they are, and the body that holds them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.conditions import Conditions
from services.catalog.delivery import Asked, Delivery, File
from services.catalog.multirange import MOST_GAP, MOST_RANGES, spans
from shared.errors import NotFound, RangeNotSatisfiable
from shared.ids import new_id
from shared.storage.blobs import BlobMissing
from shared.storage.memory import MemoryBlobs

BODY = bytes(range(256)) * 40
SIZE = len(BODY)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1,5000-5001", [(0, 2), (5000, 2)]),
        ("bytes=5000-5001, 0-1", [(5000, 2), (0, 2)]),  # in the order of the field
        ("bytes=0-99,50-149", [(0, 150)]),
        ("bytes=0-99,100-199", [(0, 200)]),
        (f"bytes=0-9,{9 + MOST_GAP}-200", [(0, 201)]),
        (f"bytes=0-9,{11 + MOST_GAP}-200", [(0, 10), (11 + MOST_GAP, 190 - MOST_GAP)]),
        ("bytes=5000-5001,0-1,1-2", [(5000, 2), (0, 3)]),
        ("bytes=0-,-1", [(0, SIZE)]),
        ("bytes=0-0,-1", [(0, 1), (SIZE - 1, 1)]),
        ("bytes=0-1,999999-", [(0, 2)]),  # what lies outside is left out
        ("bytes=,0-1,,5000-5001,", [(0, 2), (5000, 2)]),  # empty elements of a list count for nothing
        ("bytes=5-" + "9" * 5000, [(5, SIZE - 5)]),
        ("bytes=-" + "9" * 5000, [(0, SIZE)]),
        ("bytes=" + "0" * 5000 + "1-1", [(1, 1)]),
        ("bytes=0-1,x", None),
        ("bytes=0-1,9-5", None),
        ("bytes=0-1,-", None),
        ("bytes=,,", None),
        ("bytes=" + ",".join(f"{n * 500}-{n * 500}" for n in range(MOST_RANGES + 1)), None),
        ("bytes=" + "," * 100_000, None),
    ],
)
def test_ranges_are_put_together_in_the_order_of_the_field(
    header: str, expected: list[tuple[int, int]] | None
) -> None:
    assert spans(header, SIZE) == expected


@pytest.mark.parametrize("header", [f"bytes={SIZE}-,-0", "bytes=" + "9" * 5000 + "-"], ids=["end", "far"])
def test_ranges_that_all_lie_outside_are_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        spans(header, SIZE)


_SPEC = st.one_of(
    st.tuples(st.integers(0, 150), st.integers(0, 150)).map(lambda t: f"{min(t)}-{max(t)}"),
    st.integers(0, 150).map(lambda n: f"{n}-"),
    st.integers(0, 150).map(lambda n: f"-{n}"),
)


def _plainly(spec: str, size: int) -> set[int]:
    first, _, last = spec.partition("-")
    if not first:
        return set(range(max(size - int(last), 0), size))
    return set(range(int(first), min(int(last) + 1 if last else size, size)))


@given(st.lists(_SPEC, min_size=1, max_size=MOST_RANGES), st.integers(1, 120))
def test_all_bytes_that_were_asked_for_are_in_the_parts_once(specs: Sequence[str], size: int) -> None:
    wanted = set[int]().union(*(_plainly(spec, size) for spec in specs))
    try:
        found = spans("bytes=" + ",".join(specs), size)
    except RangeNotSatisfiable:
        assert not wanted
        return
    assert found is not None
    sent = [place for start, length in found for place in range(start, start + length)]
    assert wanted <= set(sent)
    assert len(sent) == len(set(sent))
    assert max(sent) < size


class Sent(msgspec.Struct):
    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""


async def answer(delivery: Delivery, method: str = "GET") -> Sent:
    sent, over = Sent(), asyncio.Event()

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.start":
            sent.status = message["status"]
            sent.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            sent.body += message.get("body", b"")
            if not message.get("more_body"):
                over.set()

    async def receive() -> dict[str, str]:
        await over.wait()  # the client stays
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": method, "path": "/", "headers": [], "extensions": {}}
    await delivery(scope, receive, send)  # type: ignore[arg-type]
    return sent


async def stored() -> tuple[MemoryBlobs, File]:
    blobs, media_id = MemoryBlobs(), new_id()
    await blobs.put_bytes("k", BODY, content_type="video/mp4")
    file = File(
        media_id=media_id,
        key="k",
        size=SIZE,
        mime_type="video/mp4",
        filename="film.mp4",
        etag='"e"',
        version="v",
        modified=datetime(2026, 1, 1, tzinfo=UTC),
        shown="inline",
        is_public=False,
    )
    return blobs, file


def asked(**conditions: str) -> Asked:
    return Asked(conditions=Conditions(**conditions))


def read(sent: Sent) -> list[Message]:
    """The parts, by a reader that is not ours."""
    found = message_from_bytes(f"Content-Type: {sent.headers['content-type']}\r\n\r\n".encode() + sent.body)
    assert found.get_content_type() == "multipart/byteranges"
    assert not found.defects
    parts = found.get_payload()
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, Message)]


async def test_several_ranges_come_as_parts_that_say_where_they_are() -> None:
    blobs, file = await stored()
    heard: list[bool] = []
    delivery = Delivery(
        blobs, file, asked(range="bytes=2000-2003,65-66,-2"), on_sending=lambda: heard.append(True)
    )
    sent = await answer(delivery)
    assert (sent.status, int(sent.headers["content-length"])) == (206, len(sent.body))
    assert "content-range" not in sent.headers
    assert [(part["Content-Type"], part["Content-Range"]) for part in read(sent)] == [
        ("video/mp4", f"bytes 2000-2003/{SIZE}"),
        ("video/mp4", f"bytes 65-66/{SIZE}"),
        ("video/mp4", f"bytes {SIZE - 2}-{SIZE - 1}/{SIZE}"),
    ]
    assert [part.get_payload(decode=True) for part in read(sent)] == [
        BODY[2000:2004],
        BODY[65:67],
        BODY[-2:],
    ]
    assert heard == []  # not the beginning of the file


async def test_ranges_that_become_one_are_answered_as_one() -> None:
    blobs, file = await stored()
    heard: list[bool] = []
    sent = await answer(
        Delivery(blobs, file, asked(range="bytes=5-9,0-6"), on_sending=lambda: heard.append(True))
    )
    assert (sent.status, sent.headers["content-range"], sent.body) == (206, f"bytes 0-9/{SIZE}", BODY[:10])
    assert sent.headers["content-type"] == "video/mp4"
    assert heard == [True]


async def test_too_many_ranges_and_an_if_range_that_does_not_hold_get_the_whole() -> None:
    blobs, file = await stored()
    many = "bytes=" + ",".join(f"{n * 500}-{n * 500}" for n in range(MOST_RANGES + 1))
    for conditions in (
        asked(range=many),
        asked(range="bytes=0-1,5000-5001", if_range='"other"'),
    ):
        sent = await answer(Delivery(blobs, file, conditions))
        assert (sent.status, sent.body) == (200, BODY)


async def test_head_has_no_ranges() -> None:
    blobs, file = await stored()
    for header in ("bytes=0-1", "bytes=0-1,5000-5001", "bytes=99999999-"):
        sent = await answer(Delivery(blobs, file, asked(range=header)), "HEAD")
        assert (sent.status, sent.body, sent.headers["content-length"]) == (200, b"", str(SIZE))
        assert sent.headers["accept-ranges"] == "bytes"


class GoneAfterOne(MemoryBlobs):
    """A store that loses the object after it was read once."""

    def __init__(self, inner: MemoryBlobs) -> None:
        super().__init__()
        self.inner, self.reads = inner, 0

    def get(self, key: str, *, start: int = 0, length: int | None = None):  # type: ignore[no-untyped-def] # noqa: ANN201
        self.reads += 1
        return (self.inner if self.reads == 1 else MemoryBlobs()).get(key, start=start, length=length)


async def test_an_object_that_goes_between_two_parts_breaks_the_answer_off() -> None:
    blobs, file = await stored()
    delivery = Delivery(GoneAfterOne(blobs), file, asked(range="bytes=0-1,5000-5001"))
    with pytest.raises(ExceptionGroup) as broken:
        await answer(delivery)
    assert broken.group_contains(BlobMissing)
    with pytest.raises(NotFound):  # nothing was sent yet
        await answer(Delivery(MemoryBlobs(), file, asked(range="bytes=0-1,5000-5001")))
