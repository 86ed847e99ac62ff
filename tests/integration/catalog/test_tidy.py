"""`tripod reconcile` on real servers, over every kind of damage made by hand."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from services.catalog.database import JANITOR, try_lock
from services.catalog.failed import Ages
from services.catalog.janitor import Tidied, tidy
from services.catalog.models import entities, metadata
from services.catalog.projector import project
from shared.cli import main
from shared.events import topology
from shared.events.messages import EntityLink, MediaProcessed, MediaUploaded
from shared.ids import new_id, public_id
from shared.storage import keys
from shared.storage.blobs import BlobInfo
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows

BASE = "http://origin.test"
OLD = timedelta(days=8)


async def tripod(service: Service, *arguments: str) -> Result:
    """The command as an operator runs it."""
    store = service.settings.store
    environ = {
        "TRIPOD_ENV": "development",
        "TRIPOD_NATS_URL": service.settings.bus.url,
        "TRIPOD_DATABASE_URL": service.settings.database.url,
        "TRIPOD_S3_ENDPOINT": store.endpoint,
        "TRIPOD_S3_REGION": store.region,
        "TRIPOD_S3_BUCKET": store.bucket,
        "TRIPOD_S3_ACCESS_KEY": store.access_key,
        "TRIPOD_S3_SECRET_KEY": store.secret_key,
    }
    return await asyncio.to_thread(CliRunner().invoke, main, ["reconcile", *arguments], env=environ)


async def take(service: Service, *events: Any) -> None:
    for event in events:
        await project(service.database, event, sequence=await service.tell(event), base_url=BASE)


async def have(service: Service, **changes: Any) -> tuple[MediaUploaded, MediaProcessed]:
    upload = stories.uploaded(**changes)
    result = stories.processed(upload)
    await service.store(upload, result)
    await take(service, upload, result)
    return upload, result


async def failed(service: Service, age: timedelta, code: str = "truncated") -> uuid.UUID:
    upload = stories.uploaded()
    await service.store(upload)
    await take(service, upload, stories.failed(upload, code=code))
    await sql(
        service, "UPDATE media SET status_at = :at WHERE id = :id", at=stories.now() - age, id=upload.id
    )
    return upload.id


async def begun(service: Service, age: timedelta) -> MediaUploaded:
    upload = stories.uploaded()
    await service.store(upload)
    intent = {"id": upload.id, "key": upload.key, "state": "stored", "started_at": stories.now() - age}
    await service.bus.kv(topology.INTENTS).create(str(upload.id), msgspec.json.encode(intent))
    return upload


async def sql(service: Service, statement: str, **values: Any) -> None:
    async with service.database.writing(tell=False) as connection:
        assert (await connection.execute(text(statement), values)).rowcount


async def left(service: Service) -> set[str]:
    return {info.key async for info in service.blobs.list("")}


async def everything(service: Service) -> Any:
    rows = {name: await all_rows(service.database, name) for name in metadata.tables}
    return rows, await left(service), await service.bus.last_sequence(topology.MEDIA)


async def test_every_damage_is_reported_by_a_dry_run_that_changes_nothing_and_mended_by_a_run(
    service: Service,
) -> None:
    whole, _ = await have(service)
    old = await failed(service, OLD)
    given_up, young = await failed(service, OLD, "interrupted"), await failed(service, timedelta(days=6))
    recent, stuck = await begun(service, timedelta(0)), await begun(service, timedelta(hours=1))
    orphan, stray = stories.uploaded(), keys.variant(new_id(), spec="x", name="small", extension="jpg")
    await service.store(orphan)
    await service.blobs.put_bytes(stray, stories.BODY, content_type="image/jpeg")
    lacking, result = await have(service)
    await service.blobs.delete(result.variants[0].key)
    lost, _ = await have(service)
    await service.blobs.delete(lost.key)
    hung, _ = await have(service, entity=EntityLink(type="post", id="1"))
    async with service.database.writing(tell=False) as connection:
        await connection.execute(
            entities.insert().values(type="post", id="1", version=2, deleted=True, updated_at=stories.now())
        )
    waiting = stories.uploaded()
    await service.store(waiting)
    await take(service, waiting)
    await sql(
        service, "UPDATE media SET status_at = :at WHERE id = :id", at=stories.now() - OLD, id=waiting.id
    )
    before = await everything(service)

    dry = await tripod(service, "--grace", "0", "--dry-run", "--json")
    assert dry.exit_code == 1, dry.stderr  # for the media whose original is lost
    told = json.loads(dry.stdout)
    assert told == {
        "dry_run": True,
        "announced": 1,
        "detached": 1,
        "departed": 0,
        "erased": sorted([orphan.key, stray]),
        "aborted": [],
        "restored": [],
        "reprocessed": [str(lacking.id)],
        "failed": [str(old)],
        "begun": 2,
        "stuck": [str(stuck.id)],
        "young": 0,
        "lost": [str(lost.id)],
    }
    shown = await tripod(service, "--grace", "0", "--dry-run")
    assert "a dry run: nothing is changed" in shown.stdout
    assert "media that failed long ago, deleted" in shown.stdout
    assert f"{public_id(lost.id)}: its original is gone" in shown.stderr
    assert await everything(service) == before

    done = await tripod(service, "--grace", "0", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == told | {"dry_run": False}
    rows = {row["id"]: row for row in await service.rows("media")}
    assert rows.keys() == {
        media.id for media in (whole, lacking, lost, hung, waiting)
    } | {given_up, young}  # fmt: skip
    assert [row["media_id"] for row in await service.rows("tombstones")] == [old]
    assert {row["id"] for row in rows.values() if row["status"] == "processing"} == {lacking.id, waiting.id}
    assert rows[lost.id] == next(row for row in before[0]["media"] if row["id"] == lost.id)
    assert rows[hung.id]["entity_type"] is None
    assert await left(service) == before[1] - {orphan.key, stray}
    assert {recent.key, stuck.key} <= await left(service)

    again = json.loads((await tripod(service, "--grace", "0", "--json")).stdout)
    key = next(
        row["key"] for row in before[0]["media"] if row["id"] == old
    )  # nobody has taken in its deletion
    mended = {
        "dry_run": False,
        "announced": 0,
        "detached": 0,
        "departed": 0,
        "reprocessed": [],
        "failed": [],
        "erased": [key],
    }
    assert again == told | mended


async def test_a_second_reconcile_says_that_another_one_is_at_work(service: Service) -> None:
    async with service.database.writing(tell=False) as connection:
        assert await try_lock(connection, JANITOR)
        second = await tripod(service, "--json")
        assert (second.exit_code, "Another janitor is at work" in second.stderr) == (1, True), second.output
    after = await tripod(service, "--json")
    assert after.exit_code == 0, after.output


async def test_what_comes_while_all_is_counted_is_not_called_lost(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, result = await have(service)
    listed: Callable[[str], AsyncIterator[BlobInfo]] = service.blobs.list

    async def before_it_came(prefix: str) -> AsyncIterator[BlobInfo]:
        async for info in listed(prefix):
            if info.key not in {upload.key, result.variants[0].key}:
                yield info

    monkeypatch.setattr(service.blobs, "list", before_it_came)
    done: Tidied = await tidy(
        service.database,
        service.bus,
        service.blobs,
        lambda _what, _count: None,
        grace=timedelta(0),
        stale=timedelta(hours=1),
        base_url=BASE,
        ages=Ages(),
        dry_run=True,
    )
    assert (done.lost, done.reprocessed) == ([], [])
