"""Idempotency-Key over HTTP: the same key gives the same media and answer, and a refusal frees it."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from shared.events import topology
from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, Wire, delete, eventually, request_head

JPEG = encoded(picture(64, 48))
OTHER = encoded(picture(48, 64))


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


async def test_invariant_3_a_retry_is_harmless(gateway: Gateway, key: dict[str, str]) -> None:
    first = await gateway.upload(JPEG, headers=key, caption="once")
    assert first.status_code == 202
    assert "idempotent-replayed" not in first.headers
    for _ in range(2):
        again = await gateway.upload(JPEG, headers=key, caption="once")
        assert again.status_code == first.status_code
        assert again.content == first.content
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["idempotent-replayed"] == "true"
    assert len(await gateway.events()) == len(gateway.files()) == 1


async def test_an_answer_is_given_again_before_the_rest_of_the_body_came(
    gateway: Gateway, key: dict[str, str]
) -> None:
    body = JPEG + bytes(1_000_000)
    first = await gateway.http.put("/v1/uploads/raw/a.jpg", content=body, headers=key)
    wire = Wire(gateway.port)
    head = request_head("/v1/uploads/raw/a.jpg", {"Content-Length": str(len(body)), **key}, "PUT")
    await wire.send(head + body[:70_000])
    answer = await wire.answer()
    assert answer.startswith(b"HTTP/1.1 202")
    assert first.content in answer
    wire.close()


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def test_another_file_with_the_same_key_is_refused_and_not_dropped(
    gateway: Gateway, key: dict[str, str]
) -> None:
    first = await gateway.http.put("/v1/uploads/raw/a.jpg", content=chunked(JPEG), headers=key)
    assert first.status_code == 202
    refusal = await gateway.http.put("/v1/uploads/raw/a.jpg", content=chunked(OTHER), headers=key)
    assert refusal.status_code == 422
    assert "another file" in refusal.json()["detail"]
    again = await gateway.http.put("/v1/uploads/raw/a.jpg", content=chunked(JPEG), headers=key)
    assert again.content == first.content
    padded = JPEG + bytes(10)
    form = {"Idempotency-Key": "form"}
    assert (await gateway.upload(padded, headers=form)).status_code == 202
    assert (await gateway.upload(padded, "other.jpg", headers=form)).status_code == 422
    assert (await gateway.upload(JPEG[:-10] + bytes(20), headers=form)).status_code == 422
    assert len(await gateway.events()) == 2


async def test_invariant_3_a_retry_after_a_delete_makes_no_new_media(
    gateway: Gateway, key: dict[str, str]
) -> None:
    first = await gateway.upload(JPEG, headers=key)
    (event,) = await gateway.events()
    assert isinstance(event, MediaUploaded)
    await delete(gateway, first.json(), event.key)

    async def erased() -> bool:
        return not gateway.files() and await gateway.keys(topology.UPLOADS) == []

    await eventually(erased, "the delete")
    again = await gateway.upload(JPEG, headers=key)
    assert again.status_code == 410
    assert first.json()["public_id"] in again.json()["detail"]
    assert gateway.files() == []


async def test_while_the_first_runs_the_second_is_told_to_wait(gateway: Gateway, key: dict[str, str]) -> None:
    wire = Wire(gateway.port)
    head = request_head("/v1/uploads/raw/a.bin", {"Content-Length": "100000", **key}, "PUT")
    await wire.send(head + bytes(70_000))
    await eventually(lambda: gateway.keys(topology.IDEMPOTENCY), "the first to run")
    second = await gateway.http.put("/v1/uploads/raw/a.bin", content=bytes(100_000), headers=key)
    assert second.status_code == 409
    assert int(second.headers["retry-after"]) >= 1
    await wire.send(bytes(30_000))
    assert await wire.status() == 202
    wire.close()
    third = await gateway.http.put("/v1/uploads/raw/a.bin", content=bytes(100_000), headers=key)
    assert third.status_code == 202
    assert third.json()["id"] == second.json()["id"]


async def test_of_ten_at_once_one_uploads(gateway: Gateway, key: dict[str, str]) -> None:
    answers = await asyncio.gather(*(gateway.upload(JPEG, headers=key) for _ in range(10)))
    assert {a.status_code for a in answers} <= {202, 409}
    assert len({a.json()["id"] for a in answers}) == 1
    assert len(await gateway.events()) == len(gateway.files()) == 1


async def test_a_refusal_is_not_remembered(gateway: Gateway, key: dict[str, str]) -> None:
    assert (await gateway.upload(b"only text", headers=key)).status_code == 415
    assert await gateway.keys(topology.IDEMPOTENCY) == []
    assert (await gateway.upload(JPEG, headers=key)).status_code == 202


async def test_a_key_is_bound_to_its_request_and_its_owner(gateway: Gateway, key: dict[str, str]) -> None:
    first = await gateway.upload(JPEG, headers=key)
    other = await gateway.upload(JPEG, headers=key, caption="longer")
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]
    assert (await gateway.http.put("/v1/uploads/raw/a.jpg", content=JPEG, headers=key)).status_code == 422
    async with gateway.client("bob") as bob:
        answer = await bob.post("/v1/uploads", files={"file": ("photo.jpg", JPEG)}, headers=key)
    assert answer.status_code == 202
    assert answer.json()["id"] != first.json()["id"]


async def test_a_key_that_is_none_is_refused(gateway: Gateway) -> None:
    answer = await gateway.upload(JPEG, headers={"Idempotency-Key": "a b"})
    assert answer.status_code == 400
    assert "255" in answer.json()["detail"]
