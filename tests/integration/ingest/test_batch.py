"""Many files in one form, on a real broker and a real store, without a catalog."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from services.ingest import intents
from services.ingest.batch import FILES
from shared import profiles
from shared.entities import Entity
from shared.env import Env
from shared.events import topology
from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, Start, Wire, eventually, request_head

PATH = "/v1/media/batch/upload"
PICTURES = [encoded(picture(120, 90, seed=seed), "PNG") for seed in range(5)]
PROPERTY = {"entity_type": "property", "entity_id": "123", "entity_field": "gallery"}


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[Gateway]:
    """One ingest with the shipped profiles, which knows property 123 of ann's."""
    async with start(profiles=profiles.load(Env({}))) as running:
        await running.put_entity(Entity(type="property", id="123", owners=("ann",), display_id="PROP-123"))
        yield running


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def pictures(count: int = 5) -> list[bytes]:
    return [part("files", data, f"{n}.png") for n, data in enumerate(PICTURES[:count])]


def said(fields: dict[str, str]) -> list[bytes]:
    return [part(name, value.encode()) for name, value in fields.items()]


async def send(gateway: Gateway, body: bytes, **headers: str) -> httpx.Response:
    headers["Content-Type"] = "multipart/form-data; boundary=b"
    return await gateway.http.post(PATH, content=body, headers=headers)


async def uploaded(gateway: Gateway) -> list[MediaUploaded]:
    return [event for event in await gateway.events() if isinstance(event, MediaUploaded)]


async def test_each_file_is_stored_and_announced_as_if_it_had_come_alone(gateway: Gateway) -> None:
    answer = await send(gateway, form(*said(PROPERTY), *pictures()))

    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["uploaded_count"], found["failed_count"], found["failed"]) == (5, 0, [])
    assert found["message"] == "Successfully uploaded 5 of 5 files"
    assert [media["filename"] for media in found["uploaded"]] == [f"{n}.png" for n in range(5)]
    events = {event.number: event for event in await uploaded(gateway)}
    stored = {file.key: file.read_bytes() for file in gateway.files()}
    assert len(stored) == 5
    for media, data in zip(found["uploaded"], PICTURES, strict=True):
        event = events[media["id"]]
        assert stored[event.key] == data
        assert event.key.startswith("properties/photos/PROP-123/")
        assert event.entity is not None
        assert (event.entity.type, event.entity.id, event.entity.field) == ("property", "123", "gallery")
    assert await gateway.keys(topology.INTENTS) == []


async def test_fields_after_the_files_go_for_all_of_them(gateway: Gateway) -> None:
    first, *others = pictures(3)
    late = {**PROPERTY, "caption": "All of them"}
    answer = await send(gateway, form(first, *said({"alt_text": "early"}), *others, *said(late)))

    assert answer.json()["uploaded_count"] == 3, answer.text
    for media in answer.json()["uploaded"]:
        assert (media["entity_type"], media["entity_id"]) == ("property", 123)
        assert (media["alt_text"], media["caption"]) == ("early", "All of them")
    assert all(
        "PROP" not in file.key for file in gateway.files()
    )  # a key uses what is known before the bytes


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"plain text, and enough of it. " * 9000, "Invalid file type."),
        (PICTURES[0] + bytes(20 * 2**20), "File too large. Maximum size for image is 20 MB."),
        (encoded(picture(40, 90), "PNG"), "Invalid image dimensions."),
        (b"", "The file is empty"),
    ],
    ids=["type", "size", "sides", "empty"],
)
async def test_one_bad_file_among_five_fails_alone(gateway: Gateway, bad: bytes, why: str) -> None:
    parts = pictures()
    parts[2] = part("files", bad, "bad.png")
    answer = await send(gateway, form(*said(PROPERTY), *parts))

    found = answer.json()
    assert answer.status_code == 201
    assert (found["uploaded_count"], found["failed_count"]) == (4, 1)
    assert found["message"] == "Successfully uploaded 4 of 5 files"
    assert found["failed"][0]["filename"] == "bad.png"
    assert found["failed"][0]["error"].startswith(why)
    assert [media["filename"] for media in found["uploaded"]] == ["0.png", "1.png", "3.png", "4.png"]
    assert len(gateway.files()) == len(await uploaded(gateway)) == 4
    assert await gateway.keys(topology.INTENTS) == []


async def test_where_no_file_is_taken_nothing_was_created(gateway: Gateway) -> None:
    answer = await send(gateway, form(*pictures(2), *said({**PROPERTY, "entity_id": "unknown"})))

    assert answer.status_code == 200
    assert (answer.json()["uploaded_count"], answer.json()["failed_count"]) == (0, 2)
    assert answer.json()["message"] == "Successfully uploaded 0 of 2 files"
    assert "'unknown'" in answer.json()["failed"][0]["error"]
    assert await gateway.nothing_is_left()


