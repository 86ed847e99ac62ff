"""What the entities API answers of rows that a walk through its document does not meet, and what the document says of
each answer."""

from typing import Any

import httpx
import msgspec

from shared.dialects.settings import ALL, DialectSettings
from shared.events.messages import EntityLink
from tests.fixtures.openapi import check
from tests.integration.catalog.service import Service, serving

OURS, LIST, PUBLIC = (
    "/v1/media/{ref}",
    "/v1/media/entity/{entity_type}/{entity_id}",
    "/v1/media/public/{public_id}",
)
DELETE, STORAGE = "/v1/media/batch/delete", "/v1/media/analytics/storage"
CASES: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("GET", OURS, "/v1/media/NUMBER", {}, 200),
    ("GET", OURS, "/v1/media/999999", {}, 404),
    ("GET", OURS, "/v1/media/" + "9" * 19, {}, 404),
    ("GET", OURS, "/v1/media/" + "9" * 4400, {}, 404),
    ("DELETE", OURS, "/v1/media/" + "9" * 4400, {}, 404),
    ("GET", PUBLIC, "/v1/media/public/PUBLIC", {}, 200),
    ("GET", PUBLIC, "/v1/media/public/MED-0", {}, 404),
    ("GET", LIST, "/v1/media/entity/community/5", {}, 200),
    ("GET", LIST, "/v1/media/entity/community/5?entity_field=%00", {}, 422),
    ("GET", LIST, "/v1/media/entity/community/5", {"headers": {"Authorization": "Bearer x"}}, 401),
    ("GET", STORAGE, f"{STORAGE}?entity_type=community", {}, 200),
    ("GET", STORAGE, f"{STORAGE}?entity_type=%00", {}, 422),
    ("GET", STORAGE, STORAGE, {"headers": {"Authorization": "Bearer x"}}, 401),
    ("POST", DELETE, DELETE, {"json": {"media_ids": [999999]}}, 200),
    ("POST", DELETE, DELETE, {"json": {"media_ids": list(range(101))}}, 422),
    ("POST", DELETE, DELETE, {"json": {"media_ids": ["x"]}}, 422),
    ("POST", DELETE, DELETE, {"content": b"{"}, 400),
    ("POST", DELETE, DELETE, {"content": b" " * 1_048_577}, 413),
    ("DELETE", OURS, "/v1/media/NUMBER", {}, 200),
    ("DELETE", OURS, "/v1/media/NUMBER", {}, 404),
]  # fmt: skip


def hung(entity_id: str = "5", **changes: Any) -> dict[str, Any]:
    return {
        "profile": "gallery",
        "entity": EntityLink(type="community", id=entity_id, field="gallery"),
    } | changes


async def test_every_answer_of_entities_is_told_of(catalog: Service) -> None:
    upload = await catalog.ready("7", **hung())
    document = (await catalog.nobody.get("/openapi.json")).json()
    async with catalog.caller("7") as owner:
        public = (await owner.get(f"/v1/media/{upload.id}")).json()["public_id"]
        for method, route, path, request, status in CASES:
            concrete = path.replace("NUMBER", str(upload.number)).replace("PUBLIC", public)
            answer = await owner.request(method, concrete, **request)
            assert answer.status_code == status, (method, path, answer.text)
            check(document, method, route, answer)


async def test_ids_are_numbers_only_where_they_are_decimal_ones(catalog: Service) -> None:
    for entity_id, shown in (("5", 5), ("007", "007"), ("CMY-5", "CMY-5"), ("0", 0)):
        upload = await catalog.ready("ann", **hung(entity_id, is_public=True))
        media = (await catalog.nobody.get(f"/v1/media/{upload.number}")).json()
        assert (media["entity_id"], media["uploaded_by"]) == (shown, None)
    upload = await catalog.ready("ann", **hung(is_public=True, owner_uid=42))
    assert (await catalog.nobody.get(f"/v1/media/{upload.number}")).json()["uploaded_by"] == 42


async def test_the_file_addresses_of_an_answer_lead_to_the_files(catalog: Service) -> None:
    upload = await catalog.ready("ann", **hung(is_public=True))
    media = (await catalog.nobody.get(f"/v1/media/{upload.number}")).json()
    base = catalog.settings.http.base_url
    for name in ("original_url", "thumbnail_url"):
        assert (await catalog.nobody.get(media[name].removeprefix(base))).status_code == 200, name


async def test_whoever_governs_the_entity_may_delete_what_others_hung_on_it(catalog: Service) -> None:
    async with catalog.caller("backend", "service") as service:
        body = {"owners": ["eve"], "admins": ["adam"]}
        assert (await service.put("/v1/entities/community/5", json=body)).status_code == 200
    for sub in ("eve", "adam"):
        upload = await catalog.ready("ann", **hung(is_public=True))
        async with catalog.caller(sub) as governor, catalog.caller("stranger") as stranger:
            assert (await stranger.delete(f"/v1/media/{upload.number}")).status_code == 403
            assert (await governor.delete(f"/v1/media/{upload.number}")).status_code == 200


async def test_other_apis_media_are_not_there(catalog: Service) -> None:
    link = EntityLink(type="community", id="5", field="gallery")
    for profile in ("default", "persona", "library", "content", "mediafiles"):
        upload = await catalog.ready("ann", profile=profile, entity=link)
        async with catalog.caller("ann") as ann:
            assert (await ann.get(f"/v1/media/{upload.number}")).status_code == 404, profile
            assert (await ann.delete(f"/v1/media/{upload.number}")).status_code == 404, profile
            answer = await ann.post(DELETE, json={"media_ids": [upload.number]})
            assert answer.json()["failed"][0]["error"] == f"Media {upload.number} not found"
            assert (await ann.get("/v1/media/entity/community/5")).json() == []
            assert (await ann.get(STORAGE)).json()["total_files"] == 0


async def test_a_dialect_that_is_switched_off_answers_404(catalog: Service) -> None:
    upload = await catalog.ready("ann", **hung(is_public=True))
    settings = msgspec.structs.replace(
        catalog.settings, dialects=DialectSettings(enabled=frozenset(ALL) - {"entities"})
    )
    headers = {"Authorization": f"Bearer {catalog.token('ann')}"}
    async with serving(settings) as url, httpx.AsyncClient(base_url=url, headers=headers) as ann:
        for path in ("entity/community/5", "analytics/storage", "public/MED-0", str(upload.number)):
            assert (await ann.get(f"/v1/media/{path}")).status_code == 404, path
        assert (await ann.delete(f"/v1/media/{upload.number}")).status_code == 404
        assert (
            await ann.post(DELETE, json={"media_ids": [upload.number]})
        ).status_code == 422  # our own wants `refs`
        assert (await ann.get(f"/v1/media/{upload.id}")).status_code == 200
