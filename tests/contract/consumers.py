"""A consumer loop beside a test, with a handler that does what the test says."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from shared.events.bus import Bus
from shared.events.consumer import ConsumerMetrics, EventContext, consume
from shared.events.messages import UserDeleted, encode
from shared.events.topology import Durable
from tests.contract.brokers import SUBJECT, WORKER, fetch, new_id


async def send(bus: Bus, name: str, *, traceparent: str | None = None, subject: str = SUBJECT) -> int:
    """Publish an event that says who it is about."""
    event_id = new_id()
    data = encode(
        UserDeleted(sub=name),
        source="test",
        event_id=event_id,
        subject=name,
        time=datetime.now(UTC),
        traceparent=traceparent,
    )
    return await bus.publish(subject, data, message_id=event_id, headers={"Tripod-Reply": f"inbox.{name}"})


def name_of(context: EventContext) -> str:
    assert isinstance(context.event, UserDeleted)
    return context.event.sub


class Recorder:
    """A handler that does what the test says, by the event's name, and remembers whom it saw."""

    def __init__(self, behaviour: Callable[[str, int], Awaitable[None]] | None = None) -> None:
        self.seen: list[str] = []
        self.contexts: list[EventContext] = []
        self.done: list[str] = []
        self._behaviour = behaviour

    async def __call__(self, context: EventContext) -> None:
        name = name_of(context)
        self.seen.append(name)
        self.contexts.append(context)
        if self._behaviour is not None:
            await self._behaviour(name, self.seen.count(name))
        self.done.append(name)


class Loop:
    """One consumer that runs beside the test."""

    def __init__(self, bus: Bus, handler: Recorder, durable: Durable = WORKER, **options: Any) -> None:
        self.stop = asyncio.Event()
        self.registry = CollectorRegistry()
        defaults: dict[str, Any] = {"hold": (0.05,), "metrics": ConsumerMetrics(self.registry)}
        self.work = consume(bus, durable, handler, stop=self.stop, **(defaults | options))

    def count(self, what: str) -> float:
        return self.registry.get_sample_value(f"tripod_events_{what}_total", {"durable": "worker"}) or 0


async def settled(bus: Bus, durable: Durable = WORKER) -> bool:
    """Whether nothing of the durable is left to hand out, now or after the ack wait."""
    return await fetch(bus, wait=durable.ack_wait.total_seconds() + 0.3, durable=durable) == []
