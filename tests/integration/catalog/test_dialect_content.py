"""What the content and mediafiles APIs answer of rows in every state, and what their document says of it."""

import uuid
from typing import Any

import httpx
import msgspec
import pytest

from services.catalog.settings import CatalogSettings
from shared.dialects.settings import ALL, DialectSettings
from shared.dialects.users import uuid_id
from shared.events.messages import EntityLink, MediaProcessed, MediaUploaded
from shared.ids import new_id
from tests.fixtures.openapi import check
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, serving
from tests.integration.catalog.test_lists import fill

BASE = "http://origin.test"
C, M = "/api/v1/media", "/api/media"
ONE, FILE, FILES = f"{C}/{{media_id}}", f"{C}/{{media_id}}/download", f"{C}/files/{{file_path}}"
OF_CONTENT = f"{C}/content/{{content_id}}/media"
ABOUT = str(uuid.uuid4())


def of_content(content_id: str | None = ABOUT, **changes: Any) -> dict[str, Any]:
    """An upload of that API; the key is that of its id."""
    media_id = new_id()
    link = EntityLink(type="content", id=content_id) if content_id else None
    key = f"2026/11/photo_{media_id.hex}.jpg"
    return {
        "id": media_id, "profile": "content", "recipe": "content", "key": key, "entity": link, "is_public": True,
    } | changes  # fmt: skip


def of_mediafiles(number: int, owner: str = "7", **changes: Any) -> dict[str, Any]:
    key = f"user_{owner}/image/{number}_photo.jpg"
    return {
        "number": number, "profile": "mediafiles", "recipe": "mediafiles", "key": key, "is_public": True,
    } | changes  # fmt: skip


def made(upload: MediaUploaded, *names: str, **changes: Any) -> MediaProcessed:
    variants = tuple(stories.variant(upload.id, name) for name in names)
    return msgspec.structs.replace(stories.processed(upload), variants=variants, **changes)


async def have(catalog: Service, upload: MediaUploaded, result: MediaProcessed) -> MediaUploaded:
    await catalog.store(upload, result)
    await catalog.have(upload, result)
    return upload


async def content_ready(catalog: Service, owner: str = "ann", **changes: Any) -> MediaUploaded:
    upload = stories.uploaded(owner, **of_content(**changes))
    return await have(catalog, upload, made(upload, "optimised", "thumbnail"))


async def test_every_answer_of_content_is_told_of(catalog: Service) -> None:
    upload, theirs = await content_ready(catalog), await content_ready(catalog, "bob")
    names = {
        "ID": str(upload.id),
        "KEY": upload.key,
        "ABSENT": str(new_id()),
        "THEIRS": str(theirs.id),
        "ABOUT": ABOUT,
    }
    pending = stories.uploaded("ann", **of_content())
    await catalog.have(pending)
    names["PENDING"] = pending.key.replace(".jpg", "_thumb.jpg")
    cases: list[tuple[str, str, str, dict[str, Any], int]] = [
        ("GET", C, f"{C}/?page=1&page_size=2", {}, 200),
        ("GET", C, f"{C}/?page_size=101", {}, 422),
        ("GET", C, f"{C}/?uploaded_by=x", {}, 400),
        ("GET", C, C, {"headers": {"Authorization": "Bearer x"}}, 401),
        ("GET", OF_CONTENT, f"{C}/content/ABOUT/media", {}, 200),
        ("GET", OF_CONTENT, f"{C}/content/x/media", {}, 400),
        ("GET", ONE, f"{C}/ID", {}, 200),
        ("GET", ONE, f"{C}/ABSENT", {}, 404),
        ("GET", FILE, f"{C}/ID/download", {}, 200),
        ("HEAD", FILE, f"{C}/ID/download", {}, 200),
        ("GET", FILE, f"{C}/ID/download", {"headers": {"Range": "bytes=0-1"}}, 206),
        ("GET", FILE, f"{C}/ID/download", {"headers": {"If-None-Match": "*"}}, 304),
        ("GET", FILE, f"{C}/ID/download", {"headers": {"If-Match": '"x"'}}, 412),
        ("GET", FILE, f"{C}/ID/download", {"headers": {"Range": "bytes=99999999-"}}, 416),
        ("GET", FILE, f"{C}/ABSENT/download", {}, 404),
        ("GET", FILES, f"{C}/files/KEY", {}, 200),
        ("HEAD", FILES, f"{C}/files/KEY", {}, 200),
        ("GET", FILES, f"{C}/files/nothing", {}, 404),
        ("GET", FILES, f"{C}/files/PENDING", {}, 404),
        ("PUT", ONE, f"{C}/ID", {"json": {"filename": "x.jpg"}}, 200),
        ("PUT", ONE, f"{C}/ID", {"json": {"filename": "x.png"}}, 422),
        ("PUT", ONE, f"{C}/ID", {"content": b"{"}, 400),
        ("PUT", ONE, f"{C}/ID", {"content": b" " * 1_048_577}, 413),
        ("PUT", ONE, f"{C}/THEIRS", {"json": {}}, 403),
        ("PUT", ONE, f"{C}/ABSENT", {"json": {}}, 404),
        ("DELETE", ONE, f"{C}/THEIRS", {}, 403),
        ("DELETE", ONE, f"{C}/ID", {}, 200),
        ("DELETE", ONE, f"{C}/ID", {}, 404),
    ]
    document = (await catalog.nobody.get("/openapi.json")).json()
    async with catalog.caller("ann") as client:
        for method, route, path, request, status in cases:
            for name, value in names.items():
                path = path.replace(name, value)  # noqa: PLW2901 - one name at most
            answer = await client.request(method, path, **request)
            assert answer.status_code == status, (method, path, answer.text)
            check(document, method, route, answer)


