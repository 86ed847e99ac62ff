"""What the twin offers beyond the contract: a clock that can be moved, and an outage at a word."""

import asyncio
from datetime import timedelta

import pytest

from shared.errors import Unavailable
from shared.events.memory import MemoryBus
from shared.events.topology import Bucket, Durable, Stream, Topology

THINGS = Stream(name="THINGS", subjects=("thing.v1",), max_bytes=1024 * 1024)
WORKER = Durable(
    name="worker",
    stream="THINGS",
    subjects=("thing.v1",),
    ack_wait=timedelta(seconds=60),
    max_ack_pending=10,
)
NOTES = Bucket(name="notes", max_bytes=1024, ttl=timedelta(hours=24))


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus()
    await bus.ensure(Topology(streams=(THINGS,), durables=(WORKER,), buckets=(NOTES,)))
    return bus


async def test_an_hour_of_waiting_passes_at_once(bus: MemoryBus) -> None:
    await bus.publish("thing.v1", b"a", message_id="1")
    (delivery,) = await bus.fetch(WORKER, batch=1, wait=0)
    await delivery.nak(3600)
    fetching = asyncio.create_task(bus.fetch(WORKER, batch=1, wait=30))
    await asyncio.wait({fetching}, timeout=0.05)
    assert not fetching.done()
    bus.broker.advance(3599)
    await asyncio.wait({fetching}, timeout=0.05)
    assert not fetching.done()
    bus.broker.advance(1)
    (again,) = await asyncio.wait_for(fetching, 5)
    assert again.delivered == 2


async def test_the_ack_wait_runs_by_the_clock(bus: MemoryBus) -> None:
    await bus.publish("thing.v1", b"a", message_id="1")
    (delivery,) = await bus.fetch(WORKER, batch=1, wait=0)
    bus.broker.advance(40)
    await delivery.in_progress()
    bus.broker.advance(40)
    assert await bus.fetch(WORKER, batch=1, wait=0) == []
    bus.broker.advance(20)
    assert len(await bus.fetch(WORKER, batch=1, wait=0)) == 1


async def test_a_message_id_is_forgotten_after_the_window(bus: MemoryBus) -> None:
    assert await bus.publish("thing.v1", b"a", message_id="1") == 1
    bus.broker.advance(119)
    assert await bus.publish("thing.v1", b"a", message_id="1") == 1
    bus.broker.advance(1)
    assert await bus.publish("thing.v1", b"a", message_id="1") == 2


async def test_a_day_later_a_value_with_an_age_limit_is_gone(bus: MemoryBus) -> None:
    notes = bus.kv("notes")
    await notes.put("a", b"x")
    bus.broker.advance(24 * 3600 - 1)
    assert await notes.get("a") is not None
    bus.broker.advance(1)
    assert await notes.get("a") is None


async def test_an_outage_ends_a_fetch_and_is_over_at_a_word(bus: MemoryBus) -> None:
    fetching = asyncio.create_task(bus.fetch(WORKER, batch=1, wait=30))
    await asyncio.wait({fetching}, timeout=0.05)
    bus.broker.stop()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(fetching, 5)
    assert not await bus.wait_connected(0)
    waiting = asyncio.create_task(bus.wait_connected(30))
    await asyncio.wait({waiting}, timeout=0.05)
    bus.broker.start()
    assert await asyncio.wait_for(waiting, 5)


async def test_two_buses_on_one_broker_see_the_same_streams(bus: MemoryBus) -> None:
    other = MemoryBus(bus.broker)
    await other.publish("thing.v1", b"a", message_id="1")
    assert len(await bus.fetch(WORKER, batch=1, wait=0)) == 1
    await other.close()
    assert not other.connected
    assert bus.connected
