"""Corners of the consumer loop that a broker shows only when it misbehaves."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Unavailable
from shared.events.consumer import EventContext, consume
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
