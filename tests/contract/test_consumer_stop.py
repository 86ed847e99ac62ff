"""What becomes of events when the consumer stops or the broker goes, over the twin and over NATS alike."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from shared.errors import Unavailable
from shared.events.bus import Bus
from shared.events.topology import Topology
from tests.contract.brokers import TOPOLOGY, WORKER, BusServer, fetch, running, until
from tests.contract.consumers import Loop, Recorder, send, settled


@pytest.fixture(autouse=True)
async def _ensured(bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)


async def test_stopping_lets_a_running_handler_finish(bus: Bus) -> None:
    finish = asyncio.Event()

    async def wait(_name: str, _turn: int) -> None:
        await finish.wait()

    handler = Recorder(wait)
    loop = Loop(bus, handler)
    await send(bus, "a")
    async with running(loop.work) as task:
        await until(lambda: handler.seen == ["a"])
        loop.stop.set()
        await asyncio.wait({task}, timeout=0.1)
        assert not task.done()
        finish.set()
        await asyncio.wait_for(task, 5)
    assert handler.done == ["a"]
    assert await settled(bus)


async def test_stopping_does_not_wait_for_ever_and_the_event_comes_again_elsewhere(bus: Bus) -> None:
    async def hang(_name: str, turn: int) -> None:
        if turn == 1:
            await asyncio.Event().wait()

    handler = Recorder(hang)
    loop = Loop(bus, handler, grace=0.1)
    await send(bus, "a")
    async with running(loop.work) as task:
        await until(lambda: handler.seen == ["a"])
        loop.stop.set()
        await asyncio.wait_for(task, 5)
    async with running(Loop(bus, handler).work):
        await until(lambda: handler.done == ["a"])


async def test_an_idle_consumer_stops_at_once(bus: Bus) -> None:
    loop = Loop(bus, Recorder())
    async with running(loop.work) as task:
        await asyncio.wait({task}, timeout=0.2)
        loop.stop.set()
        await asyncio.wait_for(task, 2)


async def test_events_that_wait_here_are_handed_on_when_the_consumer_stops(bus: Bus) -> None:
    patient = msgspec.structs.replace(WORKER, name="patient", ack_wait=timedelta(seconds=60))
    await bus.ensure(Topology(streams=(), durables=(patient,), buckets=()))
    finish = asyncio.Event()

    async def wait(_name: str, _turn: int) -> None:
        await finish.wait()

    handler = Recorder(wait)
    loop = Loop(bus, handler, patient, batch=5)
    for name in "abc":
        await send(bus, name)
    async with running(loop.work) as task:
        await until(lambda: handler.seen == ["a"])
        loop.stop.set()
        finish.set()
        await asyncio.wait_for(task, 5)
    assert handler.done == ["a"]
    assert [delivery.delivered for delivery in await fetch(bus, durable=patient)] == [2, 2]


async def test_a_held_event_is_handed_on_when_the_consumer_stops(bus: Bus) -> None:
    patient = msgspec.structs.replace(WORKER, name="patient", ack_wait=timedelta(seconds=60))
    await bus.ensure(Topology(streams=(), durables=(patient,), buckets=()))

    async def down(_name: str, _turn: int) -> None:
        raise Unavailable("The object store is away.")

    handler = Recorder(down)
    loop = Loop(bus, handler, patient, hold=(30.0,))
    await send(bus, "a")
    async with running(loop.work) as task:
        await until(lambda: handler.seen == ["a"])
        loop.stop.set()
        await asyncio.wait_for(task, 5)
    assert [delivery.delivered for delivery in await fetch(bus, durable=patient)] == [2]


async def test_the_consumer_waits_out_a_broker_that_is_down(bus_server: BusServer, bus: Bus) -> None:
    handler = Recorder()
    loop = Loop(bus, handler)
    async with running(loop.work):
        await send(bus, "before")
        await until(lambda: handler.done == ["before"])
        await bus_server.stop()
        await until(lambda: not bus.connected)
        await bus_server.start()
        await until(lambda: bus.connected)
        await send(bus, "after")
        await until(lambda: handler.done == ["before", "after"])


async def test_a_job_that_outlives_an_outage_is_run_once_and_acknowledged(
    bus_server: BusServer, bus: Bus
) -> None:
    finish = asyncio.Event()

    async def wait(_name: str, _turn: int) -> None:
        await finish.wait()

    handler = Recorder(wait)
    loop = Loop(bus, handler, concurrency=2)
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: handler.seen == ["a"])
        await bus_server.stop()
        await until(lambda: not bus.connected)
        await asyncio.wait(
            [asyncio.create_task(asyncio.Event().wait())], timeout=2 * WORKER.ack_wait.total_seconds()
        )
        await bus_server.start()
        await until(lambda: bus.connected)
        # By now the broker has handed it out again, to the same loop.
        await send(bus, "b")
        await until(lambda: "b" in handler.seen)
        finish.set()
        await until(lambda: loop.count("handled") == 2)
        assert await settled(bus)
    assert sorted(handler.seen) == ["a", "b"]
