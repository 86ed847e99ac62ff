"""What the older APIs ask the catalog: pages by offset, counts, single media by number, each within its profiles."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from services.catalog import queries
from services.catalog.database import Database
from services.catalog.projector import project
from services.catalog.queries import Filters
from shared.auth import Caller
from shared.dialects.users import uuid_id
from shared.dialects.view import View
from shared.events.messages import MediaUploaded
from tests.integration.catalog import stories
from tests.integration.catalog.test_lists import START, fill, touched

BASE = "http://origin.test"
ANN, BOB, NOBODY = Caller(sub="ann"), Caller(sub="bob"), Caller()
SERVICE = Caller(sub="back end", roles=frozenset({"service"}))


async def have(database: Database, *uploads: MediaUploaded) -> None:
    for sequence, upload in enumerate(uploads, 1):
        await project(database, upload, sequence=upload.number * 1000 + sequence, base_url=BASE)


async def page(database: Database, caller: Caller, filters: Filters, **how: Any) -> list[View]:
    asked = {"sort": "-created_at", "offset": 0, "limit": 100, **how}
    async with database.reading() as connection:
        return await queries.offset_page(connection, caller, filters, base_url=BASE, **asked)


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
@pytest.mark.parametrize("caller", [ANN, SERVICE], ids=["ann", "service"])
async def test_pages_by_offset_together_are_the_list_in_order(
    database: Database, sort: str, caller: Caller
) -> None:
    await fill(database, 15, "ann", profile="library")
    await fill(database, 10, "bob", profile="library", is_public=True)
    await fill(database, 10, "ann", profile="library", is_public=True)
    await fill(database, 5, "ann", profile="content")
    filters = Filters(profiles=("library",))
    found = [
        view
        for offset in range(0, 42, 7)
        for view in await page(database, caller, filters, sort=sort, offset=offset, limit=7)
    ]
    places = [(view.media.created_at, view.media.id) for view in found]
    assert len(set(places)) == 35
    assert places == sorted(places, reverse=sort.startswith("-"))
    async with database.reading() as connection:
        assert await queries.count(connection, caller, filters) == 35
        assert await queries.count(connection, NOBODY, filters) == 20


async def test_a_page_deeper_than_ten_thousand_rows_is_found(database: Database) -> None:
    await fill(database, 12_000, "ann", profile="mediafiles", is_public=True)
    for caller in (ANN, NOBODY):
        (last,) = await page(database, caller, Filters(profiles=("mediafiles",)), offset=11_999, limit=20)
        assert last.media.created_at == START + timedelta(seconds=0.5)
        assert await page(database, caller, Filters(profiles=("mediafiles",)), offset=12_000) == []


async def test_each_filter_narrows(database: Database) -> None:
    here = stories.uploaded("7", profile="avatar", entity=stories.link("1"), owner_uid=9)
    by_uid = stories.uploaded("eve", profile="cover", owner_uid=7)
    other = stories.uploaded("ann", profile="persona", entity=stories.link("1", field="cover"))
    await have(database, here, by_uid, other)
    expected = [
        (Filters(), [other, by_uid, here]),
        (Filters(profiles=("persona",)), [other]),
        (Filters(profiles=("avatar", "cover")), [by_uid, here]),
        (Filters(entity_type="post", entity_id="1", entity_field="cover"), [other]),
        (Filters(owner_uid_or_sub=7), [by_uid, here]),
        (Filters(owner_uid_or_sub=9), []),  # whose sub is a number is known by it alone
        (Filters(owner_uuid=uuid_id("ann")), [other]),
        (Filters(ids=(here.id, other.id)), [other, here]),
        (Filters(ids=()), []),
        (Filters(created_before=by_uid.created_at), [here]),
    ]
    for filters, uploads in expected:
        found = await page(database, SERVICE, filters)
        assert [view.media.id for view in found] == [upload.id for upload in uploads], filters
        async with database.reading() as connection:
            assert await queries.count(connection, SERVICE, filters) == len(uploads), filters


async def test_one_is_found_by_number_or_id_within_the_profiles_and_the_rights_of_the_caller(
    database: Database,
) -> None:
    upload = stories.uploaded("ann", profile="persona", owner_uid=3, owner_name="Ann")
    await have(database, upload)
    ours, theirs = Filters(profiles=("persona",)), Filters(profiles=("library",))
    async with database.reading() as connection:

        async def found(caller: Caller, filters: Filters, **which: Any) -> View | None:
            return await queries.find_view(connection, caller, filters=filters, base_url=BASE, **which)

        view = await found(ANN, ours, number=upload.number)
        assert view is not None
        assert view == await found(ANN, ours, media_id=upload.id)
        assert (view.media.id, view.key, view.owner_uid, view.owner_name) == (upload.id, upload.key, 3, "Ann")
        for caller, filters in ((BOB, ours), (NOBODY, ours), (ANN, theirs)):
            assert await found(caller, filters, number=upload.number) is None
            assert await found(caller, filters, media_id=upload.id) is None
        for number in (upload.number + 1, -1, 2**63, 10**30):
            assert await found(ANN, ours, number=number) is None
        assert await found(ANN, ours) is None


async def test_that_there_is_one_is_told_whoever_asks_but_only_within_the_profiles(
    database: Database,
) -> None:
    upload = stories.uploaded("ann", profile="content")
    await have(database, upload)
    ours, theirs = Filters(profiles=("content",)), Filters(profiles=("library",))
    async with database.reading() as connection:
        assert await queries.exists_elsewhere(connection, filters=ours, media_id=upload.id)
        assert await queries.exists_elsewhere(connection, filters=ours, number=upload.number)
        assert not await queries.exists_elsewhere(connection, filters=theirs, media_id=upload.id)
        assert not await queries.exists_elsewhere(connection, filters=ours, media_id=uuid.uuid4())
        assert not await queries.exists_elsewhere(connection, filters=ours, number=10**30)


async def test_how_a_media_was_made_is_shown_only_to_those_who_may_change_it(database: Database) -> None:
    upload = stories.uploaded("ann", profile="content", is_public=True)
    await have(database, upload)
    await project(database, stories.processed(upload), sequence=1, base_url=BASE)
    (own,) = await page(database, ANN, Filters(profiles=("content",)))
    (public,) = await page(database, NOBODY, Filters(profiles=("content",)))
    assert (own.media.warnings, own.media.timings) == (("odd",), {"decode": 1.5})
    assert (public.media.warnings, public.media.timings) == ((), {})


async def test_a_page_by_offset_reads_what_it_skips_and_shows_and_no_more(database: Database) -> None:
    for owner in ("bob", "cleo"):
        await fill(database, 10_000, owner)
    await fill(database, 100, "7", profile="persona", created_at=START)
    await fill(database, 100, "dan", profile="persona", owner_uid=8, created_at=START)
    await fill(database, 100, "ann", profile="persona", created_at=START)
    asked = {
        "profile": (SERVICE, Filters(profiles=("persona",))),
        "profile and type": (SERVICE, Filters(profiles=("persona",), media_type="image")),
        "sub": (SERVICE, Filters(owner_uid_or_sub=7, profiles=("persona",))),
        "uid": (SERVICE, Filters(owner_uid_or_sub=8, profiles=("persona",))),
        "uuid": (SERVICE, Filters(owner_uuid=uuid_id("ann"))),
        "own": (ANN, Filters(owner="ann", profiles=("persona",))),
        "readable": (ANN, Filters(profiles=("persona",))),
    }
    async with database.writing(tell=False) as connection:
        await connection.exec_driver_sql("ANALYZE media, entities")
        for name, (caller, filters) in asked.items():
            listing = queries.offset_listing(caller, filters, sort="-created_at", offset=40, limit=20)
            compiled = listing.compile(dialect=connection.dialect)
            plan = await connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}", compiled.params
            )
            top = plan.scalar_one()[0]["Plan"]
            assert top["Actual Rows"] == 20, name
            assert 20 < touched(top) < 1000, (name, top)
