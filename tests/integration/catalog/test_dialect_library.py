"""Who may do what with the library's files: with a token, without, and by the setting for those without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from shared import links
from shared.dialects.settings import ALL, DialectSettings
from shared.events.messages import MediaUploaded
from tests.fixtures.openapi import check
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, serving
from tests.integration.catalog.test_lists import fill

ONE, FILE = "/media/{media_id}", "/media/{media_id}/download"
LISTS = ("/media", "/media/user/7", "/media/type/image", "/media/public/list")


@asynccontextmanager
async def speaking(catalog: Service, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Another catalog over the same rows with these settings of dialects; nobody at it."""
    settings = msgspec.structs.replace(catalog.settings, dialects=DialectSettings(**changes))
    async with serving(settings) as url, httpx.AsyncClient(base_url=url, timeout=20) as nobody:
        yield nobody


@pytest.fixture
async def public(catalog: Service) -> MediaUploaded:
    """A public file of bob, who is user 7."""
    return await catalog.ready("bob", profile="library", is_public=True, owner_uid=7)


@pytest.fixture
async def private(catalog: Service) -> MediaUploaded:
    return await catalog.ready("bob", profile="library", owner_uid=7)


async def listed(client: httpx.AsyncClient, path: str) -> list[int]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()]


async def statuses(client: httpx.AsyncClient, number: int) -> list[int]:
    """Of reading, downloading, changing and deleting."""
    path = f"/media/{number}"
    return [
        (await client.get(path)).status_code,
        (await client.get(f"{path}/download")).status_code,
        (await client.patch(path, json={"alt_text": "x"})).status_code,
        (await client.delete(path)).status_code,
    ]


async def test_without_a_token_only_public_files_are_read(
    catalog: Service, public: MediaUploaded, private: MediaUploaded
) -> None:
    for path in LISTS:
        assert await listed(catalog.nobody, path) == [public.number], path
    assert await statuses(catalog.nobody, public.number) == [200, 200, 401, 401]
    assert await statuses(catalog.nobody, private.number) == [404, 404, 401, 401]
    refused = await catalog.nobody.get("/media/stats/info")
    assert (refused.status_code, refused.json()["detail"]) == (401, "Not authenticated")


async def test_a_user_sees_what_is_public_and_changes_only_their_own(
    catalog: Service, public: MediaUploaded, private: MediaUploaded
) -> None:
    own = await catalog.ready("ann", profile="library")
    async with catalog.caller("ann") as ann, catalog.caller("bob") as bob:
        assert await listed(ann, "/media") == [own.number, public.number]
        assert await listed(bob, "/media") == [private.number, public.number]
        assert await listed(bob, "/media/public/list") == [public.number]
        assert await statuses(ann, public.number) == [200, 200, 403, 403]
        assert await statuses(ann, private.number) == [404, 404, 404, 404]
        assert await statuses(ann, own.number) == [200, 200, 200, 200]


async def test_where_the_library_is_closed_everything_needs_a_token(
    catalog: Service, public: MediaUploaded
) -> None:
    async with speaking(catalog, anonymous="none") as nobody:
        for path in (*LISTS, "/media/stats/info"):
            assert (await nobody.get(path)).status_code == 401, path
        assert await statuses(nobody, public.number) == [401, 401, 401, 401]


async def test_where_the_library_is_open_everybody_reads_and_changes_its_files_and_no_others(
    catalog: Service, public: MediaUploaded, private: MediaUploaded
) -> None:
    foreign = await catalog.ready("bob", is_public=True)
    async with speaking(catalog, anonymous="full") as nobody:
        assert await listed(nobody, "/media") == [private.number, public.number]
        assert await statuses(nobody, foreign.number) == [404, 404, 404, 404]
        assert await statuses(nobody, private.number) == [200, 200, 200, 200]
        assert (await nobody.delete(f"/v1/media/{public.id}")).status_code == 401


async def test_a_store_without_a_folder_is_called_s3(catalog: Service) -> None:
    store = catalog.settings.store
    async with catalog.caller("ann") as ann:
        answer = await ann.get("/media/stats/info")
    assert answer.json() == {
        "backend": "s3", "bucket_name": store.bucket, "media_folder": None, "endpoint_url": store.endpoint,
    }  # fmt: skip


async def test_a_dialect_that_is_switched_off_answers_404(catalog: Service, public: MediaUploaded) -> None:
    token = {"Authorization": f"Bearer {catalog.token('ann')}"}
    of_personas = ("/media/files", "/media/files/1", "/media/download/1", "/media/stats")
    of_library = (*LISTS, f"/media/{public.number}", f"/media/{public.number}/download", "/media/stats/info")
    without = frozenset(ALL)
    async with speaking(catalog, enabled=without - {"library"}) as nobody:
        for path in of_library:
            assert (await nobody.get(path, headers=token)).status_code == 404, path
        for path in of_personas[:1]:
            assert (await nobody.get(path, headers=token)).status_code == 200, path
    async with speaking(catalog, enabled=without - {"personas"}) as nobody:
        for path in of_personas:
            assert (await nobody.get(path, headers=token)).status_code == 404, path
        for path in of_library:
            assert (await nobody.get(path, headers=token)).status_code == 200, path
        assert not [
            p for p in (await nobody.get("/openapi.json")).json()["paths"] if p.startswith("/media/files")
        ]


