"""The janitor's round: what no row names for a day is erased, by those who wrote it, and nothing else is."""

import asyncio
import itertools
from datetime import timedelta

import msgspec
import pytest

from services.catalog import orphans
from services.catalog.database import JANITOR, Database, try_lock
from services.catalog.failed import Ages
from services.catalog.janitor import Tidied, tidy
from services.catalog.projector import project
from services.catalog.settings import CatalogSettings
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus
from shared.ids import new_id
from shared.storage import keys
from shared.storage.blobs import Blobs
from shared.storage.s3_http import S3Http
from shared.storage.s3_multipart import Multipart, Spare
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows

DAY = 86400.0
BASE = "http://origin.test"


async def left(service: Service) -> set[str]:
    return {info.key async for info in service.blobs.list("")}


async def sweep(service: Service, *, every: float = 0, grace: float = 0) -> set[str] | None:
    done = await orphans.sweep(
        service.database, service.bus, service.blobs, every=every, grace=timedelta(seconds=grace)
    )
    return None if done is None else set(done)


async def test_what_an_outage_of_all_of_ingest_left_behind_is_erased_and_all_else_is_spared(
    service: Service,
) -> None:
    whole = stories.uploaded()
    result = stories.processed(whole)
    await service.store(whole, result)
    for event in (whole, result):
        await project(service.database, event, sequence=await service.tell(event), base_url=BASE)
    running, told, begun, lost = (stories.uploaded() for _ in range(4))
    await service.store(running, stories.processed(running))
    await project(service.database, running, sequence=await service.tell(running), base_url=BASE)
    await service.store(told)
    await service.tell(told)
    await service.store(begun)
    intent = {"id": begun.id, "key": begun.key, "state": "stored", "started_at": stories.now()}
    await service.bus.kv(topology.INTENTS).create(str(begun.id), msgspec.json.encode(intent))
    spared = await left(service)

    await service.store(lost)
    stray = keys.variant(new_id(), spec=stories.SPEC, name="small", extension="jpg")
    await service.blobs.put_bytes(stray, stories.BODY, content_type="image/jpeg")

    assert await sweep(service, grace=DAY) == set()
    assert await sweep(service) == {lost.key, stray}
    assert await left(service) == spared


async def test_a_key_that_holds_the_ids_of_others_or_none_is_not_taken_for_an_orphan(
    service: Service,
) -> None:
    owner, entity = new_id(), new_id()
    number = itertools.count(1)
    for template in (
        "personas/{entity}/{owner}/{uuid}.jpg",
        "2026/11/photo_{hex}.jpg",
        "user_{owner}/image/{number}_photo.jpg",
        "properties/photos/PR-{number}/2026-11/gallery-20261121120000-{number:012}.jpg",
    ):
        media_id = new_id()
        key = template.format(
            owner=owner, entity=entity, uuid=media_id, hex=media_id.hex, number=next(number)
        )
        upload = stories.uploaded(id=media_id, key=key)
        await service.store(upload)
        await project(service.database, upload, sequence=await service.tell(upload), base_url=BASE)
        stray = key.replace(".jpg", "x.jpg")
        await service.blobs.put_bytes(stray, stories.BODY, content_type="image/jpeg")
    kept = {row["key"] for row in await service.rows("media")}
    strays = await left(service) - kept
    assert await sweep(service) == strays
    assert await left(service) == kept


async def test_one_round_is_made_in_its_time_whatever_number_of_catalogs_runs(service: Service) -> None:
    lost = stories.uploaded()
    await service.store(lost)
    async with service.database.writing(tell=False) as connection:
        assert await try_lock(connection, JANITOR)
        assert await sweep(service, every=DAY) is None
    rounds = await asyncio.gather(*(sweep(service, every=DAY) for _ in range(3)))
    assert [done for done in rounds if done is not None] == [{lost.key}]
    await service.store(lost)
    assert await sweep(service, every=DAY) is None
    assert await left(service) == {lost.key}


async def test_a_round_that_nobody_answers_is_made_again(
    settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs
) -> None:
    parts = Service(settings, database, bus, blobs, "")
    await parts.nobody.aclose()
    lost = stories.uploaded()
    await parts.store(lost)
    with pytest.raises(Unavailable, match="Nobody answers"):
        await sweep(parts, every=DAY)
    assert await all_rows(database, "marks") == []
    assert await left(parts) == {lost.key}


async def test_a_running_catalog_makes_rounds_by_itself_and_none_where_that_is_off(service: Service) -> None:
    lost = stories.uploaded()
    await service.store(lost)

    async def swept() -> bool:
        return any(row["name"] == orphans.SWEPT_AT for row in await service.rows("marks"))

    off = orphans.keep_sweeping(service.database, service.bus, service.blobs, every=0, stop=asyncio.Event())
    await asyncio.wait_for(off, 5)
    assert not await swept()

    stop = asyncio.Event()
    running = asyncio.create_task(
        orphans.keep_sweeping(service.database, service.bus, service.blobs, every=DAY, stop=stop)
    )
    await eventually_async(swept, "the first round")
    stop.set()
    await running
    assert await left(service) == {lost.key}  # it is younger than a day


async def test_reconcile_has_the_parts_of_a_broken_upload_removed_and_those_of_an_upload_under_way_left(
    service: Service,
) -> None:
    under_way, dead, whole = (stories.uploaded() for _ in range(3))
    await service.store(whole)
    intent = {"id": under_way.id, "key": under_way.key, "state": "receiving", "started_at": stories.now()}
    await service.bus.kv(topology.INTENTS).create(str(under_way.id), msgspec.json.encode(intent))
    store = S3Http(service.settings.store)
    for key in (under_way.key, dead.key, whole.key):
        await Multipart.begin(store, key, "video/mp4", Spare(0))
    await store.close()
    await service.tell(whole)

    async def reconcile(grace: timedelta, *, dry: bool = False) -> Tidied:
        return await tidy(
            service.database,
            service.bus,
            service.blobs,
            lambda _what, _count: None,
            grace=grace,
            stale=timedelta(hours=1),
            base_url=BASE,
            ages=Ages(),
            dry_run=dry,
        )

    young = await reconcile(timedelta(hours=1))
    assert (young.aborted, young.young) == ([], 2)
    expected = sorted([dead.key, whole.key])
    assert (await reconcile(timedelta(0), dry=True)).aborted == expected
    assert (await reconcile(timedelta(0))).aborted == expected
    assert [upload.key for upload in await service.blobs.unfinished()] == [under_way.key]
    assert await left(service) == {whole.key}
