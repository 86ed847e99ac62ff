"""Every answer of the catalog is one that its OpenAPI document tells of, with its type and its headers."""

from typing import Any

import msgspec
import pytest

from services.catalog.settings import CatalogSettings
from shared.dialects.settings import DialectSettings
from shared.ids import new_id
from tests.fixtures.openapi import check
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

MEDIA, FILE, LINKS = "/v1/media/{ref}", "/v1/media/{ref}/download", "/v1/media/{ref}/links"
RENDER = "/v1/media/{ref}/render"
VARIANT, ENTITY, LOOKUP = (
    "/v1/media/{ref}/variants/{name}",
    "/v1/entities/{entity_type}/{entity_id}",
    "/v1/media/lookup",
)
SEARCH = "/v1/media/search"
MODERATION, CLAIMS, BATCH = "/v1/media/{ref}/moderation", "/v1/moderation/claims", "/v1/media/batch/"
CASES: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("GET", "/v1/media", "/v1/media?limit=1", {}, 200),
    ("GET", "/v1/media", "/v1/media?limit=0", {}, 422),
    ("GET", "/v1/media", "/v1/media", {"headers": {"Authorization": "Bearer x"}}, 401),
    ("POST", LOOKUP, "/v1/media/lookup", {"json": {"type": "post", "ids": ["1"]}}, 200),
    ("POST", LOOKUP, "/v1/media/lookup", {"json": {"type": "post", "ids": []}}, 422),
    ("POST", LOOKUP, "/v1/media/lookup", {"content": b" " * 1_048_577}, 413),
    ("POST", SEARCH, "/v1/media/search", {"json": {}}, 200),
    ("POST", SEARCH, "/v1/media/search", {"json": {"filter": {"field": "size"}}}, 422),
    ("POST", SEARCH, "/v1/media/search", {"content": b" " * 1_048_577}, 413),
    ("GET", MEDIA, "/v1/media/ID", {}, 200),
    ("GET", MEDIA, "/v1/media/ID", {"headers": {"If-None-Match": "*"}}, 304),
    ("GET", MEDIA, "/v1/media/ABSENT", {}, 404),
    ("PATCH", MEDIA, "/v1/media/ID", {"json": {"caption": "x"}}, 200),
    ("PATCH", MEDIA, "/v1/media/ID", {"json": {}, "headers": {"If-Match": '"x"'}}, 412),
    ("PATCH", MEDIA, "/v1/media/ID", {"content": b"{"}, 400),
    ("PATCH", MEDIA, "/v1/media/ID", {"content": b" " * 1_048_577}, 413),
    ("PATCH", MEDIA, "/v1/media/ID", {"json": {"caption": 1}}, 422),
    ("PATCH", MEDIA, "/v1/media/THEIRS", {"json": {}}, 403),
    ("GET", FILE, "/v1/media/ID/download", {}, 200),
    ("HEAD", FILE, "/v1/media/ID/download", {}, 200),
    ("GET", FILE, "/v1/media/ID/download", {"headers": {"Range": "bytes=0-1"}}, 206),
    ("GET", FILE, "/v1/media/ID/download", {"headers": {"If-None-Match": "*"}}, 304),
    ("GET", FILE, "/v1/media/ID/download", {"headers": {"If-Match": '"x"'}}, 412),
    ("GET", FILE, "/v1/media/ID/download", {"headers": {"Range": "bytes=999999999-"}}, 416),
    ("GET", FILE, "/v1/media/ID/download?disposition=x", {}, 422),
    ("GET", FILE, "/v1/media/ID/download?signature=x", {}, 403),
    ("GET", VARIANT, "/v1/media/ID/variants/thumbnail", {}, 200),
    ("GET", VARIANT, "/v1/media/ID/variants/thumbnail", {"headers": {"Range": "bytes=0-1"}}, 206),
    ("GET", VARIANT, "/v1/media/ID/variants/thumbnail", {"headers": {"Range": "bytes=0-1,999-1000"}}, 206),
    ("GET", VARIANT, "/v1/media/ID/variants/huge", {}, 404),
    ("GET", VARIANT, "/v1/media/PENDING/variants/thumbnail", {}, 404),
    ("GET", RENDER, "/v1/media/ID/render?preset=small", {}, 503),
    ("GET", RENDER, "/v1/media/ID/render", {}, 422),
    ("GET", RENDER, "/v1/media/ID/render?w=5", {}, 403),
    ("GET", RENDER, "/v1/media/ABSENT/render?preset=small", {}, 404),
    ("GET", RENDER, "/v1/media/PENDING/render?preset=small", {}, 404),
    ("POST", LINKS, "/v1/media/ID/links", {"json": {}}, 201),
    ("POST", LINKS, "/v1/media/ID/links", {"json": {"render": {"w": 5}}}, 201),
    ("POST", LINKS, "/v1/media/ID/links", {"json": {"render": {}}}, 422),
    ("POST", LINKS, "/v1/media/ID/links", {"json": {"render": {"w": 0}}}, 422),
    ("POST", LINKS, "/v1/media/THEIRS/links", {"json": {"render": {"w": 5}}}, 403),
    ("POST", LINKS, "/v1/media/ID/links", {"content": b" " * 1_048_577}, 413),
    ("POST", LINKS, "/v1/media/ID/links", {"json": {"seconds": 0}}, 422),
    ("GET", "/v1/media/{ref}/similar", "/v1/media/ID/similar", {}, 200),
    ("GET", "/v1/media/{ref}/similar", "/v1/media/ID/similar?max_distance=99", {}, 422),
    ("GET", "/v1/media/{ref}/similar", "/v1/media/ID/similar?transforms=mirror,rotate", {}, 200),
    ("GET", "/v1/media/{ref}/similar", "/v1/media/ID/similar?transforms=upside-down", {}, 422),
    ("GET", "/v1/media/duplicates", "/v1/media/duplicates", {}, 200),
    ("GET", "/v1/media/duplicates", "/v1/media/duplicates?kind=near&owner=bob&limit=1", {}, 200),
    ("GET", "/v1/media/duplicates", "/v1/media/duplicates?kind=alike", {}, 422),
    ("GET", "/v1/media/duplicates", "/v1/media/duplicates?owner=%00", {}, 422),
    ("GET", "/v1/media/duplicates", "/v1/media/duplicates?cursor=x", {}, 422),
    ("GET", "/v1/stats", "/v1/stats", {}, 200),
    ("GET", "/v1/stats", "/v1/stats?owner=bob", {}, 403),
    ("GET", "/v1/stats", "/v1/stats?entity_type=post&entity_id=9", {}, 404),
    ("GET", "/v1/stats", "/v1/stats?entity_type=post", {}, 422),
    ("GET", "/v1/stats/storage", "/v1/stats/storage", {}, 200),
    ("GET", "/v1/stats/storage", "/v1/stats/storage?owner=%00", {}, 422),
    ("GET", "/v1/live", "/v1/live?since=x", {}, 422),
    ("PUT", ENTITY, "/v1/entities/post/1", {"json": {}}, 403),
    ("GET", ENTITY, "/v1/entities/post/1", {}, 403),
    ("GET", MODERATION, "/v1/media/ID/moderation", {}, 200),
    ("GET", MODERATION, "/v1/media/THEIRS/moderation", {}, 403),
    ("POST", MODERATION, "/v1/media/ID/moderation", {"json": {"state": "approved"}}, 403),
    ("GET", "/v1/moderation", "/v1/moderation", {}, 403),
    ("POST", BATCH + "tag", BATCH + "tag", {"json": {"refs": ["ID", "x"], "add": ["a"]}}, 200),
    ("POST", BATCH + "tag", BATCH + "tag", {"content": b" " * 1_048_577}, 413),
    ("POST", BATCH + "move", BATCH + "move", {"json": {"refs": ["x"], "entity": None}}, 200),
    ("POST", BATCH + "publish", BATCH + "publish", {"json": {"refs": []}}, 422),
    ("POST", BATCH + "delete", BATCH + "delete", {"json": {"refs": ["x"]}}, 200),
    ("POST", "/v1/media/{ref}/cancel", "/v1/media/ID/cancel", {}, 409),
    ("POST", "/v1/media/{ref}/reprocess", "/v1/media/ID/reprocess", {}, 202),
    ("POST", "/v1/media/{ref}/cancel", "/v1/media/ID/cancel", {}, 202),
    ("DELETE", MEDIA, "/v1/media/ID", {}, 204),
]
AS_SERVICE: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("POST", MODERATION, "/v1/media/THEIRS/moderation", {"json": {"state": "approved"}}, 200),
    ("POST", MODERATION, "/v1/media/THEIRS/moderation", {"json": {"state": "rejected"}}, 422),
    ("POST", MODERATION, "/v1/media/ABSENT/moderation", {"json": {"state": "approved"}}, 404),
    (
        "POST",
        MODERATION,
        "/v1/media/THEIRS/moderation",
        {"json": {"state": "approved", "expected": "pending"}},
        200,
    ),
    (
        "POST",
        MODERATION,
        "/v1/media/THEIRS/moderation",
        {"json": {"state": "pending", "expected": "flagged"}},
        409,
    ),
    ("GET", "/v1/moderation", "/v1/moderation?state=approved&limit=1&count=true", {}, 200),
    ("GET", "/v1/moderation", "/v1/moderation?cursor=x", {}, 422),
    ("POST", CLAIMS, CLAIMS, {"json": {"limit": 1}}, 200),
    ("POST", CLAIMS, CLAIMS, {"json": {"limit": 0}}, 422),
    ("GET", CLAIMS, CLAIMS, {}, 200),
    ("DELETE", CLAIMS + "/{ref}", CLAIMS + "/THEIRS", {}, 200),
    ("DELETE", CLAIMS + "/{ref}", CLAIMS + "/nonsense", {}, 404),
    ("DELETE", CLAIMS, CLAIMS, {}, 200),
    ("PUT", ENTITY, "/v1/entities/post/1", {"json": {}}, 200),
    ("PUT", ENTITY, "/v1/entities/post/1", {"content": b" " * 1_048_577}, 413),
    ("PUT", ENTITY, "/v1/entities/post/1", {"json": {"owners": 1}}, 422),
    ("GET", ENTITY, "/v1/entities/post/1", {}, 200),
    ("DELETE", ENTITY, "/v1/entities/post/1", {}, 204),
    ("GET", ENTITY, "/v1/entities/post/1", {}, 404),
]


