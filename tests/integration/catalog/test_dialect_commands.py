"""What the older APIs let the catalog do: delete many at once, count by kind, let media go with their entity."""

from datetime import timedelta
from operator import itemgetter
from typing import Any

from services.catalog import commands, registry
from services.catalog.database import Database
from services.catalog.projector import project
from services.catalog.queries import Filters
from services.catalog.reconcile import reconcile
from services.catalog.schemas import MediaPatch
from services.catalog.totals import Total, totals
from shared.auth import Caller
from shared.entities import Entity
from shared.errors import Forbidden, NotFound
from shared.events.messages import MediaUploaded
from shared.ids import new_id
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
ANN, NOBODY = Caller(sub="ann"), Caller()
CASCADING = frozenset({"persona"})


async def have(database: Database, *uploads: MediaUploaded, **how: Any) -> None:
    for upload in uploads:
        await project(database, upload, sequence=upload.number, base_url=BASE, **how)


async def ids(database: Database, table: str = "media") -> set[Any]:
    return {row["id" if table == "media" else "media_id"] for row in await all_rows(database, table)}


async def test_metadata_is_replaced_where_that_is_asked_for(database: Database) -> None:
    upload = stories.uploaded(metadata={"a": 1, "b": 2})
    await have(database, upload)
    patch = MediaPatch(metadata={"c": 3})
    merged = await commands.edit(database, ANN, upload.id, patch, base_url=BASE)
    assert merged.metadata == {"a": 1, "b": 2, "c": 3}
    replaced = await commands.edit(database, ANN, upload.id, patch, replace_metadata=True, base_url=BASE)
    assert replaced.metadata == {"c": 3}


async def test_of_many_to_delete_each_stands_alone(database: Database) -> None:
    own, other = stories.uploaded(), stories.uploaded()
    theirs, hidden = stories.uploaded("bob", is_public=True), stories.uploaded("bob")
    await have(database, own, other, theirs, hidden)
    asked = [own.id, theirs.id, hidden.id, own.id, other.id]
    outcomes = await commands.remove_many(database, ANN, asked)
    assert list(outcomes) == [own.id, theirs.id, hidden.id, other.id]
    assert (outcomes[own.id], outcomes[other.id]) == (None, None)
    assert (type(outcomes[theirs.id]), type(outcomes[hidden.id])) == (Forbidden, NotFound)
    assert await ids(database) == {theirs.id, hidden.id}
    absent = new_id()
    assert isinstance((await commands.remove_many(database, ANN, [absent]))[absent], NotFound)


async def test_totals_count_and_weigh_what_the_caller_may_see(database: Database) -> None:
    video = stories.uploaded(profile="persona", media_type="video", size=500, entity=stories.link("2"))
    await have(
        database,
        stories.uploaded(profile="persona", size=10, entity=stories.link("1")),
        stories.uploaded(profile="persona", size=20, entity=stories.link("1")),
        video,
        stories.uploaded("bob", profile="persona", size=7),
        stories.uploaded(profile="library", size=9, is_public=True),
    )
    ours = Filters(profiles=("persona",), owner="ann")
    async with database.reading() as connection:
        assert await totals(connection, ANN, ours) == [
            Total(key=("image",), count=2, bytes=30),
            Total(key=("video",), count=1, bytes=500),
        ]
        assert await totals(connection, ANN, ours, by=("entity_id", "media_type")) == [
            Total(key=("1", "image"), count=2, bytes=30),
            Total(key=("2", "video"), count=1, bytes=500),
        ]
        assert await totals(connection, NOBODY, Filters(), by=("entity_type", "status")) == [
            Total(key=(None, "processing"), count=1, bytes=9)
        ]
        assert await totals(connection, NOBODY, ours) == []
        assert await totals(connection, ANN, ours, by=()) == [Total(key=(), count=3, bytes=530)]


async def test_media_of_a_cascading_profile_go_with_their_entity_and_others_stay(database: Database) -> None:
    persona = stories.uploaded(profile="persona", entity=stories.link("1"))
    elsewhere = stories.uploaded(profile="persona", entity=stories.link("2"))
    content = stories.uploaded(profile="content", entity=stories.link("1"))
    await have(database, persona, elsewhere, content)
    await registry.put_entity(database, Entity(type="post", id="1", owners=("ann",)))
    assert await registry.delete_entity(database, "post", "1", cascading=CASCADING, base_url=BASE)
    assert await ids(database) == {elsewhere.id, content.id}
    assert await ids(database, "tombstones") == {persona.id}
    left = {row["id"]: row["entity_id"] for row in await all_rows(database, "media")}
    assert left == {elsewhere.id: "2", content.id: None}
    outbox = sorted(await all_rows(database, "outbox"), key=itemgetter("position"))
    told = [row["subject"] for row in outbox if row["media_id"] == persona.id]
    assert [subject.split(".")[2] for subject in told] == ["created", "deleted"]


async def test_an_upload_that_comes_after_its_entity_went_ends_as_if_it_had_come_before(
    database: Database,
) -> None:
    await registry.delete_entity(database, "post", "1", cascading=CASCADING, base_url=BASE)
    persona = stories.uploaded(profile="persona", entity=stories.link("1"))
    content = stories.uploaded(profile="content", entity=stories.link("1"))
    early = stories.processed(persona)
    await project(database, early, sequence=10**6, base_url=BASE, cascading=CASCADING)
    await have(database, persona, content, cascading=CASCADING)
    assert await ids(database) == {content.id}
    assert await ids(database, "tombstones") == {persona.id}
    assert await ids(database, "early_results") == set()
    outbox = sorted(await all_rows(database, "outbox"), key=itemgetter("position"))
    told = [row["subject"] for row in outbox if row["media_id"] == persona.id]
    assert [subject.split(".")[2] for subject in told] == ["deleted"]


async def test_the_reconciler_deletes_what_a_cascading_entity_left_behind(database: Database) -> None:
    await registry.delete_entity(database, "post", "1", base_url=BASE)
    persona = stories.uploaded(profile="persona")
    await have(database, persona)
    async with database.writing(tell=False) as connection:  # as when upload and deletion were told at once
        await connection.exec_driver_sql("UPDATE media SET entity_type = 'post', entity_id = '1'")
    await reconcile(database, stale=timedelta(hours=1), base_url=BASE, cascading=CASCADING)
    assert await ids(database) == set()
    assert await ids(database, "tombstones") == {persona.id}