async def test_until_it_is_optimised_the_original_stands_for_it(catalog: Service) -> None:
    upload = stories.uploaded("ann", **of_content(size=len(stories.BODY)))
    await catalog.store(upload)
    await catalog.have(upload)
    before = (await catalog.nobody.get(f"{C}/{upload.id}")).json()
    assert (before["file_size"], before["mime_type"]) == (upload.size, "image/jpeg")
    assert (before["width"], before["height"], before["thumbnail_url"]) == (None, None, None)
    assert (before["uploaded_by"], before["content_id"]) == (str(uuid_id("ann")), ABOUT)
    for path in (f"{C}/{upload.id}/download", before["url"].removeprefix(BASE)):
        assert (await catalog.nobody.get(path)).content == stories.BODY
    waiting = await catalog.nobody.get(before["url"].removeprefix(BASE).replace(".jpg", "_thumb.jpg"))
    assert (waiting.status_code, waiting.headers["retry-after"]) == (404, "2")

    await have(catalog, upload, made(upload, "optimised", "thumbnail"))
    after = (await catalog.nobody.get(f"{C}/{upload.id}")).json()
    assert (after["width"], after["height"], after["file_size"]) == (150, 100, len(stories.BODY))
    assert after["thumbnail_url"] == before["url"].replace(".jpg", "_thumb.jpg")
    for path in (f"{C}/{upload.id}/download", before["url"].removeprefix(BASE)):
        answer = await catalog.nobody.get(path)
        assert answer.content == stories.BODY[::-1]
        assert 'filename="photo.jpg"' in answer.headers["content-disposition"]


async def test_an_animation_has_no_optimised_file_and_is_its_own(catalog: Service) -> None:
    changes = {"mime_type": "image/gif", "filename": "moving.gif"}
    upload = stories.uploaded("ann", **of_content(**changes))
    await have(catalog, upload, made(upload, "thumbnail"))
    found = (await catalog.nobody.get(f"{C}/{upload.id}")).json()
    assert (found["mime_type"], found["width"], found["file_size"]) == ("image/gif", 401, upload.size)
    assert found["thumbnail_url"].endswith("_thumb.jpg")
    assert (await catalog.nobody.get(f"{C}/{upload.id}/download")).content == stories.BODY


async def test_durations_are_whole_seconds(catalog: Service) -> None:
    for length, seconds in ((12.6, 13), (12.4, 12), (0.5, 1), (1.5, 2), (2.5, 3)):
        upload = stories.uploaded("ann", **of_content(None, mime_type="video/mp4", media_type="video"))
        await have(catalog, upload, made(upload, duration=length))
        found = (await catalog.nobody.get(f"{C}/{upload.id}")).json()
        assert (found["duration"], found["content_id"], found["media_type"]) == (seconds, None, "video")


async def test_what_its_owner_closed_is_closed_here_too(catalog: Service) -> None:
    upload = await content_ready(catalog, is_public=False)
    async with catalog.caller("ann") as owner, catalog.caller("bob") as other:
        for path in (f"{C}/{upload.id}", f"{C}/{upload.id}/download", f"{C}/files/{upload.key}"):
            assert (await owner.get(path)).status_code == 200
            for client in (other, catalog.nobody):
                assert (await client.get(path)).status_code == 404
        for client, count in ((owner, 1), (other, 0)):
            assert (await client.get(C)).json()["total"] == count
            assert len((await client.get(f"{C}/content/{ABOUT}/media")).json()) == count
        assert (await catalog.nobody.get(f"{C}/content/{ABOUT}/media")).json() == []


