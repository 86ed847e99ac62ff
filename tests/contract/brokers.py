"""The brokers that the contract runs on, and what its tests keep in them."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from shared.events.bus import Bus, Delivery
from shared.events.jetstream import BusSettings, JetStreamBus, connect
from shared.events.memory import MemoryBus
from shared.events.memory_broker import MemoryBroker
from shared.events.topology import Bucket, Durable, Stream, Topology
from tests.fixtures.servers import Broker

THINGS = Stream(name="THINGS", subjects=("thing.v1.>",), max_bytes=1024 * 1024, max_message_bytes=1024)
DEAD = Stream(name="DEAD", subjects=("dead.v1.>",), max_bytes=1024 * 1024)
WORKER = Durable(
    name="worker",
    stream="THINGS",
    subjects=("thing.v1.made.>", "thing.v1.lost"),
    ack_wait=timedelta(seconds=0.5),
    max_ack_pending=10,
    attempts=3,
    backoff=(0.05, 0.1),
)
BUCKET = Bucket(name="words", max_bytes=1024 * 1024)
SHORT_LIVED = Bucket(name="notes", max_bytes=1024 * 1024, ttl=timedelta(seconds=1))
TOPOLOGY = Topology(streams=(THINGS, DEAD), durables=(WORKER,), buckets=(BUCKET, SHORT_LIVED))

SUBJECT = "thing.v1.made.red"


class BusServer(Protocol):
    """A broker that can be connected to, and be down."""

    async def connect(self) -> Bus: ...
    async def stop(self) -> None: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...


class MemoryServer:
    def __init__(self) -> None:
        self._broker = MemoryBroker()

    async def connect(self) -> Bus:
        return MemoryBus(self._broker)

    async def stop(self) -> None:
        self._broker.stop()

    async def start(self) -> None:
        self._broker.start()

    async def close(self) -> None:
        pass


class NatsServer:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._buses: list[JetStreamBus] = []

    async def connect(self) -> Bus:
        bus = await connect(BusSettings(url=self._broker.url, reconnect_wait=0.05))
        self._buses.append(bus)
        return bus

    async def stop(self) -> None:
        await asyncio.to_thread(self._broker.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self._broker.start)

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()


def new_id() -> str:
    return uuid.uuid4().hex


async def publish(bus: Bus, data: bytes, subject: str = SUBJECT) -> int:
    return await bus.publish(subject, data, message_id=new_id())


async def fetch(bus: Bus, *, batch: int = 10, wait: float = 3, durable: Durable = WORKER) -> list[Delivery]:
    return await bus.fetch(durable, batch=batch, wait=wait)


async def fetch_one(bus: Bus, *, wait: float = 3) -> Delivery:
    deliveries = await fetch(bus, batch=1, wait=wait)
    assert len(deliveries) == 1
    return deliveries[0]


async def until(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool], *, timeout: float = 10
) -> float:
    """Wait for a condition; how many seconds it took."""
    began = time.monotonic()
    async with asyncio.timeout(timeout):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return time.monotonic() - began
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[asyncio.Future[None]]:
    """Run something beside the block, and end it with the block."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
