"""Two uploads that the stream tells with one number, as an import once did: both become rows, the same in any order."""

import itertools
import uuid
from typing import Any

import pytest

from services.catalog import commands, numbers, queries
from services.catalog.contested import stand_in
from services.catalog.database import Database
from services.catalog.models import media
from services.catalog.projector import project
from services.catalog.replayed import replayed
from shared.auth import Caller
from shared.events.messages import Imported, MediaUpdated, MediaUploaded
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows
from tests.integration.catalog.test_departures import silent

BASE = "http://origin.test"
CONTESTED = 70_000


def twins(**changes: Any) -> tuple[MediaUploaded, ...]:
    """Three uploads of one number and one public id, in the order in which the stream tells of them; their ids are in
    another one."""
    ids = sorted((uuid.uuid4() for _ in range(3)), reverse=True)
    said: dict[str, Any] = {
        "number": CONTESTED,
        "imported": Imported(received_at=stories.now(), public_id="MED-OLD-1"),
    }
    return tuple(stories.uploaded(**{"id": media_id, **said, **changes}) for media_id in ids)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_number_stays_with_whom_the_stream_told_of_first_in_whatever_order_they_come(
    order: tuple[int, ...], database: Database
) -> None:
    told = twins()
    for place in (*order, *order):  # and each again
        await project(database, told[place], sequence=place + 1, base_url=BASE)
    rows = {row["id"]: row for row in await all_rows(database, media)}
    first, *others = [event.id for event in told]
    assert rows[first]["number"] == CONTESTED
    for other in others:
        assert rows[other]["number"] == stand_in(other)
        assert 2**52 < stand_in(other) < 2**53
    assert {row["imported_as"] for row in rows.values()} == {"MED-OLD-1"}
    async with database.reading() as connection:
        assert await queries.imported_as(connection, "MED-OLD-1") == min(rows)
    assert await numbers.lowest_free(database) == CONTESTED + 1, "a number that stands in for another is none"
    await commands.remove(database, Caller(sub="ann"), others[0])
    assert await numbers.lowest_free(database) == CONTESTED + 1


async def test_who_loses_a_number_that_it_had_is_told_of(catalog: Service) -> None:
    first, second, _ = twins()
    await project(catalog.database, second, sequence=9_000_002, base_url=BASE)
    await project(catalog.database, first, sequence=9_000_001, base_url=BASE)
    await catalog.told()
    told = [event for _, event in await catalog.stream() if isinstance(event, MediaUpdated)]
    assert [(event.id, event.media["number"]) for event in told] == [(second.id, stand_in(second.id))]


async def test_a_stream_that_tells_one_number_twice_is_replayed_to_the_same_rows(catalog: Service) -> None:
    first, second, third = twins()
    for upload in (first, second, third):
        await catalog.store(upload)
    await catalog.have(first, second, third)

    async def same() -> bool:
        return not [found async for found in replayed(catalog.database, catalog.bus, silent)]

    await eventually_async(same, "the replay to make the same rows")
    await commands.remove(catalog.database, Caller(sub="ann"), first.id)
    await eventually_async(same, "the replay to make the same rows when the first one is gone")
    rows = {row["id"]: row["number"] for row in await catalog.rows(media)}
    assert rows == {second.id: stand_in(second.id), third.id: stand_in(third.id)}
