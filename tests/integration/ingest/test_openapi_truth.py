"""Every answer of ingest is one that its OpenAPI document tells of, with its type and its headers."""

from typing import Any

from shared.ids import new_id
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway

JPEG = encoded(picture(64, 48))
FORM, RAW, STATUS = "/v1/uploads", "/v1/uploads/raw/{filename}", "/v1/uploads/{ref}"
SIMILAR = "/v1/media/similar"
GOOD: dict[str, Any] = {"files": {"file": ("a.jpg", JPEG, "image/jpeg")}, "headers": {"Idempotency-Key": "k"}}
CASES: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("POST", FORM, FORM, GOOD, 202),
    ("POST", FORM, FORM, GOOD, 202),  # the same again is a replay
    ("POST", FORM, FORM, {**GOOD, "files": {"file": ("b.jpg", JPEG + b"x", "image/jpeg")}}, 422),
    ("POST", FORM, FORM, {"files": {"other": ("a.jpg", JPEG)}}, 422),
    ("POST", FORM, FORM, {"files": {"x": (None, "y")}}, 400),
    ("POST", FORM, FORM, {"content": b"x"}, 415),
    ("POST", FORM, FORM, {**GOOD, "headers": {"Authorization": "Bearer x"}}, 401),
    ("POST", FORM, FORM, {**GOOD, "headers": {}, "data": {"profile": "internal"}}, 403),
    ("POST", FORM, FORM, {**GOOD, "headers": {}, "data": {"entity_type": "post", "entity_id": "9"}}, 404),
    ("PUT", RAW, "/v1/uploads/raw/a.jpg", {"content": JPEG}, 202),
    ("PUT", RAW, "/v1/uploads/raw/a.mp3", {"content": b"ID3" + bytes(2000)}, 413),
    ("PUT", RAW, "/v1/uploads/raw/a.png", {"content": JPEG}, 415),
    ("PUT", RAW, "/v1/uploads/raw/a.jpg?nonsense=1", {"content": JPEG}, 422),
    ("POST", SIMILAR, SIMILAR, {"files": {"file": ("a.jpg", JPEG)}}, 503),
    ("POST", SIMILAR, SIMILAR, {"files": {"file": ("a.jpg", JPEG)}, "params": {"limit": 0}}, 422),
    ("POST", SIMILAR, SIMILAR, {"content": b"x"}, 415),
    ("POST", SIMILAR, SIMILAR, {**GOOD, "headers": {"Authorization": "Bearer x"}}, 401),
    ("GET", STATUS, "/v1/uploads/ID", {}, 200),
    ("GET", STATUS, "/v1/uploads/ABSENT", {}, 404),
    ("GET", STATUS, "/v1/uploads/nonsense", {}, 404),
]


async def test_every_answer_is_told_of(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    made = ""
    for method, route, path, request, status in CASES:
        concrete = path.replace("ID", made).replace("ABSENT", str(new_id()))
        answer = await gateway.http.request(method, concrete, **request)
        assert answer.status_code == status, (method, path, answer.text)
        check(document, method, route, answer)
        made = made or answer.json()["id"]


async def test_a_replay_says_that_it_is_one(gateway: Gateway) -> None:
    answers = [await gateway.http.post(FORM, **GOOD) for _ in range(2)]
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true"]
