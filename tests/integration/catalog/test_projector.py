"""Invariant 4: any order and repetition of events ends in the same row; deleted is final."""

import itertools
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.catalog import commands, registry
from services.catalog.database import Database
from services.catalog.models import media, variants
from services.catalog.projector import Outcome, Told, project
from shared.auth import Caller
from shared.entities import Entity
from shared.errors import Malformed, NotFound
from shared.events.messages import MediaCreated, MediaDeleted, MediaUpdated, decode
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
ANN = Caller(sub="ann")
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_sequences = itertools.count(1)
several = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


async def take(database: Database, *events: Told) -> list[Outcome]:
    return [(await project(database, event, sequence=next(_sequences), base_url=BASE))[0] for event in events]


def story() -> list[Told]:
    """All that can be told of one media: an upload, two runs of the pipeline each ending both ways, and one of
    them told twice with different contents, as after a worker's death."""
    upload = stories.uploaded(created_at=WHEN)
    late = stories.processed(upload, 1, width=999, processed_at=WHEN + timedelta(seconds=30))
    return [
        upload,
        stories.processed(upload, 1),
        stories.failed(upload, 1),
        late,
        stories.processed(upload, 2),
        stories.failed(upload, 3),
    ]


async def end_of(database: Database, media_id: uuid.UUID) -> dict[str, Any]:
    """The row and its variants, without what must differ between two media."""
    async with database.reading() as connection:
        row = (await connection.execute(select(media).where(media.c.id == media_id))).mappings().one()
        found = await connection.execute(
            select(variants).where(variants.c.media_id == media_id).order_by(variants.c.position)
        )
        made = [{k: v for k, v in ref.items() if k not in {"media_id", "key"}} for ref in found.mappings()]
    return {k: v for k, v in row.items() if k not in {"id", "number", "key"}} | {"variants": made}


@several
@given(data=st.data())
async def test_invariant_4_deleted_is_final_and_a_late_event_is_erased_again(
    database: Database, data: st.DataObject
) -> None:
    told = story()
    before = data.draw(st.permutations(told), label="before")
    cut = data.draw(st.integers(before.index(told[0]) + 1, 6), label="deleted after")
    late = before[cut:] + data.draw(st.lists(st.sampled_from(told), max_size=3), label="told again")

    await take(database, *before[:cut])
    await commands.remove(database, ANN, told[0].id)
    assert await take(database, *late) == ["buried"] * len(late)

    own = told[0].id
    assert [r for r in await all_rows(database, "media") if r["id"] == own] == []
    assert [r for r in await all_rows(database, "variants") if r["media_id"] == own] == []
    assert [r for r in await all_rows(database, "early_results") if r["media_id"] == own] == []
    assert len(await deletions_in_outbox(database, own)) == 1 + len(late)


async def outbox_events(database: Database, media_id: uuid.UUID) -> Sequence[Any]:
    rows = [row for row in await all_rows(database, "outbox") if row["media_id"] == media_id]
    return [decode(row["data"])[1] for row in sorted(rows, key=lambda row: row["position"])]


async def deletions_in_outbox(database: Database, media_id: uuid.UUID) -> list[MediaDeleted]:
    """What others will hear: the relay drops the rest, see test_outbox."""
    return [e for e in await outbox_events(database, media_id) if isinstance(e, MediaDeleted)]


async def test_a_late_upload_of_a_deleted_media_names_its_original_to_the_erasers(database: Database) -> None:
    upload = stories.uploaded()
    await take(database, upload)
    await commands.remove(database, ANN, upload.id)
    await take(database, upload, stories.processed(upload))

    first, again, late = await deletions_in_outbox(database, upload.id)
    assert (first.key, again.key, late.key) == (upload.key, upload.key, None)
    assert first.variants == again.variants == late.variants
    assert str(upload.id) in first.variants


async def test_results_that_come_before_their_upload_wait_for_it(database: Database) -> None:
    upload = stories.uploaded()
    outcomes = await take(database, stories.failed(upload), stories.processed(upload), upload)

    assert outcomes == ["early", "early", "created"]
    (created,) = await outbox_events(database, upload.id)
    assert isinstance(created, MediaCreated)
    assert created.media["status"] == "ready"


async def test_a_repeated_event_tells_nobody_anything(database: Database) -> None:
    upload = stories.uploaded()
    result = stories.processed(upload)
    outcomes = await take(database, upload, upload, result, result, stories.failed(upload))

    assert outcomes == ["created", "repeated", "updated", "behind", "behind"]
    assert len(await outbox_events(database, upload.id)) == 2


