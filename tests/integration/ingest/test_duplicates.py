"""Exact duplicates: what an upload that asks not to be a second copy is answered, and what is left of it."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from services.ingest import intents
from services.ingest.intents import Intent
from services.ingest.leases import now_plus
from shared.duplicates import Answered, Asked
from shared.entities import Entity, key
from shared.events import topology
from shared.events.bus import Message
from shared.events.messages import MediaDeleted, MediaUploaded
from shared.ids import id_time, new_id
from shared.media import from_upload
from shared.storage.memory import MemoryBlobs
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Wire, delete, eventually, request_head
from tests.integration.ingest.in_memory import Small, running

JPEG = encoded(picture(64, 48))
OTHER = encoded(picture(64, 48, seed=2))


class Catalog:
    """As much of it as is asked for duplicates: it knows what was announced. `behind`: how often it still lags."""

    def __init__(self, small: Small) -> None:
        self.small = small
        self.asked: list[Asked] = []
        self.behind = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Catalog"]:
        beating = asyncio.create_task(self._beat())
        async with self.small.bus.serve(topology.CATALOG_FIND_DIGEST, "catalog", self._find):
            await eventually(self._heard, "the heartbeat to be heard")
            try:
                yield self
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)

    async def _heard(self) -> bool:
        return self.small.ingest.heartbeat.alive

    async def _beat(self) -> None:
        while True:
            await self.small.bus.broadcast(topology.CATALOG_HEARTBEAT, b"")
            await asyncio.sleep(0.05)

    async def _find(self, message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Asked)
        self.asked.append(asked)
        if self.behind:
            self.behind -= 1
            return b""
        events = await self.small.events()
        gone = {event.id for event in events if isinstance(event, MediaDeleted)}
        same = [
            event
            for event in events
            if isinstance(event, MediaUploaded)
            and (event.owner, event.sha256, event.profile, event.entity)
            == (asked.owner, asked.sha256, asked.profile, asked.entity)
            and event.id not in {asked.besides, *gone}
        ]
        return msgspec.json.encode(
            Answered(media=from_upload(same[0], "http://origin.test") if same else None)
        )


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with running() as found:
        yield found


@pytest.fixture
async def catalog(small: Small) -> AsyncIterator[Catalog]:
    async with Catalog(small).running() as found:
        yield found


@pytest.fixture
async def ann(small: Small) -> AsyncIterator[httpx.AsyncClient]:
    async with small.client() as http:
        http.headers["Prefer"] = "respond-async"
        yield http


async def post(http: httpx.AsyncClient, data: bytes = JPEG, **said: Any) -> httpx.Response:
    headers = said.pop("headers", {})
    return await http.post("/v1/uploads", files={"file": ("a.jpg", data)}, data=said, headers=headers)


async def put(http: httpx.AsyncClient, how: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return await http.put(f"/v1/uploads/raw/a.jpg?on_duplicate={how}", content=JPEG, headers=headers or {})


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


async def uploads(small: Small) -> int:
    """How many were announced; each has its object, and nothing else is there."""
    found = [event for event in await small.events() if isinstance(event, MediaUploaded)]
    assert sorted(small.blobs.objects) == sorted(event.key for event in found)
    assert await small.bus.kv(topology.INTENTS).keys() == []
    return len(found)


@pytest.mark.usefixtures("catalog")
async def test_rejected_is_the_second_copy_with_the_id_of_the_first(
    small: Small, ann: httpx.AsyncClient
) -> None:
    first = await post(ann, on_duplicate="reject")
    assert first.status_code in {201, 202}, first.text
    document = (await ann.get("/openapi.json")).json()
    for again in (await post(ann, on_duplicate="reject"), await put(ann, "reject")):
        assert (again.status_code, again.json()["code"]) == (409, "duplicate")
        assert again.json()["existing"] == {name: first.json()[name] for name in ("id", "public_id", "url")}
        assert first.json()["public_id"] in again.json()["detail"]
    check(document, "POST", "/v1/uploads", await post(ann, on_duplicate="reject"))
    assert (await post(ann, OTHER, on_duplicate="reject")).status_code == 202
    assert await uploads(small) == 2


@pytest.mark.usefixtures("catalog")
async def test_reused_is_the_media_that_is_there(small: Small, ann: httpx.AsyncClient) -> None:
    first = await post(ann, caption="The first")  # one that asked for nothing counts as well
    document = (await ann.get("/openapi.json")).json()
    for route, again in (
        ("/v1/uploads", await post(ann, on_duplicate="reuse", caption="The second")),
        ("/v1/uploads/raw/{filename}", await put(ann, "reuse")),
    ):
        assert again.status_code == 200, again.text
        assert again.headers["location"] == first.json()["url"]
        assert (again.json()["id"], again.json()["caption"]) == (first.json()["id"], "The first")
        check(document, "POST" if route == "/v1/uploads" else "PUT", route, again)
    assert await uploads(small) == 1


@pytest.mark.usefixtures("catalog")
async def test_what_is_there_already_takes_nothing_of_a_quota(small: Small) -> None:
    claims = {"quota_bytes": 2 * len(JPEG), "quota_objects": 1}
    async with small.client("poor", **claims) as poor:
        poor.headers["Prefer"] = "respond-async"
        first = await put(poor, "reuse")
        assert first.status_code == 202, first.text
        told = {"Repr-Digest": digest(JPEG)}
        again, refused = await put(poor, "reuse", told), await put(poor, "reject", told)
        assert (again.status_code, refused.status_code) == (200, 409), (again.text, refused.text)
        assert again.json()["id"] == refused.json()["existing"]["id"] == first.json()["id"]
        unknown = await put(poor, "reuse")  # nobody can tell before its last byte, for which there is no room
        assert (unknown.status_code, unknown.json()["code"]) == (429, "quota_exceeded")

    async with small.client("poor", **claims | {"quota_objects": 2}) as poor:
        poor.headers["Prefer"] = "respond-async"
        for again in (await put(poor, "reuse"), await post(poor, on_duplicate="reuse")):
            assert again.status_code == 200, again.text

        async def given_back() -> bool:
            found = (await poor.get("/v1/quota")).json()
            return (found["objects"]["used"], found["bytes"]["used"]) == (1, len(JPEG))

        await eventually(given_back, "what was reserved to be given back")
    assert await uploads(small) == 1


async def test_allowed_is_a_second_copy_and_nobody_is_asked(
    small: Small, catalog: Catalog, ann: httpx.AsyncClient
) -> None:
    for _ in range(2):
        assert (await post(ann, on_duplicate="allow")).status_code == 202
    assert await uploads(small) == 2
    assert catalog.asked == []
    assert await small.bus.kv(topology.DIGESTS).keys() == []


@pytest.mark.parametrize("how", ["reject", "reuse"])
@pytest.mark.usefixtures("catalog")
async def test_only_a_copy_of_the_same_owner_in_the_same_place_counts(
    small: Small, ann: httpx.AsyncClient, how: str
) -> None:
    await small.bus.kv(topology.ENTITIES).put(
        key("post", "1"), msgspec.json.encode(Entity(type="post", id="1", owners=("ann",)))
    )
    hung = {"entity_type": "post", "entity_id": "1", "profile": "post"}
    picture_of_post = encoded(picture(160, 120))
    assert (await post(ann, picture_of_post)).status_code == 202
    for place in (hung, hung | {"entity_field": "media"}, {}):
        expected = 202 if place else {"reject": 409, "reuse": 200}[how]
        assert (await post(ann, picture_of_post, on_duplicate=how, **place)).status_code == expected
    async with small.client("bob") as bob:
        assert (await post(bob, picture_of_post, on_duplicate=how)).status_code == 202


@pytest.mark.parametrize("how", ["reject", "reuse"])
@pytest.mark.usefixtures("catalog")
async def test_of_two_at_once_over_two_replicas_one_is_made(
    small: Small, ann: httpx.AsyncClient, how: str
) -> None:
    async with running(small.blobs, beside=small.bus) as other, other.client() as there:

        async def heard() -> bool:
            return other.ingest.heartbeat.alive

        await eventually(heard, "the other to hear the heartbeat")
        answers = await asyncio.gather(
            *(post(http, on_duplicate=how) for http in (ann, there) for _ in range(4))
        )
        others = {"reject": 409, "reuse": 200}[how]
        assert sorted(a.status_code for a in answers) == sorted([202, *[others] * 7])
        ids = {a.json()["existing"]["id"] if a.status_code == 409 else a.json()["id"] for a in answers}
        assert len(ids) == 1
    assert await uploads(small) == 1


@pytest.mark.usefixtures("catalog")
async def test_two_equal_files_of_a_batch_are_one_media(small: Small, ann: httpx.AsyncClient) -> None:
    files = [("files", ("a.jpg", JPEG)), ("files", ("b.jpg", JPEG)), ("files", ("c.jpg", OTHER))]
    answer = await ann.post("/v1/uploads/batch", files=files, data={"on_duplicate": "reuse"})
    assert answer.status_code in {200, 201, 202, 207}, answer.text
    told = [one["id"] for one in answer.json()["uploaded"]]
    assert len(told) == 3
    assert len(set(told)) == 2
    again = await ann.post("/v1/uploads/batch", files=files, data={"on_duplicate": "reject"})
    assert [one["problem"]["status"] for one in again.json()["failed"]] == [409, 409, 409], again.text
    assert await uploads(small) == 2


@pytest.mark.usefixtures("catalog")
async def test_an_upload_that_ended_without_a_media_is_nobodys_duplicate(
    small: Small, ann: httpx.AsyncClient
) -> None:
    refused = await post(ann, on_duplicate="reject", headers={"Repr-Digest": digest(OTHER)})
    assert refused.status_code == 422, refused.text
    assert (await post(ann, on_duplicate="reject")).status_code == 202
    assert await uploads(small) == 1


@pytest.mark.usefixtures("catalog")
async def test_what_was_deleted_may_come_again(small: Small, ann: httpx.AsyncClient) -> None:
    first = (await post(ann, on_duplicate="reject")).json()
    (event,) = await small.events()
    assert isinstance(event, MediaUploaded)
    await delete(small, first, event.key)  # type: ignore[arg-type]

    async def erased() -> bool:
        return not small.blobs.objects

    await eventually(erased, "the original to be erased")
    again = await post(ann, on_duplicate="reject")
    assert again.status_code == 202
    assert again.json()["id"] != first["id"]


@pytest.mark.usefixtures("catalog")
async def test_an_upload_under_way_is_waited_for_and_then_taken_over(
    small: Small, ann: httpx.AsyncClient
) -> None:
    holder = new_id()
    bucket = small.bus.kv(topology.INTENTS)
    intent = Intent(
        holder="x", until=now_plus(30), id=holder, number=77, owner="ann", profile="default", filename="a.jpg",
        mime_type="image/jpeg", media_type="image", key="k/k", state="receiving", started_at=id_time(holder),
    )  # fmt: skip
    await intents.begin(bucket, intent)
    await post(ann, OTHER, on_duplicate="reject")  # to see where a claim is kept
    (where,) = await small.bus.kv(topology.DIGESTS).keys()
    await small.bus.kv(topology.DIGESTS).put(where, str(holder).encode())
    waiting = asyncio.create_task(post(ann, OTHER, on_duplicate="reuse"))

    async def stored() -> bool:
        return len(small.blobs.objects) == 2

    await eventually(stored, "the second to be stored")
    assert not waiting.done()
    await bucket.delete(str(holder))
    assert (await waiting).status_code == 200
    assert await uploads(small) == 1


@pytest.mark.parametrize("how", ["reject", "reuse"])
async def test_without_the_catalog_it_is_503_before_the_body_where_the_wish_is_known(
    small: Small, ann: httpx.AsyncClient, how: str
) -> None:
    wire = Wire(small.port)
    head = {"Content-Length": "1000000", "Content-Type": "image/jpeg", "Expect": "100-continue"}
    await wire.send(request_head(f"/v1/uploads/raw/a.jpg?on_duplicate={how}", head, "PUT"))
    answer = await wire.answer()
    wire.close()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"\r\nretry-after: 2\r\n" in answer.lower()
    assert b"100 Continue" not in answer
    late = await ann.post(
        "/v1/uploads",
        content=b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + JPEG
        + f'\r\n--b\r\nContent-Disposition: form-data; name="on_duplicate"\r\n\r\n{how}\r\n--b--\r\n'.encode(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )  # fmt: skip
    assert (late.status_code, late.headers["retry-after"]) == (503, "2")
    assert (await post(ann, on_duplicate="allow")).status_code == 202
    assert await uploads(small) == 1


async def test_a_catalog_that_is_behind_is_waited_for_a_little(
    small: Small, catalog: Catalog, ann: httpx.AsyncClient
) -> None:
    await post(ann)
    catalog.behind = 2
    assert (await post(ann, on_duplicate="reuse")).status_code == 200
    assert catalog.asked[0].through == 1
    catalog.behind = 100
    assert (await post(ann, on_duplicate="reuse")).status_code == 503
    assert await uploads(small) == 1


@pytest.mark.parametrize(("how", "status"), [("reject", 409), ("reuse", 200)])
@pytest.mark.usefixtures("catalog")
async def test_a_promised_digest_is_answered_before_the_body(
    small: Small, ann: httpx.AsyncClient, how: str, status: int
) -> None:
    await post(ann)
    wire = Wire(small.port)
    head = {"Content-Length": str(len(JPEG)), "Expect": "100-continue", "Repr-Digest": digest(JPEG)}
    await wire.send(request_head(f"/v1/uploads/raw/a.jpg?on_duplicate={how}", head, "PUT"))
    answer = await wire.answer()
    wire.close()
    assert answer.startswith(f"HTTP/1.1 {status}".encode()), answer
    assert (await put(ann, how, {"Repr-Digest": digest(OTHER)})).status_code == 422
    assert (await put(ann, how, {"Repr-Digest": digest(JPEG)})).status_code == status
    assert await uploads(small) == 1


@pytest.mark.usefixtures("catalog")
async def test_a_retry_with_the_same_key_gets_the_same_media(small: Small, ann: httpx.AsyncClient) -> None:
    first = await post(ann, on_duplicate="reuse", headers={"Idempotency-Key": "one"})
    again = await post(ann, on_duplicate="reuse", headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    reused = [await post(ann, on_duplicate="reuse", headers={"Idempotency-Key": "two"}) for _ in range(2)]
    assert [answer.status_code for answer in reused] == [200, 200]
    assert {answer.json()["id"] for answer in (first, again, *reused)} == {first.json()["id"]}
    rejected = [
        await post(ann, on_duplicate="reject", headers={"Idempotency-Key": "three"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in rejected] == [409, 409]
    assert await uploads(small) == 1
    # What was reused is told of in no record that would outlive it.
    assert len(await small.bus.kv(topology.IDEMPOTENCY).keys()) == 1


@pytest.mark.usefixtures("catalog")
async def test_a_copy_is_counted_as_reused_and_its_object_erased(
    small: Small, ann: httpx.AsyncClient
) -> None:
    await post(ann)
    await post(ann, on_duplicate="reuse")
    metrics = (await ann.get("/metrics")).text
    assert 'tripod_ingest_uploads_total{outcome="reused"} 1.0' in metrics
    assert isinstance(small.blobs, MemoryBlobs)
    assert len(small.blobs.objects) == 1
