"""A slot that holds one media ends in the newest that was ever processed, whatever the order of the telling."""

import asyncio
import itertools
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.catalog import slots
from services.catalog.database import Database
from services.catalog.models import media
from services.catalog.projector import Outcome, Told, project
from services.catalog.settings import single
from shared.env import Env
from shared.events.messages import EntityLink, MediaDeleted, MediaUploaded, decode
from shared.ids import new_id
from shared.profiles import load
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
SINGLE = single(load(Env({})))
_sequences = itertools.count(1)
_users = itertools.count(1)
_milliseconds = itertools.count(1)


def avatars(count: int, profile: str = "avatar") -> list[MediaUploaded]:
    """Uploads one after the other into the slot of a user that nobody else has."""
    link = EntityLink(type="user", id=str(next(_users)), field=profile)
    return [stories.uploaded(id=later(), profile=profile, entity=link) for _ in range(count)]


def later() -> uuid.UUID:
    """An id of another millisecond than those before: within one they have no order."""
    return uuid.UUID(int=new_id().int + (next(_milliseconds) << 80))


async def take(database: Database, *events: Told, kept: frozenset[str] = SINGLE) -> list[Outcome]:
    return [
        (await project(database, event, sequence=next(_sequences), base_url=BASE, single=kept))[0]
        for event in events
    ]


async def left(database: Database, *uploads: MediaUploaded) -> list[uuid.UUID]:
    ids = [upload.id for upload in uploads]
    async with database.reading() as connection:
        found = await connection.scalars(select(media.c.id).where(media.c.id.in_(ids)).order_by(media.c.id))
        return list(found)


def test_avatar_cover_and_logo_are_the_single_ones_of_the_shipped_profiles() -> None:
    assert {"avatar", "cover", "logo"} == SINGLE


async def test_the_former_one_stays_until_the_new_one_is_ready(database: Database) -> None:
    old, new = avatars(2)
    await take(database, old, stories.processed(old), new)
    assert await left(database, old, new) == [old.id, new.id]
    await take(database, stories.processed(new))
    assert await left(database, old, new) == [new.id]


async def test_the_replaced_one_is_deleted_as_by_its_owner(database: Database) -> None:
    old, new = avatars(2)
    await take(database, old, stories.processed(old), new, stories.processed(new))
    rows = [row for row in await all_rows(database, "outbox") if row["media_id"] == old.id]
    (deleted,) = [e for row in rows if isinstance(e := decode(row["data"])[1], MediaDeleted)]
    assert (deleted.key, deleted.owner, deleted.number) == (old.key, old.owner, old.number)
    assert old.id in {row["media_id"] for row in await all_rows(database, "tombstones")}
    assert await take(database, stories.processed(old), old) == ["buried", "buried"]


async def test_one_that_fails_leaves_the_former(database: Database) -> None:
    old, broken, new = avatars(3)
    await take(database, old, stories.processed(old), broken, stories.failed(broken))
    assert await left(database, old, broken) == [old.id, broken.id]
    await take(database, new, stories.processed(new))
    assert await left(database, old, broken, new) == [new.id]


async def test_one_that_is_late_goes_at_once(database: Database) -> None:
    old, new = avatars(2)
    await take(database, new, stories.processed(new))
    assert await take(database, stories.processed(old), old) == ["early", "replaced"]
    assert await left(database, old, new) == [new.id]


@settings(max_examples=8, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
async def test_invariant_4_any_order_and_repetition_ends_in_the_last_one(
    database: Database, data: st.DataObject
) -> None:
    first, second, third = uploads = avatars(3)
    told: list[Told] = [
        *uploads, stories.processed(first), stories.processed(second), stories.failed(second, 2),
        stories.failed(third, 1), stories.processed(third, 2),
    ]  # fmt: skip
    again = data.draw(st.lists(st.integers(0, len(told) - 1), max_size=4), label="told again")
    order = data.draw(st.permutations([*range(len(told)), *again]), label="order")
    await take(database, *(told[n] for n in order))
    assert await left(database, *uploads) == [third.id]


async def test_uploads_at_the_same_time_end_in_the_last_one(database: Database) -> None:
    uploads = avatars(4)
    told: list[Told] = [*uploads, *(stories.processed(upload) for upload in uploads)]
    # Backwards, so that each finds those that it replaces or is replaced by on their way.
    await asyncio.wait_for(asyncio.gather(*(take(database, event) for event in reversed(told))), 20)
    assert await left(database, *uploads) == [uploads[-1].id]


@pytest.mark.parametrize("apart", ["profile", "field", "entity", "no entity"])
async def test_only_the_same_slot_is_replaced(database: Database, apart: str) -> None:
    (old,) = avatars(1)
    assert old.entity
    here = old.entity
    elsewhere = EntityLink(type="user", id=f"{here.id}-", field=here.field)
    apart_by: dict[str, dict[str, Any]] = {
        "profile": {"profile": "cover", "entity": here},
        "field": {"entity": EntityLink(type="user", id=here.id, field="icon")},
        "entity": {"entity": elsewhere},
        "no entity": {"entity": None},
    }
    new = stories.uploaded(**{"id": later(), "profile": "avatar", **apart_by[apart]})
    await take(database, old, stories.processed(old), new, stories.processed(new))
    assert await left(database, old, new) == [old.id, new.id]


async def test_many_hang_in_a_slot_of_a_profile_that_is_not_single(database: Database) -> None:
    uploads = avatars(3, "gallery")
    await take(database, *uploads, *(stories.processed(upload) for upload in uploads))
    assert len(await left(database, *uploads)) == 3


async def test_after_a_rebuild_every_slot_holds_one(database: Database) -> None:
    uploads, others = avatars(3), avatars(2)
    told: list[Told] = [*uploads, *others, stories.processed(uploads[1]), stories.processed(others[0])]
    await take(database, *told, kept=frozenset())
    assert await slots.settle(database, SINGLE) == 1
    assert await slots.settle(database, SINGLE) == 0
    assert await left(database, *uploads) == [uploads[1].id, uploads[2].id]
    assert await left(database, *others) == [other.id for other in others]