@pytest.fixture
def settings(settings: CatalogSettings) -> CatalogSettings:
    """Our own API alone."""
    return msgspec.structs.replace(settings, dialects=DialectSettings(enabled=frozenset()))


async def test_every_answer_is_told_of_with_its_type_and_headers(catalog: Service) -> None:
    upload = await catalog.ready()
    await catalog.ready()
    theirs, pending = await catalog.ready("bob", is_public=True), stories.uploaded()
    await catalog.have(pending)
    names = {
        "ID": str(upload.id), "ABSENT": str(new_id()), "THEIRS": str(theirs.id), "PENDING": str(pending.id),
    }  # fmt: skip
    document = (await catalog.nobody.get("/openapi.json")).json()
    for cases, roles in ((CASES, ()), (AS_SERVICE, ("service",))):
        async with catalog.caller("ann", *roles) as client:
            for method, route, path, request, status in cases:
                for name, ref in names.items():
                    path = path.replace(name, ref)  # noqa: PLW2901 - one reference at most
                answer = await client.request(method, path, **request)
                assert answer.status_code == status, (method, path, answer.text)
                check(document, method, route, answer)


@pytest.mark.parametrize(
    "path", ["/v1/media", "/v1/media/ID", "/v1/media/ID/download", "/v1/media/ID/similar"]
)
async def test_what_is_answered_without_a_token_says_that_it_needs_none(catalog: Service, path: str) -> None:
    public = await catalog.ready(is_public=True)
    document = (await catalog.nobody.get("/openapi.json")).json()
    operation = document["paths"][path.replace("ID", "{ref}")]["get"]
    answer = await catalog.nobody.get(path.replace("ID", str(public.id)))
    assert (answer.status_code, operation["security"]) == (200, [{}, {"bearer": []}])


async def test_what_needs_a_token_says_so(catalog: Service) -> None:
    document = (await catalog.nobody.get("/openapi.json")).json()
    assert document["security"] == [{"bearer": []}]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "security" in operation:
                continue
            concrete = path.replace("{ref}", str(new_id())).replace("{entity_type}", "post")
            answer = await catalog.nobody.request(method, concrete.replace("{entity_id}", "1"), json={})
            assert answer.status_code == 401, (method, path)