async def test_a_list_has_a_hundred_files_unless_asked_otherwise(catalog: Service) -> None:
    await fill(catalog.database, 101, profile="library", is_public=True, owner="7")
    for path in LISTS:
        assert len(await listed(catalog.nobody, path)) == 100, path
        assert len(await listed(catalog.nobody, f"{path}?limit=101")) == 101, path


async def test_a_presigned_url_works_for_an_hour_unless_asked_otherwise_and_is_made_by_who_may_read(
    catalog: Service, private: MediaUploaded
) -> None:
    path = f"/media/{private.number}/presigned"
    async with catalog.caller("bob") as bob, catalog.caller("ann") as ann:
        assert (await catalog.nobody.get(path)).status_code == 401
        assert (await ann.get(path)).status_code == 404
        for wrong in (0, -1, 7 * 24 * 3600 + 1, "soon"):
            assert (await bob.get(path, params={"expires_in": wrong})).status_code == 422
        link = (await bob.get(path)).json()
        week = (await bob.get(path, params={"expires_in": 7 * 24 * 3600})).json()
        window = catalog.settings.links.window
        assert 3600 - 5 <= link["expires_in"] <= 3600 + window
        assert 7 * 24 * 3600 - 5 <= week["expires_in"] <= 7 * 24 * 3600 + window
        ends = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
        assert abs(ends.total_seconds() - link["expires_in"]) < 10
        url = link["url"].removeprefix(catalog.settings.http.base_url)
        shown = await catalog.nobody.get(url, headers={"Range": "bytes=1-3"})
        assert (shown.status_code, shown.content) == (206, stories.BODY[1:4])
        assert (await catalog.nobody.get(url.replace("expires=", "expires=9"))).status_code == 403
        signed, _ = links.sign(catalog.settings.links, url.partition("?")[0], seconds=1, now=1_700_000_000)
        assert (await catalog.nobody.get(signed)).status_code == 403, "it is over"
        await bob.delete(f"/media/{private.number}")
        assert (await catalog.nobody.get(url)).status_code == 404


CASES: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("GET", "/media", "/media/", {}, 200),
    ("GET", "/media", "/media?limit=-1", {}, 422),
    ("GET", "/media", "/media", {"headers": {"Authorization": "Bearer x"}}, 401),
    ("GET", "/media/user/{user_id}", "/media/user/7", {}, 200),
    ("GET", "/media/user/{user_id}", "/media/user/me", {}, 422),
    ("GET", "/media/type/{file_type}", "/media/type/image", {}, 200),
    ("GET", "/media/type/{file_type}", "/media/type/smell", {}, 422),
    ("GET", "/media/public/list", "/media/public/list", {}, 200),
    ("GET", "/media/stats/info", "/media/stats/info", {}, 200),
    ("GET", ONE, "/media/NUMBER", {}, 200),
    ("GET", ONE, "/media/999999", {}, 404),
    ("GET", FILE, "/media/NUMBER/download", {}, 200),
    ("HEAD", FILE, "/media/NUMBER/download", {}, 200),
    ("GET", FILE, "/media/NUMBER/download", {"headers": {"Range": "bytes=0-1"}}, 206),
    ("GET", FILE, "/media/NUMBER/download", {"headers": {"If-None-Match": "*"}}, 304),
    ("GET", FILE, "/media/NUMBER/download", {"headers": {"If-Match": '"x"'}}, 412),
    ("GET", FILE, "/media/NUMBER/download", {"headers": {"Range": "bytes=99999999-"}}, 416),
    ("GET", f"{ONE}/presigned", "/media/NUMBER/presigned", {}, 200),
    ("GET", f"{ONE}/presigned", "/media/NUMBER/presigned?expires_in=0", {}, 422),
    ("GET", f"{ONE}/presigned", "/media/999999/presigned", {}, 404),
    ("PATCH", ONE, "/media/NUMBER", {"json": {"alt_text": "x"}}, 200),
    ("PATCH", ONE, "/media/NUMBER", {"content": b"{"}, 400),
    ("PATCH", ONE, "/media/NUMBER", {"content": b" " * 1_048_577}, 413),
    ("PATCH", ONE, "/media/NUMBER", {"json": {"is_public": "x"}}, 422),
    ("DELETE", ONE, "/media/NUMBER", {}, 200),
    ("DELETE", ONE, "/media/NUMBER", {}, 404),
]


async def test_every_answer_of_the_library_is_told_of(catalog: Service, public: MediaUploaded) -> None:
    document = (await catalog.nobody.get("/openapi.json")).json()
    async with catalog.caller("bob") as bob:
        for method, route, path, request, status in CASES:
            answer = await bob.request(method, path.replace("NUMBER", str(public.number)), **request)
            assert answer.status_code == status, (method, path, answer.text)
            check(document, method, route, answer)
