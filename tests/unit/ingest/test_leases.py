"""Records held by one process: renewed while it works, and not lost to an answer that did not come."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.ingest.leases import Lease, Leased, Lost, now_plus, renewed
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import KeyValue
from shared.events.memory import MemoryBus
from shared.events.memory_kv import MemoryKeyValue


class Note(Leased, frozen=True, kw_only=True):
    text: str = ""


@pytest.fixture
def bucket(bus: MemoryBus) -> KeyValue:
    return bus.kv(topology.INTENTS)


async def held(bucket: KeyValue, holder: str = "me", lasting: float = 30) -> Lease[Note]:
    return await Lease.create(bucket, "a", Note(holder=holder, until=now_plus(lasting)))


async def read(bucket: KeyValue) -> Note:
    entry = await bucket.get("a")
    assert entry is not None
    return msgspec.json.decode(entry.value, type=Note)


async def test_changes_follow_each_other_also_when_they_overlap(bucket: KeyValue) -> None:
    lease = await held(bucket)
    await asyncio.gather(*(lease.change(text=str(n)) for n in range(20)))
    assert (await read(bucket)).text == lease.record.text == "19"


async def test_a_write_that_happened_though_its_answer_was_lost_is_recognised_as_ours(
    bucket: KeyValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await held(bucket)
    update = MemoryKeyValue.update

    async def deaf(self: MemoryKeyValue, key: str, value: bytes, revision: int) -> int:
        await update(self, key, value, revision)
        raise Unavailable("no answer")

    monkeypatch.setattr(MemoryKeyValue, "update", deaf)
    with pytest.raises(Unavailable):
        await lease.change(text="first")
    monkeypatch.undo()
    await lease.change(text="second")
    assert (await read(bucket)).text == "second"
    await lease.delete()
    assert await bucket.get("a") is None


@pytest.mark.parametrize("how", ["taken over", "deleted"])
async def test_a_lost_lease_changes_and_deletes_nothing(bucket: KeyValue, how: str) -> None:
    lease = await held(bucket)
    entry = await bucket.get("a")
    assert entry is not None
    if how == "taken over":
        await Lease.take_over(bucket, "a", Note(holder="you", until=now_plus(30)), entry.revision)
    else:
        await bucket.delete("a")
    with pytest.raises(Lost):
        await lease.change(text="mine")
    await lease.delete()
    if how == "taken over":
        assert (await read(bucket)).holder == "you"


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - a bucket has no event to wait for
            await asyncio.sleep(0)


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(bucket: KeyValue) -> None:
    lease = await held(bucket, lasting=0)
    assert lease.record.expired
    received = 0

    async def newer() -> bool:
        return (await read(bucket)).text == "2"

    async with renewed(lease, every=0.001, lasting=60, changes=lambda: {"text": str(received)}):
        received = 2
        await until(newer)
    assert not (await read(bucket)).expired
    after = await bucket.get("a")
    await asyncio.sleep(0.01)
    now = await bucket.get("a")
    assert now
    assert after
    assert now.revision == after.revision


async def test_a_broker_that_is_away_does_not_end_the_work(bus: MemoryBus, bucket: KeyValue) -> None:
    lease = await held(bucket, lasting=0)
    bus.broker.stop()
    async with renewed(lease, every=0.001, lasting=60):
        await asyncio.sleep(0.01)
        bus.broker.start()

        async def back() -> bool:
            return (await read(bucket)).until > datetime.now(UTC)

        await until(back)
