"""Statistics come from tallies that are kept with the rows: exact at every moment, whatever happens to the rows."""

import asyncio
import random
from datetime import UTC, datetime

import pytest
from sqlalchemy import text, update

from services.catalog import counters
from services.catalog.database import COUNTER, Database, DatabaseSettings, try_lock
from services.catalog.downloads import Downloads
from services.catalog.models import downloads, media, tally_changes
from services.catalog.statistics import amounts, entity_amounts
from shared.auth import Caller
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_lists import fill

EVERYBODY = Caller(sub="back end", roles=frozenset({"service"}))
TRUTH = text(
    "SELECT owner, media_type, status, count(*), sum(size)::bigint, sum(variant_count)::bigint,"
    " sum(variant_bytes)::bigint FROM media GROUP BY 1, 2, 3"
)


async def agree(database: Database) -> None:
    async with database.reading() as connection:
        told = await amounts(connection, EVERYBODY, by=("owner", "media_type", "status"))
        rows = {tuple(row[:3]): tuple(row[3:]) for row in await connection.execute(TRUTH)}
    assert {key: (a.objects, a.bytes, a.variants, a.variant_bytes) for key, a in told.items()} == rows
    assert await counters.recount(database, repair=False) == []


async def test_the_tallies_are_those_of_the_rows_before_and_after_they_are_added_up(
    database: Database,
) -> None:
    await fill(database, 40, "ann", size=7)
    await fill(database, 30, "bob", size=5, media_type="video", entity_type="post", entity_id="1")
    chance = random.Random(1)
    for _ in range(12):
        async with database.writing() as connection:
            some = media.c.number % chance.randrange(2, 9) == 0
            match chance.randrange(4):
                case 0:
                    await connection.execute(
                        update(media).where(some).values(status=chance.choice(["ready", "failed"]))
                    )
                case 1:
                    await connection.execute(
                        update(media).where(some).values(variant_count=2, variant_bytes=9)
                    )
                case 2:
                    await connection.execute(
                        update(media).where(some).values(entity_type="post", entity_id="2")
                    )
                case _:
                    await connection.execute(
                        media.delete().where(media.c.number % 31 == chance.randrange(31))
                    )
        await agree(database)
        if chance.random() < 0.5:
            async with database.writing() as connection:
                await counters.add_up(connection)
            await agree(database)
    async with database.writing() as connection:
        await connection.execute(media.delete())
    await agree(database)


async def test_an_edit_that_counts_nothing_notes_nothing(database: Database) -> None:
    await fill(database, 3)
    async with database.writing() as connection:
        await counters.add_up(connection)
        await connection.execute(update(media).values(caption="At sea", is_public=True))
        assert (await connection.execute(tally_changes.select())).all() == []


async def test_changes_at_once_wait_for_nobody_and_none_is_lost(database: Database) -> None:
    await fill(database, 60)

    async def change(rest: int) -> None:
        for status in ("failed", "ready", "failed"):
            async with database.writing() as connection:
                await connection.execute(
                    update(media).where(media.c.number % 3 == rest).values(status=status)
                )

    async def add_up() -> None:
        for _ in range(5):
            async with database.writing() as connection:
                await counters.add_up(connection)

    await asyncio.gather(*(change(rest) for rest in range(3)), add_up())
    await agree(database)


async def test_recount_finds_and_mends_what_somebody_altered_past_the_trigger(database: Database) -> None:
    await fill(database, 5, size=3, entity_type="post", entity_id="1")
    async with database.writing() as connection:
        await counters.add_up(connection)
        await connection.execute(text("UPDATE tallies SET objects = objects + 2"))
        await connection.execute(text("DELETE FROM entity_tallies"))
    found = await counters.recount(database, repair=True)
    assert [(one.table, one.objects, one.bytes) for one in found] == [
        ("tallies", -2, 0),
        ("entity_tallies", 5, 15),
    ]
    assert found[0].key["owner"] == "ann"
    await agree(database)
    async with database.reading() as connection:
        assert (await entity_amounts(connection, "post", "1"))[()].objects == 5


async def test_two_recounts_do_not_run_beside_each_other(database: Database) -> None:
    async with database.writing() as connection:
        assert await try_lock(connection, COUNTER)
        with pytest.raises(counters.Busy):
            await counters.recount(database, repair=True, patience=0.1)


