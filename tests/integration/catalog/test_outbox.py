"""Invariant 5: what is committed is told, once each in the order of its media; what is not committed is not."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from services.catalog import commands, outbox, registry, relay
from services.catalog.database import Database
from services.catalog.outbox import EVENT, REGISTRY
from services.catalog.projector import project
from services.catalog.schemas import MediaPatch
from shared import entities
from shared.auth import Caller
from shared.entities import Entity
from shared.errors import Unavailable
from shared.events import messages, topology
from shared.events.bus import Bus, Headers
from shared.events.memory import MemoryBus
from shared.events.messages import MediaCreated, MediaUpdated
from shared.events.topology import TOPOLOGY
from tests.fixtures.servers import Broker
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
ANN = Caller(sub="ann")
# Far from the places that the brokers of these tests give: what is erased there must not be another event.
_sequences = itertools.count(10**6)


async def take(database: Database, event: Any) -> None:
    await project(database, event, sequence=next(_sequences), base_url=BASE)


async def tell_all(database: Database, bus: Bus) -> None:
    while await relay.tell_batch(database, bus, EVENT) + await relay.tell_batch(database, bus, REGISTRY):
        pass


async def captions(bus: Bus, media_id: uuid.UUID) -> list[str | None]:
    """What each stored state of a media has as its caption, in the order of the stream."""
    found = []
    for sequence in range(1, await bus.last_sequence(topology.MEDIA) + 1):
        message = await bus.read(topology.MEDIA, sequence)
        assert message is not None
        event = messages.decode(message.data)[1]
        if isinstance(event, MediaCreated | MediaUpdated) and event.id == media_id:
            found.append(event.media["caption"])
    return found


def dying(kill: Callable[..., Awaitable[None]], *, after: bool) -> Callable[..., Awaitable[None]]:
    """The outbox's `created`, in a process that loses its database at that very moment."""
    real = outbox.created

    async def created(connection: Any, media: Any) -> None:
        if after:
            await real(connection, media)
        await kill(connection)

    return created


async def lose_connection(connection: Any) -> None:
    await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize("after", [False, True])
async def test_invariant_5_a_row_and_its_event_commit_together(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    upload = stories.uploaded()
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "created", dying(lose_connection, after=after))
        with pytest.raises(Unavailable):
            await take(database, upload)
    assert await all_rows(database, "media") == []
    assert await all_rows(database, "outbox") == []

    await take(database, upload)
    assert len(await all_rows(database, "media")) == len(await all_rows(database, "outbox")) == 1


async def test_a_relay_that_dies_after_telling_tells_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MemoryBus()
    await bus.ensure(TOPOLOGY)
    upload = stories.uploaded()
    await take(database, upload)

    async def lose(connection: Any, _told: Any) -> None:
        await lose_connection(connection)

    with monkeypatch.context() as broken:
        broken.setattr(relay, "_note", lose)
        with pytest.raises(Unavailable):
            await relay.tell_batch(database, bus)
    assert len(await all_rows(database, "outbox")) == 1
    await tell_all(database, bus)
    assert await all_rows(database, "outbox") == []
    assert await captions(bus, upload.id) == [None]


async def test_a_relay_that_was_away_for_longer_than_the_broker_remembers_tells_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MemoryBus()
    await bus.ensure(TOPOLOGY)
    first, second = stories.uploaded(), stories.uploaded()
    await take(database, first)
    await tell_all(database, bus)
    await take(database, second)

    async def lose(connection: Any, _told: Any) -> None:
        await lose_connection(connection)

    with monkeypatch.context() as broken:
        broken.setattr(relay, "_note", lose)
        with pytest.raises(Unavailable):
            await relay.tell_batch(database, bus)
    bus.broker.advance(600)
    async with database.writing(tell=False) as connection:
        await connection.execute(text("UPDATE outbox SET created_at = created_at - interval '10 minutes'"))
    await commands.remove(database, ANN, first.id)
    await tell_all(database, bus)

    assert await captions(bus, second.id) == [None]
    places = {
        row["sequence"] for row in await all_rows(database, "stored_events") if row["media_id"] == second.id
    }
    assert 2 in places


async def test_what_a_dying_relay_told_of_a_media_is_erased_when_the_media_was_deleted_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MemoryBus()
    await bus.ensure(TOPOLOGY)
    told, untold = stories.uploaded(), stories.uploaded()
    await take(database, told)

    async def lose(connection: Any, _told: Any) -> None:
        await lose_connection(connection)

    with monkeypatch.context() as broken:
        broken.setattr(relay, "_note", lose)
        with pytest.raises(Unavailable):
            await relay.tell_batch(database, bus)
    assert await bus.last_sequence(topology.MEDIA) == 1
    await take(database, untold)
    for upload in (told, untold):
        await commands.remove(database, ANN, upload.id)
    await tell_all(database, bus)
    while await relay.erase_batch(database, bus):
        pass

    left = [
        await bus.read(topology.MEDIA, place)
        for place in range(1, await bus.last_sequence(topology.MEDIA) + 1)
    ]
    subjects = [message.subject for message in left if message]
    assert subjects == ["media.v1.deleted.image", "media.v1.deleted.image"]
    assert await all_rows(database, "stored_events") == []


async def test_two_relays_at_once_keep_the_order_of_each_media(database: Database, bus: Bus) -> None:
    uploads = [stories.uploaded() for _ in range(3)]
    for upload in uploads:
        await take(database, upload)
    stop = asyncio.Event()

    async def tell() -> None:
        while not stop.is_set() or await all_rows(database, "outbox"):
            await relay.tell_batch(database, bus)

    relays = [asyncio.create_task(tell()) for _ in range(2)]
    for n in range(20):
        for upload in uploads:
            change = MediaPatch(caption=str(n))
            await commands.edit(database, ANN, upload.id, change, if_match=None, base_url=BASE)
    stop.set()
    await asyncio.gather(*relays)
    for upload in uploads:
        assert await captions(bus, upload.id) == [None, *map(str, range(20))]