async def test_every_answer_of_mediafiles_is_told_of(catalog: Service) -> None:
    upload = stories.uploaded("7", **of_mediafiles(41))
    await have(catalog, upload, made(upload, "thumbnail", "small", "medium", "large", "webp"))
    pending = stories.uploaded("7", **of_mediafiles(42))
    await catalog.have(pending)
    film = stories.uploaded("7", **of_mediafiles(44, mime_type="video/mp4", media_type="video"))
    await have(catalog, film, made(film, "mp4", "poster", "thumbnail"))
    plays = "/media/transcoded/{filename}"
    one, variant, original = (
        f"{M}/{{media_id}}",
        "/media/small/{filename}",
        "/media/{folder}/{file_type}/{filename}",
    )
    again = f"{M}/{{media_id}}/reprocess"
    cases: list[tuple[str, str, str, dict[str, Any], int]] = [
        ("GET", M, f"{M}/?type=image&status=ready", {}, 200),
        ("GET", M, f"{M}/?type=x", {}, 400),
        ("GET", M, f"{M}/?page=9", {}, 404),
        ("GET", M, M, {"headers": {"Authorization": "Bearer x"}}, 401),
        ("GET", f"{M}/stats", f"{M}/stats/", {}, 200),
        ("GET", one, f"{M}/41/", {}, 200),
        ("GET", one, f"{M}/43/", {}, 404),
        ("GET", variant, "/media/small/41_photo_small.jpg", {}, 200),
        ("HEAD", variant, "/media/small/41_photo_small.jpg", {}, 200),
        ("GET", variant, "/media/small/41_photo_small.jpg", {"headers": {"Range": "bytes=0-1"}}, 206),
        ("GET", variant, "/media/small/42_photo_small.jpg", {}, 404),
        ("GET", variant, "/media/small/43_photo_small.jpg", {}, 404),
        ("GET", one, f"{M}/44/", {}, 200),
        ("GET", plays, "/media/transcoded/44_photo_transcoded.mp4", {}, 200),
        ("GET", plays, "/media/transcoded/44_photo_transcoded.mp4", {"headers": {"Range": "bytes=0-1"}}, 206),
        ("GET", plays, "/media/transcoded/44_photo_transcoded.mp3", {}, 404),
        ("GET", plays, "/media/transcoded/41_photo_transcoded.mp4", {}, 404),
        ("GET", original, "/media/user_7/image/41_photo.jpg", {}, 200),
        ("GET", original, "/media/user_7/image/41_photo.jpg", {"headers": {"If-None-Match": "*"}}, 304),
        ("GET", original, "/media/user_8/image/41_photo.jpg", {}, 404),
        ("POST", again, f"{M}/41/reprocess/", {}, 202),
        ("POST", again, f"{M}/43/reprocess/", {}, 404),
        ("DELETE", one, f"{M}/41/", {}, 204),
        ("DELETE", one, f"{M}/41/", {}, 404),
    ]
    document = (await catalog.nobody.get("/openapi.json")).json()
    async with catalog.caller("7") as client:
        for method, route, path, request, status in cases:
            answer = await client.request(method, path, **request)
            assert answer.status_code == status, (method, path, answer.text)
            check(document, method, route, answer)


async def test_what_a_mediafile_will_never_have_has_no_address(catalog: Service) -> None:
    video = stories.uploaded("7", **of_mediafiles(51, mime_type="video/mp4", media_type="video"))
    broken, silent = (stories.uploaded("7", **of_mediafiles(number)) for number in (52, 53))
    await catalog.have(
        video, broken, stories.failed(broken), silent, made(silent, bitrate=128_000, duration=1.5)
    )
    async with catalog.caller("7") as client:
        for number, status in ((51, "processing"), (52, "failed"), (53, "ready")):
            found = (await client.get(f"{M}/{number}/")).json()
            original = found["urls"].pop("original")
            assert set(found["urls"].values()) == {None}
            assert (found["status"], found["thumbnail_url"]) == (status, None)
            assert found["display_url"] == original
        assert (found["bitrate"], found["duration"]) == (128_000, 1.5)
        stats = (await client.get(f"{M}/stats/")).json()
    assert stats["by_type"] == {"image": 2, "video": 1, "audio": 0}
    assert stats["by_status"] == {"ready": 1, "processing": 1, "failed": 1, "uploading": 0}


async def test_a_page_of_mediafiles_far_down_is_found(catalog: Service) -> None:
    await fill(catalog.database, 12_000, owner="7", profile="mediafiles", key="user_7/image/1_x.png")
    async with catalog.caller("7") as client:
        page = (await client.get(f"{M}/", params={"page": 120, "page_size": 100})).json()
        assert (page["count"], page["next"], len(page["results"])) == (12_000, None, 100)
        assert page["previous"] == f"{BASE}/api/media/?page_size=100&page=119"
        first = (await client.get(f"{M}/", params={"page_size": 0, "page": ""})).json()
        assert len(first["results"]) == 20


@pytest.mark.parametrize(
    ("off", "paths"),
    [
        ("content", (f"{C}/{uuid.uuid4()}", f"{C}/content/{ABOUT}/media", f"{C}/files/x_{'0' * 32}.jpg")),
        ("mediafiles", (f"{M}/", f"{M}/stats/", "/media/small/1_x_small.jpg", "/media/user_1/image/1_x.jpg")),
    ],
)
async def test_a_dialect_that_is_switched_off_has_no_address(
    settings: CatalogSettings, off: str, paths: tuple[str, ...]
) -> None:
    enabled = frozenset(name for name in ALL if name != off)
    changed = msgspec.structs.replace(settings, dialects=DialectSettings(enabled=enabled))
    async with serving(changed) as url, httpx.AsyncClient(base_url=url) as client:
        for path in paths:
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["detail"]) == (404, f"Nothing is at {path}.")
