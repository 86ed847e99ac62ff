"""Uploads by the personas and library APIs: whose they become, what is refused, and what the document says of it."""

from typing import Any

import httpx
import msgspec
import pytest

from shared import profiles
from shared.dialects.settings import ALL, Anonymous, DialectSettings
from shared.entities import Entity
from shared.env import Env
from shared.events.messages import MediaUploaded
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, Start, eventually

JPEG = encoded(picture(64, 48))
FILE = {"file": ("a.jpg", JPEG, "image/jpeg")}
LIBRARY, PERSONA = "/media/upload", "/media/upload/{persona_id}"


def settings(anonymous: Anonymous = "read", **changes: Any) -> dict[str, Any]:
    return {
        "profiles": profiles.load(Env({"TRIPOD_ENV": "development"})),
        "dialects": DialectSettings(anonymous=anonymous, **changes),
    }


async def uploads(gateway: Gateway) -> list[MediaUploaded]:
    return [event for event in await gateway.events() if isinstance(event, MediaUploaded)]


def nobody(gateway: Gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gateway.http.base_url, timeout=20)


def before_and_after(**said: str) -> list[list[tuple[str, Any]]]:
    """A form whose fields stand before its file, and one where they follow it."""
    fields: list[tuple[str, Any]] = [(name, (None, value)) for name, value in said.items()]
    return [[*fields, ("file", FILE["file"])], [("file", FILE["file"]), *fields]]


async def test_an_upload_to_the_library_belongs_to_the_user_it_names_if_the_caller_may_say_so(
    start: Start,
) -> None:
    async with (
        start(**settings()) as gateway,
        gateway.client("12") as user,
        gateway.client("x", "service") as back,
    ):
        for client, user_id, owner in (
            (user, "12", "12"),
            (user, "", "12"),
            (back, "12", "12"),
            (back, "7", "7"),
        ):
            for form in before_and_after(user_id=user_id, alt_text="A boat", is_public="true", odd="ignored"):
                answer = await client.post(LIBRARY, files=form)
                assert answer.status_code == 201, answer.text
                event = (await uploads(gateway))[-1]
                assert (event.owner, event.number) == (owner, answer.json()["id"])
                # By which a user whose token has another sub and this uid is known.
                assert event.owner_uid == (int(owner) if client is back else None)
                assert (event.profile, event.alt_text, event.is_public) == ("library", "A boat", True)
        taken = len(await uploads(gateway))
        for form in before_and_after(user_id="13"):
            refused = await user.post(LIBRARY, files=form)
            assert refused.status_code == 403
            assert "service role" in refused.json()["detail"]
        for form in before_and_after(user_id="me"):
            assert (await back.post(LIBRARY, files=form)).status_code == 422
        assert len(await uploads(gateway)) == taken


@pytest.mark.parametrize("anonymous", ["none", "read"])
async def test_without_a_token_nothing_is_taken_unless_the_library_is_open(
    start: Start, anonymous: Anonymous
) -> None:
    async with start(**settings(anonymous)) as gateway, nobody(gateway) as client:
        answer = await client.post(LIBRARY, files=FILE)
        assert (answer.status_code, answer.json()["detail"]) == (401, "Not authenticated")
        assert await gateway.nothing_is_left()


async def test_an_open_library_takes_files_from_everybody_and_nothing_else_does(start: Start) -> None:
    async with start(**settings("full")) as gateway, nobody(gateway) as client, gateway.client("12") as user:
        assert (await client.post(LIBRARY, files=FILE)).status_code == 201
        assert (await client.post(LIBRARY, files=FILE, data={"user_id": "7"})).status_code == 201
        assert (await user.post(LIBRARY, files=FILE, data={"user_id": "7"})).status_code == 201
        assert [event.owner for event in await uploads(gateway)] == ["anonymous", "7", "7"]
        sneaky = {"profile": "persona", "entity_type": "persona", "entity_id": "1"}
        assert (await client.post(LIBRARY, files=FILE, data=sneaky)).status_code == 201
        last = (await uploads(gateway))[-1]
        assert (last.profile, last.entity) == ("library", None)
        assert (await client.post("/v1/uploads", files=FILE)).status_code == 401
        assert (await client.post("/media/upload/1", files=FILE)).status_code == 401


