"""Lists: order, pages that stay in place, filters, counts."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, literal, select

from services.catalog import cursors, queries
from services.catalog.database import Database
from services.catalog.models import media
from services.catalog.queries import Filters
from shared.auth import Caller
from shared.dialects.users import uuid_id
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

_blocks = itertools.count(10**6, 10**6)
START = datetime(2026, 1, 1, tzinfo=UTC)


async def fill(database: Database, count: int, owner: str = "ann", **values: Any) -> None:
    """Rows without events, two of each moment."""
    number = func.generate_series(1, count).table_valued("n").render_derived().c.n
    row = {
        "id": func.uuidv7(),
        "number": number + next(_blocks),
        "owner": literal(owner),
        "owner_uuid": literal(uuid_id(owner)),
        "profile": literal("default"),
        "recipe": literal("standard"),
        "key": literal("k"),
        "filename": literal("f"),
        "mime_type": literal("image/png"),
        "media_type": literal("image"),
        "size": literal(1),
        "sha256": literal("0" * 64),
        "created_at": literal(START) + (number / 2) * literal(timedelta(seconds=1)),
        "is_public": literal(value=False),
        "generation": literal(1),
        "status": literal("ready"),
        "status_at": literal(START),
    } | {name: literal(value, media.c[name].type) for name, value in values.items()}
    async with database.writing() as connection:
        await connection.execute(media.insert().from_select(list(row), select(*row.values())))


async def pages(client: httpx.AsyncClient, **params: Any) -> list[list[dict[str, Any]]]:
    """All pages, following the Link header."""
    found = []
    answer = await client.get("/v1/media", params=params)
    while True:
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        if "next" not in answer.links:
            assert answer.json()["next_cursor"] is None
            return found
        url = answer.links["next"]["url"]
        assert url.startswith("http://origin.test/v1/media?")
        assert answer.json()["next_cursor"] in url
        answer = await client.get(url.removeprefix("http://origin.test"))


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
async def test_pages_together_are_the_whole_list_in_order(catalog: Service, sort: str) -> None:
    await fill(catalog.database, 25)
    async with catalog.caller("ann") as ann:
        found = await pages(ann, sort=sort, limit=7)
    assert [len(page) for page in found] == [7, 7, 7, 4]
    items = [(datetime.fromisoformat(item["created_at"]), item["id"]) for page in found for item in page]
    assert len(set(items)) == 25
    assert items == sorted(items, reverse=sort.startswith("-"))


async def test_pages_stay_in_place_while_rows_come_and_go(catalog: Service) -> None:
    await fill(catalog.database, 20)
    async with catalog.caller("ann") as ann:
        first = await page(ann, limit=5)
        before = [item["id"] for item in (await page(ann, limit=200))["items"]]
        await fill(catalog.database, 10, created_at=START + timedelta(days=1))
        gone = await ann.delete(f"/v1/media/{first['items'][-1]['id']}")
        assert gone.status_code == 204, gone.text
        second = await page(ann, limit=5, cursor=first["next_cursor"])
    assert [item["id"] for item in second["items"]] == before[5:10]


async def page(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/v1/media", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_filters_narrow_the_list(catalog: Service) -> None:
    async with catalog.caller("svc", "service") as service:
        await service.put("/v1/entities/post/1", json={"owners": ["ann"]})
    plain = stories.uploaded()
    public = stories.uploaded(is_public=True)
    video = stories.uploaded(media_type="video", mime_type="video/mp4")
    hung = stories.uploaded(entity=stories.link())
    other = stories.uploaded("bob", sha256="b" * 64)
    await catalog.have(plain, public, video, hung, other, stories.processed(public))
    expected = {
        "media_type=video": [video],
        "status=ready": [public],
        "status=uploading": [],
        "entity_type=post&entity_id=1": [hung],
        "entity_type=post&entity_id=2": [],
        "owner=ann&is_public=true": [public],
        "owner=ann&is_public=false&sort=created_at": [plain, video, hung],
        "owner=bob": [],
        f"sha256={plain.sha256}": [hung, video, public, plain],
        f"sha256={'a' * 64}": [],
        f"sha256={other.sha256}": [],
    }
    async with catalog.caller("ann") as ann:
        for query, uploads in expected.items():
            items = (await ann.get(f"/v1/media?{query}")).json()["items"]
            assert [item["id"] for item in items] == [str(upload.id) for upload in uploads], query


async def test_counts_are_exact_capped_or_estimated(catalog: Service) -> None:
    await fill(catalog.database, 30)
    await fill(catalog.database, 12, "bob")

    async def count(client: httpx.AsyncClient, kind: str) -> dict[str, Any]:
        answer = await client.get("/v1/media", params={"count": kind, "limit": 1})
        found: dict[str, Any] = answer.json()["count"]
        return found

    async with catalog.caller("ann") as ann, catalog.caller("root", "admin") as admin:
        assert await count(ann, "exact") == {"value": 30, "kind": "exact"}
        assert await count(ann, "capped") == {"value": 30, "kind": "capped"}
        assert await count(ann, "estimated") == {"value": 30, "kind": "capped"}
        assert await count(admin, "exact") == {"value": 42, "kind": "exact"}
        estimate = await count(admin, "estimated")
        assert estimate["kind"] == "estimated"
        assert estimate["value"] >= 1
        assert "count" not in (await ann.get("/v1/media")).json()


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("limit=0", 422, "limit"),
        ("limit=201", 422, "limit"),
        ("limit=x", 422, "limit"),
        ("sort=colour", 422, "sort"),
        ("status=done", 422, "status"),
        ("count=about", 422, "count"),
        ("cursor=abc", 422, "cursor"),
        ("owner=%00", 422, "owner"),
        ("is_public=perhaps", 422, "is_public"),
        ("sha256=abc", 422, "sha256"),
    ],
)
async def test_a_wrong_parameter_is_named(catalog: Service, query: str, status: int, word: str) -> None:
    answer = await catalog.nobody.get(f"/v1/media?{query}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]


async def test_somebody_who_may_see_few_of_many_rows_does_not_wait_for_the_many(database: Database) -> None:
    for owner in ("bob", "cleo"):
        await fill(database, 10_000, owner)
    await fill(database, 100, "ann", created_at=START)
    await fill(database, 100, "bob", created_at=START, is_public=True)
    await fill(database, 100, "bob", created_at=START, entity_type="post", entity_id="1")
    async with database.writing(tell=False) as connection:
        await connection.exec_driver_sql(
            "INSERT INTO entities SELECT 'post', n::text, ARRAY['o' || n], '{}', NULL, 1, false, now() "
            "FROM generate_series(2, 5000) n"
        )
        await connection.exec_driver_sql(
            "INSERT INTO entities VALUES ('post', '1', ARRAY['ann'], '{}', NULL, 1, false, now())"
        )
        await connection.exec_driver_sql("ANALYZE media, entities")
        place = cursors.place("-created_at", START + timedelta(days=1), uuid.UUID(int=0))
        for after in (None, place):
            asked = queries.listing(
                Caller(sub="ann"), Filters(), sort="-created_at", limit=51, after=after
            ).compile(dialect=connection.dialect)
            plan = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked}", asked.params)
            top = plan.scalar_one()[0]["Plan"]
            assert top["Actual Rows"] == 51
            assert 100 < touched(top) < 1000, top


def touched(plan: dict[str, Any]) -> float:
    """How many rows of media all steps of a plan looked at."""
    own = (
        plan.get("Relation Name") == "media"
        and (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    )
    return float(own + sum(touched(step) for step in plan.get("Plans", ())))
