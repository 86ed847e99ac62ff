"""Lists in every order: whole, each media once, in place while others come, and of what the caller may see alone."""

import functools
import itertools
import random
from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest
from sqlalchemy import select

from services.catalog import candidates
from services.catalog.candidates import Search
from services.catalog.cursors import Place
from services.catalog.database import Database
from services.catalog.filters.language import Condition
from services.catalog.models import media
from services.catalog.orders import ORDERS
from services.catalog.queries import Filters
from services.catalog.rights import readable
from services.catalog.schemas import Sort
from services.catalog.search import as_filter, sorted_page
from shared.auth import ANONYMOUS, Caller
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import START, fill, pages

CALLERS = {
    "ann": Caller(sub="ann"),
    "nobody": ANONYMOUS,
    "one who sees all": Caller(sub="back end", roles=frozenset({"service"})),
}
SORTS: tuple[Sort, ...] = get_args(Sort)


def test_every_order_that_can_be_asked_for_is_there() -> None:
    assert set(SORTS) == set(ORDERS)


@pytest.fixture
async def filled(database: Database) -> Database:
    """Forty media of three owners, many of them alike in everything but the id."""
    chance = random.Random(3)
    for _ in range(40):
        await fill(
            database,
            1,
            chance.choice(["ann", "bob", "eve"]),
            size=chance.randint(1, 4),
            filename=chance.choice(["B.png", "a.png", "C.png"]),
            taken_at=chance.choice([None, "2026-01-02T03:04:05", "2026-01-02T03:04:06+01:00", "2025-01"]),
            duration=chance.choice([None, 0.0, 1.5, 1.25]),
            created_at=START + timedelta(seconds=chance.randint(1, 9)),
            is_public=chance.random() < 0.6,
            media_type=chance.choice(["image", "video"]),
        )
    return database


def key(sort: str, row: Any) -> tuple[Any, ...]:
    name = sort.removeprefix("-")
    least = {"taken_at": "", "duration": -1.0}
    value = row[name] if row[name] is not None else least[name]
    if isinstance(value, str):
        value = value.lower() if name == "filename" else value[:19]
    return (value, row["id"])


async def listed(
    database: Database, caller: Caller, filters: Filters, sort: Sort, limit: int
) -> list[list[Any]]:
    """Ids by page, while others' media come."""
    found: list[list[Any]] = []
    after: Place | None = None
    while not found or after is not None:
        search = Search(caller=caller, asked=as_filter(filters), sort=sort, limit=limit, after=after)
        page = await sorted_page(database, search, "http://origin.test")
        found.append([item.id for item in page.items])
        after = page.end
        await fill(database, 1, "eve", size=2, duration=1.5)
    return found


@pytest.mark.parametrize("name", CALLERS)
@pytest.mark.parametrize("way", ["all of them", "along the index"])
async def test_the_pages_of_every_order_are_the_whole_list_each_media_once(
    filled: Database, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    if way == "along the index":
        monkeypatch.setattr(candidates, "RARE", 1)
        monkeypatch.setattr(candidates, "READ_AT_MOST", 9)
    caller, filters = CALLERS[name], Filters(media_type="video")
    async with filled.reading() as connection:
        visible = select(media).where(readable(caller), media.c.media_type == "video")
        rows = (await connection.execute(visible)).mappings().all()
    assert len(rows) > 8
    for sort in SORTS[list(CALLERS).index(name) :: len(CALLERS)]:  # each for somebody else
        pages_of = await listed(filled, caller, filters, sort, 4)
        expected = [row["id"] for row in sorted(rows, key=functools.partial(key, sort))]
        if sort.startswith("-"):
            expected.reverse()
        assert list(itertools.chain(*pages_of)) == expected, sort
        assert max(map(len, pages_of)) <= 4


async def test_a_short_page_ends_at_a_media_that_the_caller_may_see(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "RARE", 1)
    monkeypatch.setattr(candidates, "READ_AT_MOST", 9)
    for number in range(4):
        await fill(database, 1, "bob", filename=f"{number} bob's")
        await fill(database, 6, "ann", filename=f"{number} of ann's illness")
    async with database.reading() as connection:
        bobs = set(await connection.scalars(select(media.c.id).where(media.c.owner == "bob")))
    search = Search(
        caller=Caller(sub="bob"),
        asked=Condition(name="filename", operator="eq", value="nope"),
        sort="filename",
        limit=5,
    )
    ends: list[Place] = []
    while (page := await sorted_page(database, search, "http://origin.test")).end is not None:
        ends.append(page.end)
        search = msgspec.structs.replace(search, after=page.end)
    assert len(ends) > 2
    assert {end.id for end in ends} <= bobs


async def test_a_list_in_another_order_is_linked_page_by_page_and_its_cursor_is_of_that_order(
    catalog: Service,
) -> None:
    for size in (3, 1, 2, 5, 4):
        await fill(catalog.database, 1, size=size)
    await fill(catalog.database, 3, "bob", size=9)
    async with catalog.caller("ann") as ann:
        found = await pages(ann, sort="-size", limit=2, count="exact")
        assert [[item["size"] for item in page] for page in found] == [[5, 4], [3, 2], [1]]
        first = (await ann.get("/v1/media", params={"sort": "-size", "limit": 2})).json()
        wrong = await ann.get("/v1/media", params={"sort": "size", "cursor": first["next_cursor"]})
        forged = await ann.get(
            "/v1/media", params={"sort": "-size", "cursor": "A" + first["next_cursor"][1:-1] + "A"}
        )
        unknown = await ann.get("/v1/media", params={"sort": "colour"})
    assert [(one.status_code, one.json()["field"]) for one in (wrong, forged, unknown)] == [
        (422, "cursor"), (422, "cursor"), (422, "sort"),
    ]  # fmt: skip
    assert "-updated_at" in unknown.json()["detail"]
