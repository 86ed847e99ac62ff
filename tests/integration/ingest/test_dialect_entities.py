"""Uploads by the entities API where nothing follows them: what the document says of each answer, keys, switched off."""

from typing import Any

import msgspec
import pytest

from services.ingest.dialects.entity_slots import places
from shared import profiles
from shared.dialects.settings import ALL, DialectSettings
from shared.entities import Entity
from shared.env import Env
from tests.fixtures.hand_made import matroska
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, Start
from tests.integration.ingest.test_catalog import Catalog

JPEG = encoded(picture(120, 110))
FILE = {"file": ("a.jpg", JPEG, "image/jpeg")}
AVATAR, ANY, MANY = "/v1/media/users/{entity_id}/avatar", "/v1/media/upload", "/v1/media/batch/upload"
ME = "/v1/media/users/ann/avatar"
TO_ME = {"entity_type": "user", "entity_id": "ann"}
KEY = {"headers": {"Idempotency-Key": "k"}}
CASES: list[tuple[str, str, dict[str, Any], int]] = [
    (AVATAR, ME, {"files": FILE, **KEY}, 201),
    (AVATAR, ME, {"files": FILE, **KEY}, 201),  # the same again is a replay
    (AVATAR, ME, {"files": {"file": ("a.png", JPEG)}}, 400),
    (AVATAR, ME, {"files": {"file": ("a.jpg", JPEG + bytes(5 * 2**20))}}, 400),
    (AVATAR, ME, {"files": {"file": ("a.jpg", JPEG + bytes(7 * 2**20))}}, 400),
    (AVATAR, ME, {"files": FILE, "headers": {"Authorization": "Bearer x"}}, 401),
    (AVATAR, "/v1/media/users/bob/avatar", {"files": FILE}, 403),
    (AVATAR, "/v1/media/users/eve/avatar", {"files": FILE}, 404),
    (AVATAR, ME, {"content": b"x"}, 415),
    (AVATAR, ME, {"files": FILE, "data": {"alt_text": "x" * 1001}}, 422),
    (ANY, ANY, {"files": FILE, "data": TO_ME}, 201),
    (ANY, ANY, {"files": FILE}, 422),
    (MANY, MANY, {"files": {"files": FILE["file"]}, "data": TO_ME}, 201),
    (MANY, MANY, {"files": {"files": FILE["file"]}}, 200),
    (MANY, MANY, {"files": FILE, "data": TO_ME}, 422),
    (MANY, MANY, {"data": TO_ME}, 415),
]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "profiles": profiles.load(Env({"TRIPOD_ENV": "development"})),
        "dialects": DialectSettings(**changes),
    }


async def known(gateway: Gateway) -> None:
    await gateway.put_entity(Entity(type="user", id="bob", owners=("bob",)))


async def test_every_answer_is_told_of(start: Start) -> None:
    async with start(**settings()) as gateway:
        await known(gateway)
        document = (await gateway.http.get("/openapi.json")).json()
        for route, path, request, status in CASES:
            answer = await gateway.http.post(path, **request)
            assert answer.status_code == status, (path, answer.text)
            check(document, "POST", route, answer)
        for place in places(settings()["profiles"]):
            form = document["paths"][place.address.replace(":str", "")]["post"]["requestBody"]
            assert set(form["content"]["multipart/form-data"]["schema"]["properties"]) == {
                "file",
                *place.slot.takes,
            }


async def test_without_the_catalog_an_upload_is_answered_with_its_ids_and_no_sizes(start: Start) -> None:
    async with start(**settings()) as gateway:
        media = (await gateway.http.post(ME, files=FILE)).json()["media"]
        assert (media["id"], media["status"]) == (1, "processing")
        assert (media["thumbnail_url"], media["medium_url"], media["uploaded_by"]) == (None, None, None)
        assert media["original_url"].endswith("/download")


async def test_what_takes_longer_than_the_wait_is_answered_without_sizes(start: Start) -> None:
    async with start(**settings(wait=0.1)) as gateway, Catalog(gateway).running():
        await gateway.put_entity(Entity(type="post", id="1", owners=("ann",)))
        clip = {
            "file": ("a.mkv", matroska("matroska", 1) + bytes(20_000))
        }  # the processor of this test is slow
        answer = await gateway.http.post("/v1/media/posts/1/media", files=clip)
        media = answer.json()["media"]
        assert (answer.status_code, media["status"], media["media_type"]) == (201, "processing", "video")
        assert [media[f"{size}_url"] for size in ("thumbnail", "small", "medium", "large")] == [None] * 4
        assert (media["width"], media["duration"], media["moderation_status"]) == (None, None, "approved")


async def test_where_moderators_look_first_an_upload_says_that_it_is_pending(start: Start) -> None:
    changes = settings()
    known = dict(changes["profiles"])
    known["avatar"] = msgspec.structs.replace(known["avatar"], moderation="pending")
    async with start(**changes | {"profiles": known}) as gateway:
        media = (await gateway.http.post(ME, files=FILE)).json()["media"]
        assert (media["moderation_status"], media["is_public"]) == ("pending", True)


async def test_a_user_is_known_by_the_number_in_their_token(start: Start) -> None:
    async with start(**settings()) as gateway, gateway.client("7") as seven:
        media = (await seven.post("/v1/media/users/7/avatar", files=FILE)).json()["media"]
        assert (media["uploaded_by"], media["entity_id"]) == (7, 7)
        assert (await seven.post("/v1/media/users/07/avatar", files=FILE)).status_code == 404


@pytest.mark.parametrize("path", [ME, ANY, MANY])
async def test_a_dialect_that_is_switched_off_answers_404(start: Start, path: str) -> None:
    async with start(**settings(enabled=frozenset(ALL) - {"entities"})) as gateway:
        assert (await gateway.http.post(path, files=FILE, data=TO_ME)).status_code == 404
