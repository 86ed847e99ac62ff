"""The purge hook hears of each change and deletion, whatever happens to it meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.catalog import purging
from services.catalog.purging import Purge, PurgeSettings, keep_purging, signature
from shared.env import Env
from shared.errors import SettingsError
from shared.events import topology
from shared.events.bus import Bus
from shared.events.consumer import ConsumerMetrics
from shared.events.memory import MemoryBus
from shared.events.memory_broker import MemoryBroker
from shared.events.messages import MediaDeleted, MediaUpdated, encode
from shared.events.topology import DEAD, PURGER, TOPOLOGY
from shared.ids import new_id
from shared.storage import keys
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.hook import Hook, listening
from tests.integration.catalog.service import Service, serving

SECRET = "a secret of hooks that is long enough"
BASE = "http://origin.test"


@pytest.fixture
def memory() -> Bus:
    return MemoryBus(MemoryBroker())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "GATHER_SECONDS", 0.02)


async def change(bus: Bus, *, deleted: bool = False) -> str:
    media_id = new_id()
    event: MediaUpdated | MediaDeleted = MediaUpdated(id=media_id, owner="ann", media={})
    if deleted:
        event = MediaDeleted(
            id=media_id,
            number=1,
            owner="ann",
            media_type="image",
            key="k",
            variants=keys.variants(media_id),
            deleted_at=stories.now(),
        )
    data = encode(event, source="catalog", event_id="1", subject="x", time=stories.now(), traceparent=None)
    subject = topology.media_subject("deleted" if deleted else "updated", "image")
    await bus.publish(subject, data, message_id=str(media_id))
    return str(media_id)


@asynccontextmanager
async def running(bus: Bus, url: str, attempts: int = 5) -> AsyncIterator[None]:
    """Purging as a service does it."""
    stop = asyncio.Event()
    durable = msgspec.structs.replace(PURGER, attempts=attempts)
    await bus.ensure(msgspec.structs.replace(TOPOLOGY, durables=(durable,)))
    work = keep_purging(
        PurgeSettings(url=url, secret=SECRET),
        bus,
        durable,
        base_url=BASE,
        stop=stop,
        metrics=ConsumerMetrics(CollectorRegistry()),
        hold=(0.02,),
    )
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def heard(hook: Hook, *ids: str) -> None:
    async def look() -> bool:
        return set(ids) <= {str(purge.id) for purge in hook.purged}

    await eventually_async(look, f"the hook to hear of {len(ids)} media")


async def test_what_happens_at_one_time_is_told_in_one_signed_call(memory: Bus) -> None:
    bus = memory
    await bus.ensure(TOPOLOGY)
    ids = [await change(bus) for _ in range(30)] + [await change(bus, deleted=True)]
    async with listening() as hook, running(bus, hook.url):
        await heard(hook, *ids)
    assert len(hook.calls) < 10
    for told in hook.calls:
        at = int(told.headers["tripod-signature"].partition(",")[0].removeprefix("t="))
        assert told.headers["tripod-signature"] == signature(SECRET, at, told.body)
    gone = next(purge for purge in hook.purged if purge.event == "media.deleted")
    url = f"{BASE}/v1/media/{gone.id}"
    assert gone == Purge(
        id=gone.id,
        event="media.deleted",
        sequence=31,
        surrogate_keys=(f"media-{gone.id}",),
        prefixes=(f"{url}/",),
        urls=(url, f"{url}/download"),
    )


async def test_a_hook_that_is_down_is_told_when_it_is_back_and_nothing_is_lost(memory: Bus) -> None:
    bus = memory
    await bus.ensure(TOPOLOGY)
    async with listening() as hook:
        hook.answers = [500, 429, 401, 301]
        ids = [await change(bus) for _ in range(3)]
        async with running(bus, hook.url):
            await heard(hook, *ids)
        hook.calls.clear()
        late = await change(bus)
        # Nobody is there; the event is handed back, and told by who comes next.
        async with running(bus, "http://127.0.0.1:9/purge"):
            later = await change(bus)
        async with running(bus, hook.url):
            await heard(hook, late, later)
    assert await bus.last_sequence(DEAD) == 0


async def test_what_the_hook_will_not_have_keeps_no_other_from_it_and_becomes_a_dead_letter(
    memory: Bus,
) -> None:
    bus = memory
    await bus.ensure(TOPOLOGY)
    async with listening() as hook:
        bad, good = await change(bus), await change(bus)
        hook.refused = {bad}
        async with running(bus, hook.url, attempts=1):
            await heard(hook, good)

            async def buried() -> bool:
                return await bus.last_sequence(DEAD) == 1

            await eventually_async(buried, "the dead letter")
    assert {str(purge.id) for purge in hook.purged} == {good}


async def test_a_change_and_a_deletion_by_http_reach_the_hook_of_the_service(catalog: Service) -> None:
    async with listening() as hook:
        told = PurgeSettings(url=hook.url, secret=SECRET)
        async with serving(msgspec.structs.replace(catalog.settings, purge=told)):
            upload = await catalog.ready(is_public=True)
            async with catalog.caller("ann") as ann:
                await ann.patch(f"/v1/media/{upload.id}", json={"is_public": False})
                await ann.delete(f"/v1/media/{upload.id}")

            async def gone() -> bool:
                return any((purge.event, purge.id) == ("media.deleted", upload.id) for purge in hook.purged)

            await eventually_async(gone, "the hook to hear of the deletion")
    changed = [purge for purge in hook.purged if (purge.event, purge.id) == ("media.updated", upload.id)][-1]
    deleted = next(purge for purge in hook.purged if (purge.event, purge.id) == ("media.deleted", upload.id))
    url = f"{BASE}/v1/media/{upload.id}"
    known = {url, f"{url}/download", f"{url}/download?v={upload.sha256[:8]}"}
    for name in ("thumbnail", "small"):
        known |= {
            f"{url}/variants/{name}",
            f"{url}/variants/{name}?v={stories.processed(upload).variants[0].spec}",
        }
    # Of what is gone, too: its copies are immutable, and some caches forget by address alone.
    assert set(changed.urls) == set(deleted.urls) == known


def test_a_hook_needs_a_secret() -> None:
    assert PurgeSettings.from_env(Env({})) is None
    env = Env({"TRIPOD_PURGE_URL": "http://cdn.test/purge/", "TRIPOD_PURGE_SECRET": SECRET})
    assert PurgeSettings.from_env(env) == PurgeSettings(url="http://cdn.test/purge/", secret=SECRET)
    for environ, named in (
        ({"TRIPOD_PURGE_URL": "http://cdn.test/purge"}, "TRIPOD_PURGE_SECRET"),
        ({"TRIPOD_PURGE_URL": "cdn", "TRIPOD_PURGE_SECRET": SECRET}, "TRIPOD_PURGE_URL"),
    ):
        wrong = Env(environ)
        PurgeSettings.from_env(wrong)
        with pytest.raises(SettingsError, match=named):
            wrong.check()
