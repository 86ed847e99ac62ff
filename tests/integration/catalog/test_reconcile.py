"""Invariant 13: what fell between the parts is found and set going again."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from services.catalog import commands, numbers
from services.catalog.database import RECONCILER, Database, try_lock
from services.catalog.models import entities
from services.catalog.projector import Told, project
from services.catalog.reconcile import Reconciled, reconcile
from shared.auth import Caller
from shared.events.bus import Bus
from shared.events.messages import PictureLimits, ReprocessRequested, decode
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows
from tests.integration.catalog.test_lists import fill

BASE = "http://origin.test"
STALE = timedelta(minutes=15)


async def requests(database: Database) -> Sequence[Any]:
    events = [decode(row["data"])[1] for row in await all_rows(database, "outbox")]
    return [event for event in events if isinstance(event, ReprocessRequested)]


async def test_invariant_13_what_waits_too_long_for_a_result_is_announced_again(database: Database) -> None:
    old, young, done = stories.uploaded(), stories.uploaded(), stories.uploaded()
    told: list[Told] = [old, young, done, stories.processed(done)]
    for place, event in enumerate(told):
        await project(database, event, sequence=place, base_url=BASE)
    async with database.writing(tell=False) as connection:
        await connection.exec_driver_sql(
            "UPDATE media SET status_at = status_at - interval '20 minutes' WHERE id <> %(id)s",
            {"id": young.id},
        )

    async def run(minutes: int) -> Reconciled:
        moment = stories.now() + timedelta(minutes=minutes)
        return await reconcile(database, stale=STALE, base_url=BASE, now=moment)

    assert await run(0) == Reconciled(announced=1)
    (request,) = await requests(database)
    assert (request.id, request.generation, request.key) == (old.id, 1, old.key)
    assert await run(0) == Reconciled()
    assert await run(16) == Reconciled(
        announced=1
    )  # the young one; the old one has waited for 20, so 20 more
    assert await run(21) == Reconciled(announced=1)
    assert await run(30) == Reconciled()


async def test_whoever_processes_a_media_again_hears_the_limits_of_its_upload(database: Database) -> None:
    limits = PictureLimits(min_side=100, max_side=2000, max_pixels=3_000_000)
    limited, free = stories.uploaded(limits=limits), stories.uploaded()
    for place, event in enumerate((limited, free)):
        await project(database, event, sequence=place, base_url=BASE)
        await project(database, stories.failed(event, code="dimensions"), sequence=place + 5, base_url=BASE)
        await commands.reprocess(database, Caller(sub="ann"), event.id, base_url=BASE)
    moment = stories.now() + timedelta(minutes=16)
    assert await reconcile(database, stale=STALE, base_url=BASE, now=moment) == Reconciled(announced=2)
    asked = [(request.id, request.limits) for request in await requests(database)]
    assert sorted(asked, key=str) == sorted([(limited.id, limits), (free.id, None)] * 2, key=str)


async def test_media_left_on_a_deleted_entity_are_taken_off(database: Database) -> None:
    await fill(database, 250, entity_type="post", entity_id="1")
    async with database.writing(tell=False) as connection:
        await connection.execute(
            entities.insert().values(type="post", id="1", version=2, deleted=True, updated_at=stories.now())
        )
    assert await reconcile(database, stale=STALE, base_url=BASE) == Reconciled(detached=250)
    assert {row["entity_type"] for row in await all_rows(database, "media")} == {None}
    assert len(await all_rows(database, "outbox")) == 250


async def test_one_reconciler_works_at_a_time(database: Database) -> None:
    await fill(database, 1, status="processing", status_at=stories.now() - timedelta(hours=1))
    async with database.writing(tell=False) as connection:
        assert await try_lock(connection, RECONCILER)
        assert await reconcile(database, stale=STALE, base_url=BASE) == Reconciled()
    assert await reconcile(database, stale=STALE, base_url=BASE) == Reconciled(announced=1)


async def test_the_counter_is_made_from_the_highest_number_and_never_lowered(
    database: Database, bus: Bus
) -> None:
    counter = bus.kv("counters")
    assert await numbers.ensure_counter(database, bus) == 1
    upload = stories.uploaded(number=41)
    await project(database, upload, sequence=1, base_url=BASE)
    assert await numbers.ensure_counter(database, bus) == 42
    await counter.put(numbers.KEY, b"1000")
    found = await asyncio.gather(*(numbers.ensure_counter(database, bus) for _ in range(5)))
    assert set(found) == {1000}
    await counter.delete(numbers.KEY)
    found = await asyncio.gather(*(numbers.ensure_counter(database, bus) for _ in range(5)))
    assert set(found) == {42}
