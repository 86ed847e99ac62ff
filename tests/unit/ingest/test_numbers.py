"""Numbers are handed out once, whoever asks and however many ask at once."""

import asyncio

import pytest

from services.ingest.numbers import BLOCK, KEY, Numbers
from shared.errors import Unavailable
from shared.events import topology
from shared.events.memory import MemoryBus


async def test_two_allocators_never_hand_out_the_same_number(bus: MemoryBus) -> None:
    counters = bus.kv(topology.COUNTERS)
    await counters.create(KEY, b"7")
    replicas = [Numbers(counters) for _ in range(5)]

    taken = await asyncio.gather(*(replica.take() for replica in replicas for _ in range(2 * BLOCK + 1)))

    assert len(set(taken)) == len(taken) == 5 * (2 * BLOCK + 1)
    assert min(taken) == 7
    entry = await counters.get(KEY)
    assert entry is not None
    assert int(entry.value) == 7 + 15 * BLOCK
    assert max(taken) < int(entry.value)


async def test_no_number_and_no_readiness_before_the_catalog_has_made_the_counter(bus: MemoryBus) -> None:
    numbers = Numbers(bus.kv(topology.COUNTERS))
    with pytest.raises(Unavailable, match=r"media\.number") as refusal:
        await numbers.check()
    assert refusal.value.retry_after
    with pytest.raises(Unavailable):
        await numbers.take()
    assert await bus.kv(topology.COUNTERS).get(KEY) is None

    await bus.kv(topology.COUNTERS).create(KEY, b"1")
    await numbers.check()
    assert await numbers.take() == 1


async def test_after_the_broker_was_away_no_number_of_the_old_block_is_used(bus: MemoryBus) -> None:
    counters = bus.kv(topology.COUNTERS)
    await counters.create(KEY, b"1")
    numbers = Numbers(counters)
    assert await numbers.take() == 1
    numbers.forget()
    # The broker lost its state, and the catalog has made the counter from the highest number that it knows.
    await counters.put(KEY, b"2")
    other = Numbers(counters)
    assert len({await n.take() for n in (other, numbers) for _ in range(BLOCK)}) == 2 * BLOCK


async def test_a_block_that_is_reserved_lasts_while_the_broker_is_away(bus: MemoryBus) -> None:
    await bus.kv(topology.COUNTERS).create(KEY, b"1")
    numbers = Numbers(bus.kv(topology.COUNTERS))
    await numbers.take()
    bus.broker.stop()
    await numbers.check()
    assert [await numbers.take() for _ in range(BLOCK - 1)] == list(range(2, BLOCK + 1))
    with pytest.raises(Unavailable):
        await numbers.take()