async def test_the_one_limit_of_personas_lies_above_those_of_its_types(start: Start) -> None:
    changes = settings(largest={"personas": 2000})
    known = dict(changes["profiles"])
    known["persona"] = msgspec.structs.replace(known["persona"], max_bytes={"image": 2000, "video": 2000})
    async with start(**changes | {"profiles": known}) as gateway:
        await gateway.put_entity(Entity(type="persona", id="1", owners=("ann",)))
        answer = await gateway.http.post("/media/upload/1", files={"file": ("a.jpg", JPEG + bytes(2000))})
        assert answer.status_code == 413
        assert answer.json()["detail"] == "Image file too large. Maximum size is 0.00190735MB"
        announced = await gateway.http.post("/media/upload/1", files={"file": ("a.jpg", JPEG + bytes(2**21))})
        assert (announced.status_code, announced.json()["detail"].split(".")[0]) == (413, "File too large")
        await eventually(gateway.nothing_is_left, "everything to be gone", 5)


async def test_a_dialect_that_is_switched_off_answers_404(start: Start) -> None:
    paths = {"library": LIBRARY, "personas": "/media/upload/1"}
    for off in paths:
        async with start(**settings(enabled=frozenset(ALL) - {off})) as gateway:
            await gateway.put_entity(Entity(type="persona", id="1", owners=("ann",)))
            for name, path in paths.items():
                status = (await gateway.http.post(path, files=FILE)).status_code
                assert status == (404 if name == off else 201), (off, path)


KEY = {"headers": {"Idempotency-Key": "k"}}
CASES: list[tuple[str, str, dict[str, Any], int]] = [
    (PERSONA, "/media/upload/1", {"files": FILE, **KEY}, 201),
    (PERSONA, "/media/upload/1", {"files": FILE, **KEY}, 201),  # the same again is a replay
    (PERSONA, "/media/upload/2", {"files": FILE}, 404),
    (PERSONA, "/media/upload/3", {"files": FILE}, 404),  # another's
    (PERSONA, "/media/upload/1", {"files": {"file": ("a.txt", JPEG)}}, 400),
    (PERSONA, "/media/upload/1", {"files": {"x": (None, "y")}}, 400),
    (PERSONA, "/media/upload/1", {"content": b"x"}, 415),
    (PERSONA, "/media/upload/1", {"files": FILE, "data": {"description": "x" * 5001}}, 422),
    (PERSONA, "/media/upload/1", {"files": {"file": ("a.jpg", JPEG + bytes(10 * 2**20))}}, 413),
    (PERSONA, "/media/upload/1", {"files": FILE, "headers": {"Authorization": "Bearer x"}}, 401),
    (
        LIBRARY,
        LIBRARY,
        {"files": FILE, "data": {"description": "d"}, "headers": {"Idempotency-Key": "l"}},
        201,
    ),
    (LIBRARY, LIBRARY, {"files": FILE, "data": {"user_id": "9"}}, 403),
    (LIBRARY, LIBRARY, {"files": FILE, "data": {"is_public": "perhaps"}}, 422),
    (LIBRARY, LIBRARY, {"files": {"file": ("a.png", JPEG)}}, 415),
    (LIBRARY, LIBRARY, {"files": {"file": ("a.jpg", JPEG + bytes(10 * 2**20))}}, 413),
    (LIBRARY, LIBRARY, {"files": FILE, "headers": {"Authorization": "Bearer x"}}, 401),
]


async def test_every_answer_is_told_of(start: Start) -> None:
    async with start(**settings()) as gateway:
        await gateway.put_entity(Entity(type="persona", id="1", owners=("ann",)))
        await gateway.put_entity(Entity(type="persona", id="3", owners=("bob",)))
        document = (await gateway.http.get("/openapi.json")).json()
        answers = []
        for route, path, request, status in CASES:
            answer = await gateway.http.post(path, **request)
            assert answer.status_code == status, (path, answer.text)
            check(document, "POST", route, answer)
            answers.append(answer)
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"
