"""What a broker that is killed must still know when it comes back."""

import asyncio
import signal

import pytest

from shared.errors import Unavailable
from shared.events.jetstream import connect
from shared.events.jetstream_connection import BusSettings
from shared.events.topology import INTENTS, TOPOLOGY
from tests.fixtures.servers import Broker
from tests.fixtures.waiting import eventually_async

MARKS_ONCE_WENT_AFTER = 60


@pytest.mark.long
async def test_a_deleted_key_stays_deleted_when_the_broker_is_killed_a_minute_later(broker: Broker) -> None:
    bus = await connect(BusSettings(url=broker.url, reconnect_wait=0.1), wait=5)
    await bus.ensure(TOPOLOGY)
    bucket = bus.kv(INTENTS)
    await bucket.create("stays", b"there")  # else the file would be empty, and gone
    for number in range(20):
        await bucket.create(f"goes-{number}", b"there")
        await bucket.delete(f"goes-{number}")
    await asyncio.sleep(MARKS_ONCE_WENT_AFTER + 3)
    broker.stop(signal.SIGKILL)
    broker.start()

    async def left() -> list[str] | None:
        try:
            return await bucket.keys()
        except Unavailable:
            return None

    assert await eventually_async(left, "the bucket to be readable again") == ["stays"]
    await bus.close()
