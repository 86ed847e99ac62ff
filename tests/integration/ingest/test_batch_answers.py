"""POST /v1/uploads/batch of our own API: each file stands alone, and the status tells how it went."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from services.ingest.batch import FILES
from services.ingest.idempotency import token
from shared.events import topology
from shared.events.messages import MediaUploaded
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import eventually
from tests.integration.ingest.in_memory import FORM_TYPE, Small, fields, form, part, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROUTE = "/v1/uploads/batch"
PICTURES = [encoded(picture(60, 40, seed=seed), "PNG") for seed in range(3)]
TEXT = b"words, and more of them"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small() -> AsyncIterator[Small]:
    """One ingest for all tests of this file, without a catalog."""
    async with running() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def http(small: Small) -> AsyncIterator[httpx.AsyncClient]:
    async with small.client() as found:
        yield found


async def send(http: httpx.AsyncClient, *parts: bytes, **headers: str) -> httpx.Response:
    answer = await http.post(ROUTE, content=form(*parts), headers={**FORM_TYPE, **headers})
    document = (await http.get("/openapi.json")).json()
    check(document, "POST", ROUTE, answer)
    return answer


def pictures(name: str = "files") -> list[bytes]:
    return [part(name, data, f"{n}.png") for n, data in enumerate(PICTURES)]


async def test_each_file_is_answered_with_its_media_in_the_order_of_the_form(
    http: httpx.AsyncClient, small: Small
) -> None:
    answer = await send(
        http, *pictures()[:2], pictures("file")[2], *fields({"caption": "All", "tags": "a,b"})
    )
    assert answer.status_code == 202, answer.text  # there is no catalog
    found = answer.json()
    assert (found["uploaded_count"], found["failed_count"], found["failed"]) == (3, 0, [])
    assert [media["filename"] for media in found["uploaded"]] == ["0.png", "1.png", "2.png"]
    assert all((media["caption"], media["tags"]) == ("All", ["a", "b"]) for media in found["uploaded"])
    told = {str(event.id): event for event in await small.events() if isinstance(event, MediaUploaded)}
    for media, data in zip(found["uploaded"], PICTURES, strict=True):
        assert small.blobs.objects[told[media["id"]].key].body == data


async def test_a_file_that_is_refused_is_told_of_with_its_problem(http: httpx.AsyncClient) -> None:
    first, *others = pictures()
    answer = await send(http, first, part("files", TEXT, "lies.png"), part("files", b"", "none.png"), *others)
    found = answer.json()
    assert (answer.status_code, found["uploaded_count"], found["failed_count"]) == (202, 3, 2)
    assert [(f["filename"], f["place"], f["problem"]["status"]) for f in found["failed"]] == [
        ("lies.png", 2, 415),
        ("none.png", 3, 422),
    ]
    problem = found["failed"][0]["problem"]
    assert (problem["type"], problem["code"]) == ("urn:tripod:problem:unsupported_type", "unsupported_type")
    assert problem["title"]
    assert "'lies.png'" in problem["detail"]


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        ([("a.png", TEXT), ("b.jpg", TEXT)], 415, "unsupported_type"),
        ([("a.png", TEXT), ("b.png", b"")], 422, "none_taken"),
    ],
    ids=["for one reason", "each for its own"],
)
async def test_where_no_file_is_taken_the_answer_is_a_problem(
    http: httpx.AsyncClient, bad: list[tuple[str, bytes]], status: int, code: str
) -> None:
    answer = await send(http, *(part("files", data, name) for name, data in bad))
    found = answer.json()
    assert (answer.status_code, found["status"], found["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert found["detail"].startswith("Not one of the 2 files was taken.")
    assert (found["uploaded"], found["uploaded_count"], found["failed_count"]) == ([], 0, 2)
    assert [one["filename"] for one in found["failed"]] == [name for name, _ in bad]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(part("caption", b"no file")), 400),
        (form(*[part("files", TEXT, "a.txt")] * (FILES + 1)), 422),
        (form(part("pictures", TEXT, "a.txt")), 422),
        (b"", 400),
    ],
    ids=["without a file", "too many", "another name", "empty"],
)
async def test_a_form_that_is_wrong_is_refused_as_a_whole(small: Small, body: bytes, status: int) -> None:
    async with small.client("whole") as http:
        answer = await http.post(ROUTE, content=body, headers=FORM_TYPE)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert "failed" not in answer.json()
    events = [event for event in await small.events() if isinstance(event, MediaUploaded)]
    assert not [event for event in events if event.owner == "whole"]


async def test_a_batch_needs_a_token_and_a_form(small: Small, http: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{small.port}") as nobody:
        assert (await nobody.post(ROUTE, content=form(*pictures()), headers=FORM_TYPE)).status_code == 401
    assert (await http.post(ROUTE, json={})).status_code == 415


async def test_the_same_batch_under_one_key_is_answered_from_its_records(http: httpx.AsyncClient) -> None:
    parts = [*pictures(), part("files", TEXT, "bad.png")]
    first, second = [await send(http, *parts, **{"Idempotency-Key": "again"}) for _ in range(2)]
    assert first.json()["uploaded"] == second.json()["uploaded"]
    assert (first.json()["failed_count"], second.json()["failed_count"]) == (1, 1)
    whole = [await send(http, *pictures(), **{"Idempotency-Key": "whole"}) for _ in range(2)]
    assert [answer.headers.get("idempotent-replayed") for answer in whole] == [None, "true"]


async def test_of_two_equal_batches_at_once_under_one_key_one_is_taken_whole(
    http: httpx.AsyncClient, small: Small
) -> None:
    """The second must not take the files that the first has not come to yet."""
    key, go_on = {"Idempotency-Key": "twice"}, asyncio.Event()
    body = form(*pictures())

    async def slowly() -> AsyncIterator[bytes]:
        yield body[: len(pictures()[0]) + 200]
        await go_on.wait()
        yield body[len(pictures()[0]) + 200 :]

    async def begun() -> bool:
        return await small.bus.kv(topology.IDEMPOTENCY).get(token("ann", "twice#1")) is not None

    headers = {**FORM_TYPE, **key, "Content-Length": str(len(body))}
    first = asyncio.create_task(http.post(ROUTE, content=slowly(), headers=headers))
    await eventually(begun, "the first to be under way")
    second = await send(http, *pictures(), **key)
    go_on.set()
    assert second.status_code == 409, second.text
    assert int(second.headers["retry-after"]) > 0
    assert ((await first).json()["uploaded_count"], (await first).json()["failed_count"]) == (3, 0)
    assert (await send(http, *pictures(), **key)).json()["uploaded"] == (await first).json()["uploaded"]


async def test_a_batch_under_the_longest_key_is_taken(http: httpx.AsyncClient) -> None:
    answer = await send(http, *pictures(), **{"Idempotency-Key": "k" * 255})
    assert answer.json()["uploaded_count"] == 3, answer.text
