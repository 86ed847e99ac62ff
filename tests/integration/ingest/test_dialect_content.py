"""Uploads by the content and mediafiles APIs: what they become, what is refused, and what the document says of it."""

import uuid
from typing import Any

import httpx
import pytest

from shared import profiles
from shared.dialects.settings import ALL, DialectSettings
from shared.entities import Entity
from shared.env import Env
from shared.events.messages import EntityLink, MediaUploaded
from shared.ids import id_time
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.tokens import bearer
from tests.integration.ingest.conftest import SECRET, Gateway, Start, Wire, eventually, request_head

JPEG = encoded(picture(64, 48))
FILE = {"file": ("My Photo.jpg", JPEG, "image/jpeg")}
IMAGE = {"media_type": "image"}
CONTENT, OF_CONTENT = "/api/v1/media/upload", "/api/v1/media/content/{content_id}/upload"
MEDIAFILES = "/api/media/upload"
ABOUT, GONE = str(uuid.uuid4()), str(uuid.uuid4())


def settings(**changes: Any) -> dict[str, Any]:
    largest = {"content": 100 * 2**20} | changes.pop("largest", {})
    return {
        "profiles": profiles.load(Env({"TRIPOD_ENV": "development"})),
        "dialects": DialectSettings(largest=largest, **changes),
    }


async def know_contents(gateway: Gateway) -> None:
    await gateway.put_entity(Entity(type="content", id=ABOUT, owners=("somebody else",)))
    await gateway.put_entity(Entity(type="content", id=GONE, version=2, deleted=True))


async def uploads(gateway: Gateway) -> list[MediaUploaded]:
    return [event for event in await gateway.events() if isinstance(event, MediaUploaded)]