async def test_a_failure_after_a_success_leaves_the_media_ready_and_is_told(database: Database) -> None:
    upload = stories.uploaded()
    await take(database, upload, stories.processed(upload, 1), stories.failed(upload, 2))
    end = await end_of(database, upload.id)
    assert (end["status"], end["error_code"], end["generation"]) == ("ready", "code_2", 2)
    assert (end["width"], end["derived_generation"], len(end["variants"])) == (401, 1, 2)
    told = (await outbox_events(database, upload.id))[-1]
    assert isinstance(told, MediaUpdated)
    assert (told.media["status"], told.media["error"]["code"]) == ("ready", "code_2")
    await take(database, stories.processed(upload, 3))
    end = await end_of(database, upload.id)
    assert (end["status"], end["error_code"], end["width"]) == ("ready", None, 403)


async def test_a_failure_that_is_told_before_an_earlier_success_does_not_hide_it(database: Database) -> None:
    upload = stories.uploaded()
    await take(database, upload, stories.failed(upload, 2))
    assert (await end_of(database, upload.id))["status"] == "failed"
    await take(database, stories.processed(upload, 1))
    end = await end_of(database, upload.id)
    assert (end["status"], end["error_code"], end["generation"]) == ("ready", "code_2", 2)


async def test_hostile_nul_characters_are_left_out(database: Database) -> None:
    upload = stories.uploaded(description="a\0b", metadata={"k\0": ["\0x", 1]}, tags=("\0t",))
    await take(database, upload, stories.processed(upload, exif={"make": "\0\0Evil\0", "n\0": {"x": "\0"}}))
    end = await end_of(database, upload.id)
    assert (end["description"], end["metadata"], end["tags"]) == ("ab", {"k": ["x", 1]}, ["t"])
    assert end["exif"] == {"make": "Evil", "n": {"x": ""}}


async def test_an_upload_for_a_deleted_entity_hangs_on_nothing(database: Database) -> None:
    await registry.put_entity(database, Entity(type="post", id="1", owners=("ann",)))
    before, after = stories.uploaded(entity=stories.link()), stories.uploaded(entity=stories.link())
    await take(database, before)
    await registry.delete_entity(database, "post", "1", base_url=BASE)
    await take(database, after)
    ends = [await end_of(database, upload.id) for upload in (before, after)]
    assert [end["entity_type"] for end in ends] == [None, None]
    assert [end["entity_field"] for end in ends] == [None, None]


async def test_a_hash_that_is_none_can_never_be_taken_in(database: Database) -> None:
    upload = stories.uploaded()
    await take(database, upload)
    with pytest.raises(Malformed):
        await take(database, stories.processed(upload, phash="zz"))
    assert (await end_of(database, upload.id))["status"] == "processing"


async def test_invariant_7_state_too_long_for_the_wire_is_told_without_its_dispensable_parts(
    database: Database,
) -> None:
    upload = stories.uploaded(description="ü" * 5000, metadata={"k": "v" * 16000}, caption="ä" * 2000)
    await take(database, upload, stories.processed(upload, exif={"maker_note": "x" * 40_000}))

    _, updated = await outbox_events(database, upload.id)
    assert updated.media["left_out"] == ["exif"]
    assert updated.media["status"] == "ready"
    assert all(len(row["data"]) <= 64 * 1024 for row in await all_rows(database, "outbox"))
    assert (await end_of(database, upload.id))["exif"] == {"maker_note": "x" * 40_000}


async def test_what_was_deleted_is_not_there_to_be_deleted_again(database: Database) -> None:
    upload = stories.uploaded()
    await take(database, upload)
    await commands.remove(database, ANN, upload.id)
    with pytest.raises(NotFound):
        await commands.remove(database, ANN, upload.id)


async def test_invariant_11_all_timestamps_are_utc(database: Database) -> None:
    local = datetime.fromisoformat("2026-06-01T12:00:00+02:00")
    upload = stories.uploaded(created_at=local)
    await take(database, upload, stories.processed(upload))
    for table in media.metadata.sorted_tables:
        for column in table.columns:
            assert getattr(column.type, "timezone", True) is True, column
        for row in await all_rows(database, table):
            for value in row.values():
                if isinstance(value, datetime):
                    assert value.utcoffset() == timedelta(0)
    (created, _) = await outbox_events(database, upload.id)
    assert created.media["created_at"] == "2026-06-01T10:00:00Z"
