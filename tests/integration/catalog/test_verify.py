"""`tripod verify` names each promise that is broken, and says by its exit status that something is."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text, true

from services.catalog import announcing, commands, letters, registry, relay, rights
from services.catalog.census import take_census
from services.catalog.database import Database
from services.catalog.outbox import EVENT, REGISTRY
from services.catalog.projector import project
from services.catalog.settings import CatalogSettings
from services.catalog.verify import Report, verify
from shared import entities
from shared.auth import Caller
from shared.entities import Entity
from shared.errors import NotFound
from shared.events import dead_letters, topology
from shared.events.bus import Bus
from shared.events.consumer import consume
from shared.events.messages import EntityLink, MediaProcessed, MediaUploaded
from shared.storage.blobs import Blobs
from tests.fixtures.servers import ObjectStore
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

BASE = "http://origin.test"
POST = Entity(type="post", id="1", owners=("bob",))


@pytest.fixture
async def service(
    settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs
) -> AsyncIterator[Service]:
    """The parts of a catalog that does not run."""
    parts = Service(settings, database, bus, blobs, "")
    yield parts
    await parts.nobody.aclose()


@pytest.fixture
async def upload(service: Service) -> MediaUploaded:
    """A media of ann on a post of bob, processed and told to everybody."""
    await registry.put_entity(service.database, POST)
    made = stories.uploaded("ann", entity=EntityLink(type="post", id="1"))
    result = stories.processed(made)
    await service.store(made, result)
    await take(service, made)
    await take(service, result)
    await settle(service)
    return made


async def take(service: Service, event: Any) -> None:
    sequence = await service.tell(event)
    await project(service.database, event, sequence=sequence, base_url=BASE)


async def settle(service: Service) -> None:
    while await relay.tell_batch(service.database, service.bus, EVENT) + await relay.tell_batch(
        service.database, service.bus, REGISTRY
    ):
        pass
    await letters.note(service.database, service.bus)
    while await relay.erase_batch(service.database, service.bus):
        pass


async def look(service: Service) -> Report:
    def tell(_what: str, _count: int) -> None:
        """Nobody watches."""

    census = await take_census(service.database, service.bus, service.blobs, tell)
    return await verify(census, service.database, service.blobs, (), tell, complete=False, deep=False)


async def found(service: Service) -> set[str]:
    """The promises that are broken."""
    return {finding.check for finding in (await look(service)).findings}


async def break_by_hand(service: Service, statement: str, **values: Any) -> None:
    async with service.database.writing(tell=False) as connection:
        await connection.execute(text(statement), values)


def run(settings: CatalogSettings, store: ObjectStore, option: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "TRIPOD_ENV": "development",
        "TRIPOD_NATS_URL": settings.bus.url,
        "TRIPOD_DATABASE_URL": settings.database.url,
        "TRIPOD_S3_ENDPOINT": store.endpoint,
        "TRIPOD_S3_REGION": store.region,
        "TRIPOD_S3_BUCKET": store.bucket,
        "TRIPOD_S3_ACCESS_KEY": store.access_key,
        "TRIPOD_S3_SECRET_KEY": store.secret_key,
    }
    return subprocess.run(
        [sys.executable, "-m", "shared.cli", "verify", "--json", option],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )


async def test_a_whole_system_has_no_finding_and_a_broken_one_ends_the_command_with_status_1(
    service: Service, upload: MediaUploaded, object_store: ObjectStore
) -> None:
    well = await asyncio.to_thread(run, service.settings, object_store, "--deep")
    assert (well.returncode, json.loads(well.stdout)["findings"]) == (0, []), well.stderr
    # I6 and I7 at once: shown to all without anybody having been told, and failed without a worker that says so.
    await break_by_hand(
        service,
        "UPDATE media SET is_public = true, status = 'failed', error_code = 'crash', error_detail = ''",
    )
    ill = await asyncio.to_thread(run, service.settings, object_store, "--replay")
    findings = json.loads(ill.stdout)["findings"]
    assert ill.returncode == 1
    assert {finding["check"] for finding in findings} == {"visible", "decoder", "replay"}
    assert all(str(upload.id) in finding["subject"] for finding in findings)


@pytest.mark.usefixtures("upload")
@pytest.mark.parametrize("table", ["media", "entities"])
async def test_i6_a_row_that_shows_a_media_to_others_than_was_told_is_named(
    service: Service, table: str
) -> None:
    changes = {
        "media": {
            "owner = 'eve'": "owner = 'ann'",
            "is_public = true": "is_public = false",
            "moderation = 'rejected'": "moderation = 'approved'",
            "entity_id = '2'": "entity_id = '1'",
        },
        "entities": {"owners = '{eve}'": "owners = '{bob}'", "deleted = true": "deleted = false"},
    }
    for wrong, right in changes[table].items():
        await break_by_hand(service, f"UPDATE {table} SET {wrong}")
        assert await found(service) == {"visible"}, wrong
        await break_by_hand(service, f"UPDATE {table} SET {right}")
    assert await found(service) == set()


@pytest.mark.usefixtures("upload")
async def test_i6_a_row_that_shows_the_bytes_of_another_media_is_named(service: Service) -> None:
    other = uuid.uuid4()
    stolen = f"variants/2026/01/01/{other}/x-small.jpg"
    await service.blobs.put_bytes(stolen, stories.BODY[::-1], content_type="image/jpeg")
    before = (await service.rows("variants"))[0]["key"]
    await break_by_hand(
        service, "UPDATE variants SET key = :stolen WHERE key = :before", stolen=stolen, before=before
    )
    assert await found(service) == {"visible", "variant"}  # and its result has told another


@pytest.mark.usefixtures("upload")
async def test_i6_a_rule_that_lets_strangers_in_is_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "_governs_entity", lambda _sub: true())
    report = await look(service)
    assert {finding.check for finding in report.findings} == {"visible"}
    assert any("sees it" in finding.detail for finding in report.findings)


@pytest.mark.usefixtures("upload")
async def test_i6_a_registry_that_was_told_again_is_whole(service: Service) -> None:
    await service.bus.kv(topology.ENTITIES).delete(entities.key(POST.type, POST.id))
    assert await found(service) == {"visible"}
    assert await announcing.ensure_registry(service.database, service.bus) == 1
    assert await found(service) == set()


async def test_i7_a_media_that_was_given_up_on_is_named(service: Service, upload: MediaUploaded) -> None:
    given_up = stories.failed(upload, generation=2, code="interrupted")
    await commands.reprocess(service.database, Caller(sub="ann"), upload.id, base_url=BASE)
    await take(service, given_up)
    await settle(service)
    assert await found(service) == {"decoder"}


async def test_i7_a_job_that_cost_its_workers_their_lives_is_named(
    service: Service, upload: MediaUploaded
) -> None:
    lane = topology.TOPOLOGY.durable("processor-image-fresh")
    await bury(service, lane, upload)
    assert await found(service) == {"decoder", "dead letters"}


async def bury(service: Service, durable: topology.Durable, event: MediaUploaded | MediaProcessed) -> int:
    """Let a consumer give its next event up; the place of the letter."""

    async def handle(_context: Any) -> None:
        raise NotFound("The handler cannot do it.")

    stop = asyncio.Event()
    before = await service.bus.last_sequence(topology.DEAD)
    running = asyncio.create_task(consume(service.bus, durable, handle, stop=stop))

    async def come() -> bool:
        return await service.bus.last_sequence(topology.DEAD) > before

    await eventually_async(come, f"the letter of {event.id}")
    stop.set()
    await running
    return await service.bus.last_sequence(topology.DEAD)


async def test_the_letters_of_a_deleted_media_are_erased_with_it_and_those_of_erasers_are_not(
    service: Service, upload: MediaUploaded
) -> None:
    place = await bury(service, topology.TOPOLOGY.durable("processor-image-fresh"), upload)
    await settle(service)
    assert await dead_letters.read(service.bus, place) is not None

    await commands.remove(service.database, Caller(sub="ann"), upload.id)
    await settle(service)
    assert await dead_letters.list_all(service.bus) == []

    order = await bury(service, topology.TOPOLOGY.durable("ingest-eraser"), upload)
    late = await service.tell(stories.processed(upload))
    await bury(service, topology.TOPOLOGY.durable("catalog-projector"), upload)
    assert "erased" in await found(service)
    await service.bus.erase(topology.MEDIA, late)
    await settle(service)
    assert [listed.sequence for listed in await dead_letters.list_all(service.bus)] == [order]
    assert "erased" not in await found(service)


async def test_a_broker_that_has_lost_its_letters_is_looked_at_from_the_beginning(
    service: Service, upload: MediaUploaded
) -> None:
    await bury(service, topology.TOPOLOGY.durable("processor-image-fresh"), upload)
    await break_by_hand(service, "INSERT INTO marks VALUES ('letters_noted_up_to', 900)")
    assert await letters.note(service.database, service.bus) == 1
    assert await letters.note(service.database, service.bus) == 0