def before_and_after(**said: str) -> list[list[tuple[str, Any]]]:
    """A form whose fields stand before its file, and one where they follow it."""
    fields: list[tuple[str, Any]] = [(name, (None, value)) for name, value in said.items()]
    return [[*fields, ("file", FILE["file"])], [("file", FILE["file"]), *fields]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


async def test_content_takes_files_of_everybody_with_a_token_and_shows_what_it_knows(start: Start) -> None:
    async with start(**settings()) as gateway, gateway.client("7", "service") as other:
        await know_contents(gateway)
        for client, owner in ((gateway.http, "ann"), (other, "7")):
            for form in before_and_after(media_type="image", content_id=ABOUT, metadata='{"a": 1}', odd="x"):
                answer = await client.post(CONTENT, files=form)
                assert answer.status_code == 201, answer.text
                event, made = (await uploads(gateway))[-1], answer.json()
                assert (event.owner, event.profile, event.recipe) == (owner, "content", "content")
                assert (event.entity, event.metadata) == (EntityLink(type="content", id=ABOUT), {"a": 1})
                assert event.is_public
                when = id_time(event.id)
                assert event.key == f"{when:%Y/%m}/my-photo_{event.id.hex}.jpg" == made["storage_path"]
                # The catalog is down, so nothing is processed.
                assert (made["width"], made["thumbnail_url"], made["file_size"]) == (None, None, len(JPEG))
                assert made["url"] == f"http://origin.test/api/v1/media/files/{event.key}"


async def test_the_content_of_the_address_wins_over_the_one_of_the_form(start: Start) -> None:
    async with start(**settings()) as gateway:
        await know_contents(gateway)
        path = OF_CONTENT.format(content_id=ABOUT.upper())
        for form in before_and_after(media_type=" Image ", content_id=GONE):
            answer = await gateway.http.post(path, files=form)
            assert (answer.status_code, answer.json()["content_id"]) == (201, ABOUT)


async def test_what_content_refuses_leaves_nothing(start: Start) -> None:
    async with start(**settings()) as gateway:
        await know_contents(gateway)
        for said, status, detail in (
            ({"content_id": GONE}, 404, "Content not found"),
            ({"content_id": str(uuid.uuid4())}, 404, "Content not found"),
            ({"content_id": "7"}, 400, "Invalid content_id format"),
            ({"content_id": ABOUT.replace("-", "")}, 400, "Invalid content_id format"),
            ({"metadata": "{"}, 400, "Invalid metadata JSON"),
            ({"media_type": "video"}, 400, "Invalid file type: media_type says video"),
            ({"media_type": "other"}, 400, "Invalid media_type"),
            ({"media_type": ""}, 400, "media_type is missing"),
        ):
            for form in before_and_after(**IMAGE | said):
                found = refusal(await gateway.http.post(CONTENT, files=form))
                assert (found[0], found[1].startswith(detail)) == (status, True), (said, found)
        for name, data in (
            ("a.tiff", encoded(picture(64, 48), "TIFF")),
            ("a.png", JPEG),
            ("a.bin", b"\x01\x02"),
        ):
            found = refusal(await gateway.http.post(CONTENT, files={"file": (name, data)}, data=IMAGE))
            assert (found[0], found[1].startswith("Invalid file type")) == (400, True), (name, found)
        await eventually(gateway.nothing_is_left, "everything to be gone", 5)


@pytest.mark.parametrize(
    ("path", "name", "said", "begin"),
    [
        (CONTENT, "metadata", 400, "Invalid metadata JSON: "),
        (MEDIAFILES, "is_public", 413, ""),
        ("/media/upload/1", "description", 413, ""),
    ],
)
async def test_a_field_that_is_too_long_is_told_as_a_field(
    start: Start, path: str, name: str, said: int, begin: str
) -> None:
    async with start(**settings()) as gateway:
        await gateway.put_entity(Entity(type="persona", id="1", owners=("ann",)))
        for form in before_and_after(**IMAGE, **{name: "x" * 65_537}):
            status, detail = refusal(await gateway.http.post(path, files=form))
            assert (status, detail) == (
                said,
                f"{begin}The field {name!r} is longer than 65536 bytes (64 KiB).",
            )


@pytest.mark.parametrize("size", [10 * 2**20 + 1, 10 * 2**20])
async def test_a_type_has_its_limit_to_the_byte(start: Start, size: int) -> None:
    async with start(**settings()) as gateway:
        data = JPEG + bytes(size - len(JPEG))
        answer = await gateway.http.post(CONTENT, files={"file": ("a.jpg", data)}, data=IMAGE)
        if size <= 10 * 2**20:
            assert answer.status_code == 201
        else:
            assert refusal(answer) == (400, "File too large: the maximum size for image is 10 MB")


async def test_what_is_over_the_limit_of_all_requests_is_413_to_the_byte(start: Start) -> None:
    async with start(**settings(largest={"content": 3000})) as gateway:
        for size, status in ((3000, 201), (3001, 413), (2_000_000, 413)):
            data = JPEG + bytes(size - len(JPEG))
            for form in before_and_after(**IMAGE):
                parts = [(name, ("a.jpg", data) if name == "file" else value) for name, value in form]
                answer = await gateway.http.post(CONTENT, files=parts)
                assert answer.status_code == status, answer.text
                if status == 413:
                    assert "3000 bytes" in answer.json()["detail"]


async def test_what_is_below_the_limit_of_all_requests_is_over_that_of_its_type(start: Start) -> None:
    async with start(**settings(largest={"content": 300 * 2**20})) as gateway:
        # No type takes so much, and the request says so before it is read.
        head = {"Content-Length": str(150 * 2**20), "Content-Type": "multipart/form-data; boundary=x"}
        wire = Wire(gateway.port)
        await wire.send(request_head(CONTENT, head))
        answer = await wire.answer()
        wire.close()
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"File too large: the maximum size for any file is 100 MB" in answer


async def test_mediafiles_takes_files_of_everybody_with_a_token(start: Start) -> None:
    async with start(**settings()) as gateway:
        for form, public in (
            (before_and_after()[0], True),
            *((f, False) for f in before_and_after(is_public="0")),
        ):
            answer = await gateway.http.post(f"{MEDIAFILES}/", files=form)
            assert answer.status_code == 201, answer.text
            event, made = (await uploads(gateway))[-1], answer.json()
            assert (event.owner, event.profile, event.recipe) == ("ann", "mediafiles", "mediafiles")
            assert (event.is_public, made["is_public"], made["id"]) == (public, public, event.number)
            assert event.key == f"user_ann/image/{event.number}_my-photo.jpg"
            assert made["urls"]["original"] == f"http://origin.test/media/{event.key}"
            assert (made["user"], made["user_username"], made["status"]) == (None, "ann", "processing")


async def test_a_user_with_a_number_has_it_in_the_place_of_their_files(start: Start) -> None:
    async with start(**settings()) as gateway:
        for claims, folder in (
            ({"sub": "somebody", "uid": 12}, "user_12"),
            ({"sub": "7", "uid": 12}, "user_7"),
            ({"sub": "some/body"}, "user_some-body"),
        ):
            token = {"Authorization": bearer(claims, SECRET)}
            answer = await gateway.http.post(MEDIAFILES, files=FILE, headers=token)
            assert answer.status_code == 201, answer.text
            assert (await uploads(gateway))[-1].key.split("/")[0] == folder
            assert f"/media/{folder}/image/" in answer.json()["urls"]["original"]


@pytest.mark.parametrize(
    ("name", "size", "kind", "limit"),
    [("a.jpg", 10 * 2**20, "image", 10), ("a.mp3", 20 * 2**20, "audio", 20)],
)
async def test_mediafiles_names_the_limit_that_was_passed(
    start: Start, name: str, size: int, kind: str, limit: int
) -> None:
    head = JPEG if kind == "image" else b"ID3\x04" + bytes(60)
    async with start(**settings()) as gateway:
        answer = await gateway.http.post(MEDIAFILES, files={"file": (name, head + bytes(size))})
        text = f"File size exceeds maximum allowed size ({limit} MB for {kind} files)"
        assert refusal(answer) == (400, text)


async def test_a_dialect_that_is_switched_off_answers_404(start: Start) -> None:
    paths = {"content": CONTENT, "mediafiles": MEDIAFILES}
    for off in paths:
        async with start(**settings(enabled=frozenset(ALL) - {off})) as gateway:
            for name, path in paths.items():
                status = (await gateway.http.post(path, files=FILE, data=IMAGE)).status_code
                assert status == (404 if name == off else 201), (off, path)


KEY = {"headers": {"Idempotency-Key": "k"}}
CASES: list[tuple[str, str, dict[str, Any], int]] = [
    (CONTENT, CONTENT, {"files": FILE, "data": IMAGE, **KEY}, 201),
    (CONTENT, CONTENT, {"files": FILE, "data": IMAGE, **KEY}, 201),  # the same again is a replay
    (CONTENT, CONTENT, {"files": FILE}, 400),
    (CONTENT, CONTENT, {"files": FILE, "data": IMAGE | {"content_id": GONE}}, 404),
    (CONTENT, CONTENT, {"files": FILE, "headers": {"Authorization": "Bearer x"}}, 401),
    (CONTENT, CONTENT, {"content": b"x"}, 415),
    (OF_CONTENT, OF_CONTENT.format(content_id=ABOUT), {"files": FILE, "data": IMAGE}, 201),
    (OF_CONTENT, OF_CONTENT.format(content_id="x"), {"files": FILE, "data": IMAGE}, 400),
    (OF_CONTENT, OF_CONTENT.format(content_id=GONE), {"files": FILE, "data": IMAGE}, 404),
    (MEDIAFILES, MEDIAFILES, {"files": FILE, "headers": {"Idempotency-Key": "l"}}, 201),
    (MEDIAFILES, MEDIAFILES, {"files": {"file": ("a.png", JPEG)}}, 400),
    (MEDIAFILES, MEDIAFILES, {"files": FILE, "data": {"is_public": "perhaps"}}, 400),
    (MEDIAFILES, MEDIAFILES, {"files": FILE, "headers": {"Authorization": "Bearer x"}}, 401),
]


async def test_every_answer_is_told_of(start: Start) -> None:
    async with start(**settings()) as gateway:
        await know_contents(gateway)
        document = (await gateway.http.get("/openapi.json")).json()
        for route, path, request, status in CASES:
            answer = await gateway.http.post(path, **request)
            assert answer.status_code == status, (path, answer.text)
            check(document, "POST", route, answer)
