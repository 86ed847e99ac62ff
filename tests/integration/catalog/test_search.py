"""Searches over HTTP: pages, rights, and what a filter is refused for."""

from typing import Any

import httpx
import pytest

from services.catalog import candidates
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import fill


def field(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


async def found(client: httpx.AsyncClient, **body: Any) -> list[list[dict[str, Any]]]:
    """All pages."""
    pages = []
    while True:
        answer = await client.post("/v1/media/search", json=body)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["items"])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return pages
        body["cursor"] = cursor


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
async def test_a_search_looks_at_so_many_rows_a_page_and_finds_all_in_order(
    catalog: Service, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(candidates, "READ_AT_MOST", 10)
    await fill(catalog.database, 23, size=1)
    await fill(catalog.database, 4, size=2)
    await fill(catalog.database, 30, "bob", size=2)
    await fill(catalog.database, 3, "bob", size=2, is_public=True)
    async with catalog.caller("ann") as ann:
        pages = await found(ann, filter=field("size", "eq", 2), sort=sort, limit=3)
        listed = await found(ann, sort=sort, limit=200)
    items = [item for page in pages for item in page]
    assert [i["id"] for i in items] == [i["id"] for page in listed for i in page if i["size"] == 2]
    assert len(items) == 7
    assert max(map(len, pages)) <= 3
    # Every page moves on, also one that has found nothing.
    assert len(pages) >= 3


async def test_a_digest_is_found_at_once_however_far_it_lies(
    catalog: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "READ_AT_MOST", 2)
    await fill(catalog.database, 1, sha256="f" * 64)
    await fill(catalog.database, 20)
    async with catalog.caller("ann") as ann:
        pages = await found(
            ann, filter={"and": [field("sha256", "eq", "f" * 64), field("size", "lt", 9)]}, sort="-created_at"
        )
    assert [len(page) for page in pages] == [1]


async def test_where_a_picture_was_taken_is_found_by_those_who_may_change_it_alone(catalog: Service) -> None:
    gps = {"gps": {"latitude": 52.5, "longitude": 13.4}}
    await fill(catalog.database, 2, "ann", exif=gps, is_public=True)
    near = field("gps", "within", {"near": [52.5, 13.4], "radius": 1000})
    for sub, count in (("ann", 2), ("bob", 0)):
        async with catalog.caller(sub) as client:
            assert [len(page) for page in await found(client, filter=near)] == [count]
            nowhere = await found(client, filter=field("gps", "is_null", value=True))
            assert [len(page) for page in nowhere] == [2 - count]
    assert [len(page) for page in await found(catalog.nobody, filter={"not": near})] == [2]


async def test_a_filter_that_cannot_be_answered_is_a_problem_that_names_the_place(catalog: Service) -> None:
    asked = {"and": [field("size", "eq", 1), field("size", "eq", "one")]}
    answer = await catalog.nobody.post("/v1/media/search", json={"filter": asked})
    assert answer.status_code == 422
    assert answer.json()["field"] == "filter.and[1].value"
    assert "a whole number" in answer.json()["detail"]
