"""What the personas API answers of rows that its own clients cannot have made, and what its document says of it."""

from typing import Any

from shared.events.messages import EntityLink, MediaUploaded
from tests.fixtures.openapi import check
from tests.integration.catalog.service import Service

ONE, FILE, STATS = "/media/files/{media_id}", "/media/download/{media_id}", "/media/stats"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CASES: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("GET", "/media/files", "/media/files?persona_id=1&media_type=image", {}, 200),
    ("GET", "/media/files", "/media/files?persona_id=x", {}, 422),
    ("GET", "/media/files", "/media/files", {"headers": {"Authorization": "Bearer x"}}, 401),
    ("GET", ONE, "/media/files/NUMBER", {}, 200),
    ("GET", ONE, "/media/files/999999", {}, 404),
    ("GET", FILE, "/media/download/NUMBER", {}, 200),
    ("HEAD", FILE, "/media/download/NUMBER", {}, 200),
    ("GET", FILE, "/media/download/NUMBER", {"headers": {"Range": "bytes=0-1"}}, 206),
    ("GET", FILE, "/media/download/NUMBER", {"headers": {"If-None-Match": "*"}}, 304),
    ("GET", FILE, "/media/download/NUMBER", {"headers": {"If-Match": '"x"'}}, 412),
    ("GET", FILE, "/media/download/NUMBER", {"headers": {"Range": "bytes=99999999-"}}, 416),
    ("GET", FILE, "/media/download/999999", {}, 404),
    ("PUT", ONE, "/media/files/NUMBER", {"data": {"description": "x"}}, 200),
    ("PUT", ONE, "/media/files/NUMBER", {"data": {"description": "x" * 5001}}, 422),
    ("PUT", ONE, "/media/files/NUMBER", {"content": b"x" * 1_048_577, "headers": FORM}, 413),
    ("PUT", ONE, "/media/files/NUMBER", {"headers": {"Content-Type": "multipart/form-data; boundary=x"},
                                         "content": b"--x no form"}, 400),
    ("PUT", ONE, "/media/files/999999", {}, 404),
    ("GET", STATS, STATS, {}, 200),
    ("DELETE", ONE, "/media/files/NUMBER", {}, 200),
    ("DELETE", ONE, "/media/files/NUMBER", {}, 404),
]  # fmt: skip


def of_persona(persona: str = "1", **changes: Any) -> dict[str, Any]:
    link = EntityLink(type="persona", id=persona, field="")
    return {"profile": "persona", "key": f"images/{persona}/7/x.jpg", "entity": link} | changes


async def test_every_answer_of_personas_is_told_of(catalog: Service) -> None:
    upload = await catalog.ready("7", **of_persona())
    document = (await catalog.nobody.get("/openapi.json")).json()
    async with catalog.caller("7") as owner:
        for method, route, path, request, status in CASES:
            answer = await owner.request(method, path.replace("NUMBER", str(upload.number)), **request)
            assert answer.status_code == status, (method, path, answer.text)
            check(document, method, route, answer)
            if status == 413:
                assert answer.json()["detail"].startswith("The body is larger than"), "it is no file"


async def test_a_description_is_the_text_that_was_sent_whatever_it_looks_like(catalog: Service) -> None:
    upload = await catalog.ready("7", **of_persona())
    path = f"/media/files/{upload.number}"
    async with catalog.caller("7") as owner:
        for text in ("123", "true", "null", '["a"]', '{"a": 1}', "a=b&c+d%20ü", "l1\nl2", "7" * 400):
            for request in ({"data": {"description": text}}, {"files": {"description": (None, text)}}):
                assert (await owner.put(path, **request)).json()["description"] == text
        for empty in ({"data": {"description": ""}}, {"files": {"description": (None, "")}}):
            await owner.put(path, data={"description": "there"})
            assert (await owner.put(path, **empty)).json()["description"] is None
            assert (await owner.get(path)).json()["description"] is None


async def test_what_somebody_published_still_shows_to_its_user_alone(catalog: Service) -> None:
    theirs: MediaUploaded = await catalog.ready("7", **of_persona(is_public=True))
    async with catalog.caller("8") as other, catalog.caller("9", "admin") as admin:
        for client in (other, admin):
            assert (await client.get("/media/files")).json() == []
            assert (await client.get(f"/media/files/{theirs.number}")).status_code == 404
            assert (await client.get(STATS)).json()["total_files"] == 0


async def test_videos_are_counted_by_themselves_and_megabytes_have_two_digits(catalog: Service) -> None:
    for number, kind in enumerate(("image", "image", "video")):
        await catalog.ready(
            "7", **of_persona("12", media_type=kind, size=1_234_567, key=f"{kind}s/12/7/{number}.x")
        )
    async with catalog.caller("7") as owner:
        found = (await owner.get(STATS)).json()
        videos = (await owner.get("/media/files", params={"media_type": "video"})).json()
    assert found == {
        "total_files": 3, "total_images": 2, "total_videos": 1, "total_size_bytes": 3_703_701,
        "total_size_mb": 3.53, "files_per_persona": {"12": 3},
    }  # fmt: skip
    assert [one["media_type"] for one in videos] == ["video"]


async def test_ids_that_are_no_numbers_are_shown_as_they_are_or_as_null(catalog: Service) -> None:
    upload = await catalog.ready("somebody", **of_persona("a-persona"))
    known = await catalog.ready("somebody", **of_persona("a-persona", key="images/x/y.jpg", owner_uid=12))
    async with catalog.caller("somebody") as owner:
        found = {one["id"]: one for one in (await owner.get("/media/files")).json()}
    assert (found[upload.number]["persona_id"], found[upload.number]["user_id"]) == ("a-persona", None)
    assert found[known.number]["user_id"] == 12