@pytest.mark.parametrize("cut", ["in the third file", "between two files"])
async def test_a_client_that_is_cut_off_in_the_middle_leaves_nothing(gateway: Gateway, cut: str) -> None:
    parts = [*said(PROPERTY), *pictures(2)]
    big = part("files", encoded(picture(900, 700, seed=9), "PNG"), "big.png")
    sent = b"".join(parts) + big[: len(big) // 2 if cut == "in the third file" else 10]
    head = request_head(
        PATH,
        {
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": str(len(sent) + 500_000),
            "Idempotency-Key": "cut",
        },
    )
    wire = Wire(gateway.port)
    await wire.send(head + sent)

    async def two_are_stored() -> bool:
        return len([file for file in gateway.files() if "PROP-123" in file.key]) >= 2

    await eventually(two_are_stored, "the first two files to be in the store")
    wire.close()
    await eventually(gateway.nothing_is_left, "everything of the form to be undone")
    assert await uploaded(gateway) == []


async def test_a_form_that_is_broken_fails_all_of_its_files(gateway: Gateway) -> None:
    answer = await send(gateway, b"".join([*said(PROPERTY), *pictures(2)]))  # has no closing boundary

    assert answer.status_code == 400
    assert "without its closing boundary" in answer.json()["detail"]
    await eventually(gateway.nothing_is_left, "both files to be undone")


async def test_the_same_key_twice_gives_the_same_media(gateway: Gateway) -> None:
    body = form(*said(PROPERTY), *pictures())
    first = await send(gateway, body, **{"Idempotency-Key": "again"})
    second = await send(gateway, body, **{"Idempotency-Key": "again"})

    assert first.status_code == second.status_code == 201, second.text
    assert first.json()["failed"] == []
    assert first.json() == second.json()
    assert len(gateway.files()) == len(await uploaded(gateway)) == 5


async def test_a_retry_takes_only_what_failed_before(gateway: Gateway) -> None:
    # An avatar's sides have at least 100 pixels.
    late = {"entity_type": "user", "entity_id": "ann", "entity_field": "avatar"}
    body = form(*said(late), *pictures(1), part("files", encoded(picture(300, 300), "PNG"), "large.png"))
    first = await send(gateway, body, **{"Idempotency-Key": "partly"})
    second = await send(gateway, body, **{"Idempotency-Key": "partly"})

    for answer in (first, second):
        assert len(answer.json()["failed"]) == 1, answer.text
        assert [media["filename"] for media in answer.json()["uploaded"]] == ["large.png"]
        assert "Invalid image dimensions." in answer.json()["failed"][0]["error"]
    assert first.json()["uploaded"][0]["id"] == second.json()["uploaded"][0]["id"]
    assert len(gateway.files()) == 1


async def test_more_files_than_a_batch_takes_are_refused_together(gateway: Gateway) -> None:
    many = [part("files", PICTURES[0], "a.png")] * (FILES + 1)
    answer = await send(gateway, form(*said(PROPERTY), *many))

    assert answer.status_code == 422
    assert str(FILES) in answer.json()["detail"]
    await eventually(gateway.nothing_is_left, "all of them to be undone")


async def test_a_form_without_a_file_is_no_batch(gateway: Gateway) -> None:
    answer = await send(gateway, form(*said(PROPERTY)))
    assert answer.status_code == 400
    assert "'files'" in answer.json()["detail"]


async def test_files_that_wait_for_a_slow_form_are_kept_for_it(gateway: Gateway) -> None:
    body = form(*said(PROPERTY), *pictures(2))
    cut = body.index(b"1.png") + 200
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(body))}
    wire = Wire(gateway.port)
    await wire.send(request_head(PATH, headers) + body[:cut])

    async def held_since() -> datetime | None:
        held = [await gateway.bus.kv(topology.INTENTS).get(k) for k in await gateway.keys(topology.INTENTS)]
        return min((intents.decode(entry.value).until for entry in held if entry), default=None)

    first = await eventually(held_since, "the first file to be on its way")
    lasting = timedelta(seconds=gateway.ingest.settings.timing.lease)

    async def renewed() -> bool:
        until = await held_since()
        return until is not None and until > first + lasting

    await eventually(renewed, "more time to pass than an upload is held for without a sign of life")
    await wire.send(body[cut:])
    assert await wire.status() == 201
    assert len(await uploaded(gateway)) == 2


@pytest.mark.parametrize("whole", [True, False])
async def test_a_digest_of_the_request_goes_for_all_of_its_files(gateway: Gateway, *, whole: bool) -> None:
    body = form(*said(PROPERTY), *pictures(3))
    digest = hashlib.sha256(body if whole else b"other").digest()
    answer = await send(gateway, body, **{"Content-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:"})
    assert answer.json()["uploaded_count"] == (3 if whole else 0), answer.text
    assert len(await uploaded(gateway)) == len(gateway.files()) == (3 if whole else 0)


async def test_two_batches_at_once_do_not_mix(gateway: Gateway) -> None:
    bodies: list[Any] = [form(*said({**PROPERTY, "caption": name}), *pictures(3)) for name in ("one", "two")]
    answers = await asyncio.gather(*(send(gateway, body) for body in bodies))
    captions = [{media["caption"] for media in answer.json()["uploaded"]} for answer in answers]
    assert captions == [{"one"}, {"two"}]
    assert len({media["id"] for answer in answers for media in answer.json()["uploaded"]}) == 6
