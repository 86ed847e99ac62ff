"""What the bus on NATS does when the server is away: it waits for as long as it takes, and misses nothing after."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from shared.errors import Unavailable
from shared.events.bus import Message
from shared.events.jetstream import BusSettings, JetStreamBus, connect
from tests.contract.brokers import SUBJECT, TOPOLOGY, WORKER, fetch, new_id, publish, running, until
from tests.contract.consumers import Loop, Recorder, send
from tests.fixtures.servers import Broker


@asynccontextmanager
async def connected(broker: Broker, *, reconnect_wait: float = 0.05) -> AsyncIterator[JetStreamBus]:
    bus = await connect(BusSettings(url=broker.url, reconnect_wait=reconnect_wait))
    try:
        yield bus
    finally:
        await bus.close()


async def stop(broker: Broker, number: int = signal.SIGTERM) -> None:
    await asyncio.to_thread(broker.stop, number)


async def start(broker: Broker) -> None:
    await asyncio.to_thread(broker.start)


async def shout(message: Message) -> bytes:
    return message.data.upper()


async def test_a_service_may_start_before_the_broker(broker: Broker) -> None:
    await stop(broker)
    began = time.monotonic()
    async with connected(broker) as bus:
        assert time.monotonic() - began < 2
        assert not bus.connected
        with pytest.raises(Unavailable):
            await bus.ensure(TOPOLOGY)
        await start(broker)
        assert await bus.wait_connected(5)
        # What was to be ensured is remembered, and made as soon as there is somebody to make it.
        assert await publish(bus, b"one") == 1


async def test_after_a_restart_an_idle_consumer_handles_the_first_event_within_five_seconds(
    broker: Broker,
) -> None:
    async with connected(broker, reconnect_wait=2) as bus:
        await bus.ensure(TOPOLOGY)
        handler = Recorder()
        async with running(Loop(bus, handler).work), connected(broker) as other:
            await send(bus, "before")
            await until(lambda: handler.done == ["before"])
            await stop(broker, signal.SIGKILL)
            await start(broker)
            await other.wait_connected(5)
            await send(other, "after")
            # A killed server may forget an ack that it has confirmed, so "before" may come again.
            assert await until(lambda: "after" in handler.done) < 5


async def everything_works_after(broker: Broker, bus: JetStreamBus, away: asyncio.Future[None]) -> None:
    """Open everything, take the broker away until `away` is done, bring it back, and use everything."""
    handler = Recorder()
    inbox = bus.inbox()
    async with (
        running(Loop(bus, handler).work),
        bus.listen("news.a") as news,
        bus.listen(inbox) as mail,
        bus.serve("echo.v1", "echo", shout),
    ):
        await stop(broker)
        await away
        assert not bus.connected
        await start(broker)
        assert await bus.wait_connected(30)
        await send(bus, "after")
        await until(lambda: "after" in handler.done)
        await bus.broadcast("news.a", b"news")
        await bus.broadcast(inbox, b"mail")
        assert [(await anext(messages)).data for messages in (news, mail)] == [b"news", b"mail"]
        assert await bus.request("echo.v1", b"a", timeout=2) == b"A"


async def test_after_more_than_sixty_failed_attempts_everything_works_by_itself(broker: Broker) -> None:
    async with connected(broker, reconnect_wait=0.01) as bus:
        await bus.ensure(TOPOLOGY)
        enough = until(lambda: bus.failed_attempts > 80, timeout=30)

        async def away() -> None:
            await enough

        await everything_works_after(broker, bus, asyncio.ensure_future(away()))


@pytest.mark.long
@pytest.mark.timeout(420)
async def test_after_five_minutes_away_everything_works_by_itself(broker: Broker) -> None:
    async with connected(broker, reconnect_wait=BusSettings().reconnect_wait) as bus:
        await bus.ensure(TOPOLOGY)
        await everything_works_after(broker, bus, asyncio.ensure_future(asyncio.sleep(300)))
        assert bus.failed_attempts == 0


async def test_what_failed_while_the_broker_was_down_is_not_sent_later(broker: Broker) -> None:
    async with connected(broker) as bus:
        await bus.ensure(TOPOLOGY)
        await stop(broker)
        for _ in range(5):
            with pytest.raises(Unavailable):
                await publish(bus, b"too late")
        await start(broker)
        assert await bus.wait_connected(5)
        assert await publish(bus, b"now") == 1
        assert [delivery.data for delivery in await fetch(bus)] == [b"now"]


async def test_a_call_under_way_when_the_broker_is_killed_fails_soon(broker: Broker) -> None:
    async with connected(broker) as bus:
        await bus.ensure(TOPOLOGY)

        async def publish_for_ever() -> None:
            while True:
                await publish(bus, b"x")

        async with running(publish_for_ever()) as publishing:
            await until(lambda: _has_events(bus))
            await stop(broker, signal.SIGKILL)
            with pytest.raises(Unavailable):
                await asyncio.wait_for(asyncio.shield(publishing), 3)


async def _has_events(bus: JetStreamBus) -> bool:
    return await bus.last_sequence("THINGS") > 10


async def test_a_broker_that_lost_everything_gets_its_topology_back(broker: Broker) -> None:
    async with connected(broker) as bus:
        await bus.ensure(TOPOLOGY)
        handler = Recorder()
        loop = Loop(bus, handler)
        async with running(loop.work):
            await send(bus, "lost")
            await until(lambda: loop.count("handled") == 1)
            await stop(broker)
            await asyncio.to_thread(broker.forget)
            await start(broker)
            assert await bus.wait_connected(5)
            await bus.kv("words").create("a", b"b")
            await send(bus, "first")
            await until(lambda: handler.done == ["lost", "first"])
            assert await bus.last_sequence("THINGS") == 1


async def test_a_frozen_broker_makes_calls_fail_in_time_and_is_used_again_after(broker: Broker) -> None:
    async with connected(broker) as bus:
        await bus.ensure(TOPOLOGY)
        broker.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await publish(bus, b"one")
            assert 3 < time.monotonic() - began < 8
        finally:
            broker.send_signal(signal.SIGCONT)
        # The outcome was unknown; with its id the retry does no harm, whether it had arrived or not.
        await bus.publish(SUBJECT, b"two", message_id=new_id())
        assert {delivery.data for delivery in await fetch(bus)} >= {b"one", b"two"}


async def test_a_client_that_has_gone_deaf_without_noticing_is_replaced(broker: Broker) -> None:
    async with connected(broker) as bus:
        await bus.ensure(TOPOLOGY)
        client = bus._connection._client
        assert client is not None
        assert client._reading_task is not None
        client._reading_task.cancel()
        await until(lambda: bus._connection._client not in {client, None})
        assert await bus.wait_connected(5)
        assert await publish(bus, b"one") == 1


async def test_events_published_while_fetches_are_cancelled_are_not_held_back(broker: Broker) -> None:
    async with connected(broker) as bus:
        patient = msgspec.structs.replace(WORKER, name="patient", ack_wait=timedelta(seconds=60))
        await bus.ensure(msgspec.structs.replace(TOPOLOGY, durables=(patient,)))
        for number in range(50):
            fetching = asyncio.create_task(fetch(bus, durable=patient, wait=20))
            await asyncio.wait({fetching}, timeout=0.001 * (number % 5))
            publishing = asyncio.create_task(publish(bus, b"%d" % number))
            await asyncio.wait({fetching}, timeout=0.001 * (number % 3))
            fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                for delivery in await fetching:
                    await delivery.nak(0)
            await publishing
            (delivery,) = await fetch(bus, durable=patient, wait=5)
            assert delivery.data == b"%d" % number
            await delivery.ack()
