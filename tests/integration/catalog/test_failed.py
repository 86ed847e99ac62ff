"""What failed long ago goes by itself."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from services.catalog import failed
from services.catalog.commands import reprocess
from services.catalog.database import CLEANER, Database, DatabaseSettings, try_lock
from services.catalog.failed import Ages, clean, find, keep_cleaning
from services.catalog.projector import Told, project
from shared.auth import Caller
from shared.env import Env
from shared.events.messages import MediaDeleted, decode
from shared.profiles import load
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows, serving
from tests.integration.catalog.test_lists import fill

BASE = "http://origin.test"
WEEK = timedelta(days=7)
PROFILE = "mediafiles"


async def tell(database: Database, *events: Told) -> None:
    for place, event in enumerate(events):
        await project(database, event, sequence=place, base_url=BASE)


async def test_what_failed_a_week_ago_is_deleted_as_if_somebody_had(database: Database) -> None:
    broken, whole = stories.uploaded(profile=PROFILE), stories.uploaded(profile=PROFILE)
    pending, other = stories.uploaded(profile=PROFILE), stories.uploaded(profile="library")
    await tell(
        database, broken, whole, pending, other,
        stories.failed(broken), stories.processed(whole), stories.failed(other),
    )  # fmt: skip
    ages, later = Ages(mediafiles=7, others=8), stories.now() + WEEK
    assert await clean(database, ages, now=later - timedelta(minutes=1)) == []
    assert await find(database, ages, now=later + timedelta(minutes=1)) == [broken.id]
    assert await clean(database, ages, now=later + timedelta(minutes=1)) == [broken.id]
    assert {row["id"] for row in await all_rows(database, "media")} == {whole.id, pending.id, other.id}
    assert [row["media_id"] for row in await all_rows(database, "tombstones")] == [broken.id]
    told = [decode(row["data"])[1] for row in await all_rows(database, "outbox")]
    (deleted,) = [event for event in told if isinstance(event, MediaDeleted)]
    assert (deleted.id, deleted.key) == (broken.id, broken.key)
    assert await clean(database, ages, now=later + timedelta(days=2)) == [other.id]


async def test_what_the_processor_gave_up_on_is_kept_unless_its_api_promises_that_it_goes(
    database: Database,
) -> None:
    kept, promised = stories.uploaded(), stories.uploaded(profile=PROFILE)
    gone = stories.uploaded()
    await tell(
        database, kept, promised, gone,
        stories.failed(kept, code="interrupted"), stories.failed(promised, code="interrupted"),
        stories.failed(gone, code="truncated"),
    )  # fmt: skip
    assert set(await clean(database, Ages(), now=stories.now() + 2 * WEEK)) == {promised.id, gone.id}
    assert [row["id"] for row in await all_rows(database, "media")] == [kept.id]


async def test_what_a_profile_keeps_is_kept_whatever_is_wrong_with_it(database: Database) -> None:
    ages = Ages.from_env(Env({}), load(Env({})))
    kept = [
        stories.uploaded(profile=profile, media_type=kind)
        for profile, kinds in {
            "content": ("video", "audio", "document"),
            "persona": ("image", "video"),
            "library": ("image", "video", "other"),
            "post": ("video",),
        }.items()
        for kind in kinds
    ]
    gone = [
        stories.uploaded(profile=profile, media_type="image") for profile in ("content", "post", "default")
    ]
    await tell(database, *kept, *gone, *map(stories.failed, (*kept, *gone)))
    assert set(await clean(database, ages, now=stories.now() + 2 * WEEK)) == {each.id for each in gone}


async def test_who_asks_for_it_again_gets_another_week(database: Database) -> None:
    broken = stories.uploaded(profile=PROFILE)
    await tell(database, broken, stories.failed(broken))
    await reprocess(database, Caller(sub=broken.owner), broken.id, base_url=BASE)
    assert await clean(database, Ages(), now=stories.now() + 2 * WEEK) == []


async def test_a_file_that_failed_again_has_its_week_from_then(database: Database) -> None:
    again = stories.uploaded(profile=PROFILE, created_at=stories.now() - 2 * WEEK)
    second = stories.failed(again, generation=2, failed_at=again.created_at + WEEK)
    await tell(database, again, stories.failed(again), second)
    week = again.created_at + 2 * WEEK
    assert await find(database, Ages(), now=week - timedelta(minutes=1)) == []
    assert await find(database, Ages(), now=week + timedelta(minutes=1)) == [again.id]


async def test_the_catalog_cleans_when_it_starts_by_the_days_that_its_settings_say(catalog: Service) -> None:
    days = {"TRIPOD_MEDIAFILES_FAILED_DAYS": "3"}
    ages = Ages.from_env(Env(days), catalog.settings.profiles)
    moments = [stories.now() - timedelta(days=number) for number in (4, 2)]
    old, young = (stories.uploaded(profile=PROFILE, created_at=moment) for moment in moments)
    await catalog.have(old, stories.failed(old), young, stories.failed(young))

    async def gone() -> bool:
        return [row["id"] for row in await catalog.rows("media")] == [young.id]

    assert not await gone(), "the default is a week"
    async with serving(msgspec.structs.replace(catalog.settings, failed=ages)):
        await eventually_async(gone, "what is older than three days to be gone")


async def test_a_day_later_it_is_done_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert timedelta(days=1).total_seconds() == failed.EVERY_SECONDS
    monkeypatch.setattr(failed, "EVERY_SECONDS", 0.01)
    stop = asyncio.Event()
    with capture_logs() as logs:
        duty = asyncio.create_task(keep_cleaning(database, Ages(), stop=stop))
        for number in (1, 2):
            await fill(database, 1, profile=PROFILE, status="failed")

            async def cleaned(times: int = number) -> bool:
                return [entry["event"] for entry in logs].count("failed.cleaned") == times

            await eventually_async(cleaned, f"{number} cleanings that found something")
        stop.set()
        await duty


async def test_more_than_one_batch_goes_and_one_process_at_a_time_is_at_it(database: Database) -> None:
    await fill(database, 250, profile=PROFILE, status="failed")
    later = stories.now() + 2 * WEEK
    async with database.writing(tell=False) as connection:
        assert await try_lock(connection, CLEANER)
        assert await clean(database, Ages(), now=later) == []
    assert await clean(database, Ages(mediafiles=0), now=later) == []
    assert len(await clean(database, Ages(), now=later)) == 250
    assert await all_rows(database, "media") == []


async def test_a_database_that_is_away_does_not_end_the_duty_and_stop_does() -> None:
    away = Database(DatabaseSettings(url="postgresql+psycopg://nobody@127.0.0.1:1/nothing"))
    stop = asyncio.Event()
    with capture_logs() as logs:
        duty = asyncio.create_task(keep_cleaning(away, Ages(), stop=stop))

        async def tried() -> bool:
            return any(entry["event"] == "failed.not_cleaned" for entry in logs)

        await eventually_async(tried, "the duty to have tried")
        assert not duty.done()
        stop.set()
        await duty
    await away.close()
