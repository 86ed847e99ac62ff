"""Media of older systems: their rows, however often they are told of, and what an import is told to be taken."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.catalog import commands, imports, numbers
from services.catalog.database import Database
from services.catalog.models import media
from services.catalog.projector import project
from services.catalog.reconcile import Reconciled, reconcile
from services.catalog.replayed import replayed
from shared.auth import Caller
from shared.events import topology
from shared.events.messages import Imported, MediaUploaded
from shared.imports import Answered, Asked
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows
from tests.integration.catalog.test_departures import silent

BASE = "http://origin.test"
LONG_AGO = datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC)
OLD = uuid.UUID("0b5c2a3e-8f43-4a51-9d3a-3f6f0e1d2c4b")


def imported(**changes: Any) -> MediaUploaded:
    """As ingest tells of it, with an id of another system."""
    said: dict[str, Any] = {
        "id": OLD,
        "number": 70_000,
        "created_at": LONG_AGO,
        "imported": Imported(received_at=stories.now(), public_id="MED-OLD-1"),
    }
    return stories.uploaded(**{**said, **changes})


async def test_an_import_is_as_old_as_it_was_but_nobody_has_waited_for_it_since(database: Database) -> None:
    event = imported()
    for sequence in (1, 2):  # told twice
        await project(database, event, sequence=sequence, base_url=BASE)
    (row,) = await all_rows(database, media)
    assert (row["id"], row["number"], row["imported_as"]) == (OLD, 70_000, "MED-OLD-1")
    assert row["created_at"] == LONG_AGO
    assert event.imported
    assert row["status_at"] == event.imported.received_at
    assert await reconcile(database, stale=timedelta(minutes=15), base_url=BASE) == Reconciled()


async def test_an_import_learns_what_is_taken_and_what_was(database: Database) -> None:
    gone = uuid.uuid4()
    await project(database, imported(), sequence=1, base_url=BASE)
    await project(
        database, imported(id=gone, number=70_001, imported=msgspec.UNSET), sequence=2, base_url=BASE
    )
    await commands.remove(database, Caller(sub="ann"), gone)
    async with database.reading() as connection:
        free = await imports.find(connection, Asked(ids=(uuid.uuid4(),), number=5, public_id="MED-X"))
        found = await imports.find(connection, Asked(ids=(OLD, gone), number=70_000, public_id="MED-OLD-1"))
    assert free == Answered()
    assert found == Answered(known=(OLD,), gone=(gone,), number=OLD, public_id=OLD)


async def test_after_an_import_a_lost_counter_comes_back_above_its_numbers(catalog: Service) -> None:
    await catalog.have(imported())
    await catalog.bus.kv(topology.COUNTERS).delete("media.number")
    assert await numbers.ensure_counter(catalog.database, catalog.bus) == 70_001


async def test_the_history_replayed_gives_an_import_the_ids_that_it_had(catalog: Service) -> None:
    upload = imported()
    await catalog.store(upload)
    await catalog.have(upload, imported(id=uuid.uuid4(), number=70_007, imported=msgspec.UNSET))

    async def same() -> bool:
        return not [found async for found in replayed(catalog.database, catalog.bus, silent)]

    await eventually_async(same, "the replay to make the same rows")
