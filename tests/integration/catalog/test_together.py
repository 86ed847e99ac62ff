"""Uploads that come at one time are taken in together, and end as each would have by itself."""

import asyncio
import itertools
from typing import Any

import msgspec

from services.catalog import commands, rows
from services.catalog.database import Database, DatabaseSettings
from services.catalog.projector import project
from services.catalog.together import Together
from shared import trace
from shared.auth import Caller
from shared.errors import Unavailable
from shared.events.messages import EntityLink, MediaCreated, MediaUploaded, PictureLimits, decode
from shared.media import Media
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
ANN = Caller(sub="ann")
TOLD: dict[str, Any] = {
    "owner_uid": 7,
    "owner_name": "Ann",
    "description": "two\nlines and a NUL: \0",
    "caption": 'Grüße, "quoted" \\ and 🙂',
    "tags": ("a", "b c", "{}"),
    "metadata": {"nested": {"list": [1, 2.5, None, "x"], "yes": True}, "large": 2**52},
    "limits": PictureLimits(max_pixels=5_000_000),
    "is_public": True,
}
OF_ONE_MEDIA = {"id", "number", "key", "created_at", "status_at", "updated_at"}
_sequences = itertools.count(1)


async def take(database: Database, *uploads: MediaUploaded) -> list[Media | None]:
    """All in one transaction, each in a trace of its own."""
    places = asyncio.Semaphore(0)
    taking = Together(database, BASE, places)

    async def one(upload: MediaUploaded) -> Media | None:
        with trace.use(f"00-{upload.id.hex}-{'1' * 16}-01"):
            return await taking.take_in(upload, next(_sequences))

    all_of_them = asyncio.gather(*(one(upload) for upload in uploads))
    asyncio.get_running_loop().call_soon(places.release)  # by then all of them wait
    return await all_of_them


async def test_what_is_taken_in_together_is_what_each_alone_would_be(database: Database) -> None:
    alone = stories.uploaded(**TOLD)
    await project(database, alone, sequence=next(_sequences), base_url=BASE)
    uploads = [stories.uploaded(**TOLD) for _ in range(5)]

    taken = await take(database, *uploads)

    async with database.reading() as connection:
        assert taken == [await rows.load(connection, upload.id, BASE) for upload in uploads]
    found = {row["id"]: row for row in await all_rows(database, "media")}
    expected = {name: value for name, value in found[alone.id].items() if name not in OF_ONE_MEDIA}
    for upload in uploads:
        row = found[upload.id]
        assert {name: value for name, value in row.items() if name not in OF_ONE_MEDIA} == expected
        assert (row["number"], row["key"], row["created_at"]) == (
            upload.number,
            upload.key,
            upload.created_at,
        )
        assert row["status_at"] == row["updated_at"] == upload.created_at
    assert {row["media_id"] for row in await all_rows(database, "stored_events")} == found.keys()


async def test_each_of_those_taken_in_together_is_told_in_its_own_trace(database: Database) -> None:
    uploads = [stories.uploaded(**TOLD) for _ in range(3)]
    taken = await take(database, *uploads)

    told = {row["media_id"]: row for row in await all_rows(database, "outbox")}
    assert told.keys() == {upload.id for upload in uploads}
    for upload, media in zip(uploads, taken, strict=True):
        row = told[upload.id]
        envelope, event = decode(bytes(row["data"]))
        assert isinstance(event, MediaCreated)
        assert msgspec.convert(event.media, Media) == media
        assert envelope.id == str(row["id"])
        assert (row["kind"], row["line"]) == ("event", str(upload.id))
        assert row["traceparent"] == envelope.traceparent
        assert upload.id.hex in row["traceparent"]


async def test_what_is_not_simply_new_is_left_to_be_taken_in_alone(database: Database) -> None:
    known, deleted, early, hung = (stories.uploaded() for _ in range(4))
    for event in (known, deleted, stories.processed(early)):
        await project(database, event, sequence=next(_sequences), base_url=BASE)
    await commands.remove(database, ANN, deleted.id)
    hung = msgspec.structs.replace(hung, entity=EntityLink(type="post", id="1", field="photos"))
    new = stories.uploaded()

    *left, taken, again = await take(database, known, deleted, early, hung, new, new)

    assert left == [None] * 4
    assert taken is not None
    assert taken.id == new.id
    assert again is None
    assert {row["id"] for row in await all_rows(database, "media")} == {known.id, new.id}


async def test_an_upload_that_cannot_be_taken_in_keeps_no_other_out(database: Database) -> None:
    known = stories.uploaded()
    await project(database, known, sequence=next(_sequences), base_url=BASE)
    wrong = stories.uploaded(number=known.number)  # numbers are given once
    good = stories.uploaded()

    assert await take(database, wrong, good) == [None, None]
    assert {row["id"] for row in await all_rows(database, "media")} == {known.id}
    assert (await project(database, good, sequence=next(_sequences), base_url=BASE))[0] == "created"


async def test_a_database_that_is_away_is_asked_once_for_all_that_wait() -> None:
    nowhere = Database(DatabaseSettings(url="postgresql+psycopg://tripod@127.0.0.1:1/tripod"))
    places = asyncio.Semaphore(0)
    taking = Together(nowhere, BASE, places)
    all_of_them = asyncio.gather(
        *(taking.take_in(stories.uploaded(), next(_sequences)) for _ in range(3)), return_exceptions=True
    )
    asyncio.get_running_loop().call_soon(places.release)

    found = await all_of_them

    assert [type(one) for one in found] == [Unavailable] * 3
    assert len({id(one.__cause__) for one in found if isinstance(one, Unavailable)}) == 1
    await nowhere.close()


async def test_when_the_one_who_takes_in_all_is_stopped_the_others_go_on(database: Database) -> None:
    places = asyncio.Semaphore(0)
    taking = Together(database, BASE, places)
    uploads = [stories.uploaded() for _ in range(3)]
    first, *rest = [asyncio.create_task(taking.take_in(u, next(_sequences))) for u in uploads]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    places.release()

    assert [media and media.id for media in await asyncio.gather(*rest)] == [u.id for u in uploads[1:]]
    assert {row["id"] for row in await all_rows(database, "media")} == {u.id for u in uploads[1:]}