async def test_an_owner_is_told_what_they_have_and_others_are_not(catalog: Service) -> None:
    upload = await catalog.ready("ann", entity=stories.link())
    await catalog.ready("bob")
    async with catalog.caller("svc", "service") as service:
        await service.put("/v1/entities/post/1", json={"owners": ["cleo"]})
    async with (
        catalog.caller("ann") as ann,
        catalog.caller("cleo") as cleo,
        catalog.caller("m", "moderator") as all_,
    ):
        mine = (await ann.get("/v1/stats")).json()
        assert mine["total"]["objects"] == 1
        assert mine["total"]["bytes"] == upload.size
        assert mine["total"]["variants"] > 0
        assert mine["by_media_type"].keys() == {"image"}
        assert mine["by_status"].keys() == {"ready"}
        assert mine["by_entity_type"].keys() == {"post"}
        assert mine["by_month"].keys() == {f"{datetime.now(UTC):%Y-%m}"}
        assert mine["by_owner"] == {}
        stored = (await ann.get("/v1/stats/storage")).json()
        assert stored["originals"] == upload.size
        assert stored["total"] == stored["originals"] + stored["variants"] > stored["originals"]
        for path in ("/v1/stats", "/v1/stats/storage"):
            assert (await ann.get(path, params={"owner": "bob"})).status_code == 403
            assert (await ann.get(path, params={"owner": "ann"})).status_code == 200
            assert (await catalog.nobody.get(path)).status_code == 401
        everything = (await all_.get("/v1/stats")).json()
        assert everything["total"]["objects"] == 2
        assert {name: one["objects"] for name, one in everything["by_owner"].items()} == {"ann": 1, "bob": 1}
        assert (await all_.get("/v1/stats", params={"owner": "bob"})).json()["total"]["objects"] == 1
        of_entity = {"entity_type": "post", "entity_id": "1"}
        assert (await cleo.get("/v1/stats", params=of_entity)).json()["by_status"]["ready"]["objects"] == 1
        assert (await ann.get("/v1/stats", params=of_entity)).status_code == 404
        assert (await ann.get("/v1/stats", params={"entity_type": "post"})).status_code == 422


async def counted(catalog: Service) -> dict[str, int]:
    return {str(row["media_id"]): row["count"] for row in await catalog.rows("downloads")}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a catalog starts to wait."""
    monkeypatch.setattr("services.catalog.downloads.PAUSE_SECONDS", 0.05)


async def test_downloads_are_counted_by_the_batch_and_the_most_wanted_come_first(catalog: Service) -> None:
    less, more = await catalog.ready(is_public=True), await catalog.ready(is_public=True)
    async with catalog.caller("ann") as ann:
        for upload, times in ((less, 1), (more, 3)):
            path = f"/v1/media/{upload.id}/download"
            for _ in range(times):
                assert (await ann.get(path)).status_code == 200
            # None of these is a download.
            await ann.head(path)
            await ann.get(path, headers={"Range": "bytes=5-9"})
            await ann.get(path, headers={"If-None-Match": "*"})

        async def written() -> bool:
            return await counted(catalog) == {str(less.id): 1, str(more.id): 3}

        await eventually_async(written, "the downloads to be written")
        top = (await ann.get("/v1/stats")).json()["top_downloads"]
        assert [(one["media"]["id"], one["downloads"]) for one in top] == [
            (str(more.id), 3),
            (str(less.id), 1),
        ]
    async with catalog.caller("bob") as bob:
        assert (await bob.get("/v1/stats")).json()["top_downloads"] == []


async def test_counts_wait_while_the_database_is_down_and_those_of_deleted_media_are_dropped(
    database: Database,
) -> None:
    await fill(database, 1)
    async with database.reading() as connection:
        (known,) = (await connection.scalars(media.select().with_only_columns(media.c.id))).all()
    counting = Downloads()
    counting.note(known)
    counting.note(stories.uploaded().id)
    down = Database(DatabaseSettings(url="postgresql+psycopg://nobody@127.0.0.1:1/nothing"))
    await counting.write(down)
    counting.note(known)
    for _ in range(2):  # the second time there is nothing to write
        await counting.write(database)
    async with database.reading() as connection:
        assert [tuple(row) for row in await connection.execute(downloads.select())] == [(known, "ann", 2)]
    await down.close()