async def test_what_cannot_be_told_stays_with_what_follows_it_and_holds_up_nobody_else(
    database: Database,
) -> None:
    stuck, free = stories.uploaded(), stories.uploaded()
    for upload in (stuck, free):
        await take(database, upload)
        await take(database, stories.processed(upload))
    bus = _Refusing(stuck.id)
    with pytest.raises(Unavailable):
        await relay.tell_batch(database, bus)
    left = await all_rows(database, "outbox")
    assert [row["media_id"] for row in left] == [stuck.id] * 2
    assert len(bus.told) == 2


class _Refusing(MemoryBus):
    """A broker that takes nothing about one media."""

    def __init__(self, media_id: uuid.UUID) -> None:
        super().__init__()
        self._media_id = str(media_id).encode()
        self.told: list[bytes] = []

    async def publish(self, subject: str, data: bytes, *, message_id: str, headers: Any = None) -> int:
        if self._media_id in data:
            raise Unavailable(f"{subject} {message_id} {headers} is refused.")
        self.told.append(data)
        return len(self.told)


class _SlowToErase(MemoryBus):
    """A broker that does not come to an end with what it is asked to erase."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def erase(self, stream: str, sequence: int) -> None:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError((stream, sequence))


async def test_a_long_erasing_does_not_hold_up_what_is_to_be_told(database: Database) -> None:
    bus = _SlowToErase()
    await bus.ensure(TOPOLOGY)
    gone = stories.uploaded()
    await take(database, gone)
    await tell_all(database, bus)
    await commands.remove(database, ANN, gone.id)
    stop = asyncio.Event()
    running = [
        asyncio.create_task(relay.relay(database, bus, stop, _Lag())),
        asyncio.create_task(relay.erasing(database, bus, stop)),
    ]
    try:
        await asyncio.wait_for(bus.asked.wait(), 10)
        await registry.put_entity(database, Entity(type="post", id="7", owners=("ann",)))
        entry = await eventually_async(
            lambda: bus.kv(topology.ENTITIES).get(entities.key("post", "7")), "the registry to know"
        )
        assert msgspec.json.decode(entry.value, type=Entity).owners == ("ann",)
    finally:
        stop.set()
        running[1].cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _SlowToStore(MemoryBus):
    """A broker that stores no event until it is awake, but knows its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.awake = asyncio.Event()

    async def publish(
        self, subject: str, data: bytes, *, message_id: str, headers: Headers | None = None
    ) -> int:
        self.asked.set()
        await self.awake.wait()
        return await super().publish(subject, data, message_id=message_id, headers=headers)


async def test_a_right_that_is_taken_away_does_not_wait_for_the_events_before_it(database: Database) -> None:
    bus = _SlowToStore()
    await bus.ensure(TOPOLOGY)
    await take(database, stories.uploaded())
    stop = asyncio.Event()
    running = asyncio.create_task(relay.relay(database, bus, stop, _Lag()))
    try:
        await asyncio.wait_for(bus.asked.wait(), 10)
        await registry.put_entity(database, Entity(type="post", id="7"))
        await eventually_async(
            lambda: bus.kv(topology.ENTITIES).get(entities.key("post", "7")), "the registry to know"
        )
    finally:
        bus.awake.set()
        stop.set()
        await running


async def test_with_the_broker_down_nothing_is_lost_and_it_is_told_when_it_is_back(
    database: Database, bus: Bus, broker: Broker
) -> None:
    broker.stop()
    upload = stories.uploaded()
    await take(database, upload)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.relay(database, bus, stop, _Lag()))
    assert len(await all_rows(database, "outbox")) == 1

    broker.start()

    async def told() -> bool:
        return not await all_rows(database, "outbox")

    await eventually_async(told, "the outbox to be told")
    stop.set()
    await running
    assert await captions(bus, upload.id) == [None]


class _Lag:
    def report(self, *, rows: int, seconds: float) -> None:
        assert rows >= 0
        assert seconds >= 0


async def test_the_registry_in_the_broker_follows_the_entities(database: Database, bus: Bus) -> None:
    await registry.put_entity(database, Entity(type="post", id="ä 1", owners=("ann",)))
    await registry.put_entity(database, Entity(type="post", id="ä 1", owners=("bob",), display_id="P-1"))
    await registry.put_entity(database, Entity(type="post", id="ä 1", owners=("bob",), display_id="P-1"))
    await tell_all(database, bus)
    entry = await bus.kv(topology.ENTITIES).get(entities.key("post", "ä 1"))
    assert entry is not None
    found = msgspec.json.decode(entry.value, type=Entity)
    assert found == Entity(type="post", id="ä 1", owners=("bob",), display_id="P-1", version=2)

    await registry.delete_entity(database, "post", "ä 1", base_url=BASE)
    await tell_all(database, bus)
    entry = await bus.kv(topology.ENTITIES).get(entities.key("post", "ä 1"))
    assert entry is not None
    assert msgspec.json.decode(entry.value, type=Entity).deleted


async def test_an_older_state_of_an_entity_never_replaces_a_newer_one(bus: Bus) -> None:
    key = entities.key("post", "1")
    states = [msgspec.json.encode(Entity(type="post", id="1", version=n)) for n in range(1, 6)]
    await asyncio.gather(*(relay.register(bus, key, state) for state in reversed(states)))
    await relay.register(bus, key, states[2])
    entry = await bus.kv(topology.ENTITIES).get(key)
    assert entry is not None
    assert msgspec.json.decode(entry.value, type=Entity).version == 5
