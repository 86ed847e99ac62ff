"""What becomes of the media of each profile when its entity goes."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from services.catalog import departures, projector, registry, together
from services.catalog.database import Database
from services.catalog.projector import project
from services.catalog.reconcile import due, reconcile
from services.catalog.settings import cascading
from shared.entities import Entity
from shared.env import Env
from shared.profiles import load
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
PROFILES = load(Env({}))
CASCADES = {"persona"}


async def test_media_of_each_profile_is_deleted_or_left_to_its_owner_as_the_profile_says(
    database: Database,
) -> None:
    uploads = {name: stories.uploaded(profile=name, entity=stories.link("1")) for name in PROFILES}
    await registry.put_entity(database, Entity(type="post", id="1", owners=("ann",)))
    for sequence, event in enumerate(uploads.values(), 1):
        await project(database, event, sequence=sequence, base_url=BASE)
    await registry.delete_entity(database, "post", "1", cascading=cascading(PROFILES), base_url=BASE)
    left = {row["profile"]: (row["entity_type"], row["owner"]) for row in await all_rows(database, "media")}
    assert left == {name: (None, "ann") for name in PROFILES if name not in CASCADES}
    late = {name: stories.uploaded(profile=name, entity=stories.link("1")) for name in PROFILES}
    for sequence, event in enumerate(late.values(), 100):
        await project(database, event, sequence=sequence, base_url=BASE, cascading=cascading(PROFILES))
    hung = [row for row in await all_rows(database, "media") if row["entity_type"]]
    assert hung == []
    assert {row["media_id"] for row in await all_rows(database, "tombstones")} == {
        told[name].id for told in (uploads, late) for name in CASCADES
    }


async def test_all_that_a_user_owns_goes_with_them_whatever_its_profile(database: Database) -> None:
    for sequence, name in enumerate(PROFILES, 1):
        await project(database, stories.uploaded(profile=name), sequence=sequence, base_url=BASE)
    kept = stories.uploaded("bob")
    await project(database, kept, sequence=500, base_url=BASE)
    assert await departures.delete_user(database, "ann") == len(PROFILES)
    assert [row["id"] for row in await all_rows(database, "media")] == [kept.id]


async def test_an_upload_that_is_taken_in_while_its_owner_leaves_goes_with_them(database: Database) -> None:
    uploads = [stories.uploaded("ann"), stories.uploaded("bob")]
    soon = datetime.now(UTC) + departures.LEEWAY
    for alone, upload in enumerate(uploads):
        async with database.writing(tell=False) as under_way:
            if alone:
                await projector.take_in(under_way, upload, 1)
            else:
                one = together._Upload(upload, 2)
                assert await together._create(under_way, {upload.id: one}, BASE)
            leaving = asyncio.create_task(departures.delete_user(database, upload.owner, until=soon))
            await waiting_for_a_lock(database, leaving)
        await leaving
    assert await all_rows(database, "media") == []
    assert {row["media_id"] for row in await all_rows(database, "tombstones")} == {u.id for u in uploads}


async def waiting_for_a_lock(database: Database, working: asyncio.Task[int]) -> None:
    asked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    async def look() -> bool:
        async with database.reading() as connection:
            return bool(working.done() or await connection.scalar(asked))

    await eventually_async(look, "the other to be waited for")


async def test_reconciling_deletes_what_is_there_of_users_who_have_left_and_nothing_newer(
    database: Database,
) -> None:
    old, bobs = stories.uploaded("ann"), stories.uploaded("bob")
    left = datetime.now(UTC)
    new = stories.uploaded("ann", created_at=left + timedelta(hours=1))
    for sequence, event in enumerate((old, new, bobs), 1):
        await project(database, event, sequence=sequence, base_url=BASE)
    async with database.writing(tell=False) as connection:
        await connection.execute(
            text("INSERT INTO departed_users VALUES (sha256('ann'), :left)"), {"left": left}
        )
    stale = timedelta(hours=9)
    assert (await due(database, stale=stale)).departed == 1
    assert (await reconcile(database, stale=stale, base_url=BASE)).departed == 1
    assert {row["id"] for row in await all_rows(database, "media")} == {new.id, bobs.id}
    assert (await reconcile(database, stale=stale, base_url=BASE)).departed == 0
