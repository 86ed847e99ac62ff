"""Corners of the consumer loop that a broker shows only when it misbehaves."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Unavailable
from shared.events.consumer import EventContext, consume, unless
from shared.events.memory import MemoryBus, MemoryDelivery
from shared.events.messages import UserDeleted, encode
from shared.events.topology import Durable, Stream, Topology

THINGS = Stream(name="THINGS", subjects=("thing.v1",), max_bytes=1024 * 1024)
WORKER = Durable(
    name="worker",
    stream="THINGS",
    subjects=("thing.v1",),
    ack_wait=timedelta(seconds=60),
    max_ack_pending=10,
)


async def test_an_ack_that_is_never_confirmed_does_not_hold_up_what_comes_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = MemoryBus()
    await bus.ensure(Topology(streams=(THINGS,), durables=(WORKER,), buckets=()))
    for name in ("a", "b"):
        data = encode(
            UserDeleted(sub=name),
            source="test",
            event_id=name,
            subject=name,
            time=datetime.now(UTC),
            traceparent=None,
        )
        await bus.publish("thing.v1", data, message_id=name)
    acks: list[int] = []

    async def unconfirmed(delivery: MemoryDelivery) -> None:
        acks.append(delivery.sequence)
        raise Unavailable("The message broker did not answer in time.")

    monkeypatch.setattr(MemoryDelivery, "ack", unconfirmed)
    handled: list[str] = []
    stop = asyncio.Event()

    async def handle(context: EventContext) -> None:
        handled.append(context.envelope.id)
        if context.envelope.id == "b":
            stop.set()

    await asyncio.wait_for(consume(bus, WORKER, handle, stop=stop, hold=(0.01,)), 5)
    assert handled == ["a", "b"]
    assert acks[:2] == [1, 1]


async def test_what_work_has_brought_is_not_dropped_when_it_ignores_its_cancellation() -> None:
    stop = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except (
            asyncio.CancelledError
        ):  # as asyncio.wait_for of Python 3.11 does when an answer comes just then
            return "brought"
        return "never"

    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert await unless(stop, work()) == "brought"


async def test_work_ends_with_none_when_it_is_time_to_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    assert await unless(stop, asyncio.sleep(60, "late")) is None


async def test_an_error_of_the_work_comes_out() -> None:
    async def fail() -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await unless(asyncio.Event(), fail())
