"""What the consumer loop promises to handlers, over the twin and over NATS alike."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from shared import trace
from shared.events.bus import Bus
from shared.events.consumer import EventContext, consume
from shared.events.messages import Progress, encode
from tests.contract.brokers import SUBJECT, TOPOLOGY, WORKER, BusServer, fetch, running, until
from tests.contract.consumers import Loop, Recorder, send, settled

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
async def _ensured(bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)


async def test_each_event_is_handled_once_and_acknowledged(bus: Bus) -> None:
    handler = Recorder()
    loop = Loop(bus, handler)
    for name in "abc":
        await send(bus, name)
    async with running(loop.work):
        await until(lambda: loop.count("handled") == 3)
    assert handler.seen == ["a", "b", "c"]
    assert await settled(bus)


async def test_a_handler_gets_the_event_and_all_that_is_known_of_it(bus: Bus) -> None:
    handler = Recorder()
    sequence = await send(bus, "a")
    async with running(Loop(bus, handler).work):
        await until(lambda: handler.done == ["a"])
    context = handler.contexts[0]
    assert (context.subject, context.sequence, context.delivered) == (SUBJECT, sequence, 1)
    assert dict(context.headers) == {"Tripod-Reply": "inbox.a"}
    assert (context.envelope.type, context.envelope.subject) == ("user.deleted.v1", "a")


async def test_a_handler_runs_in_the_trace_of_its_event(bus: Bus) -> None:
    heard: list[str | None] = []

    async def note(_name: str, _turn: int) -> None:
        heard.append(trace.traceparent())

    handler = Recorder(note)
    await send(bus, "a", traceparent=TRACEPARENT)
    async with running(Loop(bus, handler).work):
        await until(lambda: handler.done == ["a"])
    assert heard[0] is not None
    assert heard[0].split("-")[1] == TRACEPARENT.split("-")[1]
    assert handler.contexts[0].trace.trace_id == TRACEPARENT.split("-")[1]
    assert trace.current() is None


async def test_with_concurrency_one_events_run_in_order_and_one_at_a_time(bus: Bus) -> None:
    inside = Counter[str]()

    async def alone(_name: str, _turn: int) -> None:
        inside["now"] += 1
        inside["most"] = max(inside["most"], inside["now"])
        await asyncio.sleep(0)
        inside["now"] -= 1

    handler = Recorder(alone)
    names = [f"{number:02}" for number in range(30)]
    for name in names:
        await send(bus, name)
    async with running(Loop(bus, handler, batch=10).work):
        await until(lambda: len(handler.done) == 30)
    assert handler.done == names
    assert inside["most"] == 1


async def test_as_many_events_run_at_once_as_allowed_and_no_more(bus: Bus) -> None:
    open_gate = asyncio.Event()
    inside = Counter[str]()

    async def wait(_name: str, _turn: int) -> None:
        inside["now"] += 1
        inside["most"] = max(inside["most"], inside["now"])
        await open_gate.wait()
        inside["now"] -= 1

    handler = Recorder(wait)
    for number in range(6):
        await send(bus, f"{number}")
    async with running(Loop(bus, handler, concurrency=3).work):
        await until(lambda: len(handler.seen) == 3)
        open_gate.set()
        await until(lambda: len(handler.done) == 6)
    assert inside["most"] == 3


async def test_a_short_job_beside_a_long_one_does_not_wait_for_it(bus: Bus) -> None:
    async def long_one(name: str, _turn: int) -> None:
        if name == "long":
            await asyncio.Event().wait()

    handler = Recorder(long_one)
    async with running(Loop(bus, handler, concurrency=2, grace=0).work):
        await send(bus, "long")
        await until(lambda: handler.seen == ["long"])
        for name in "abc":
            await send(bus, name)
        await until(lambda: handler.done == ["a", "b", "c"])


async def test_a_long_job_keeps_its_event_by_heartbeats(bus_server: BusServer, bus: Bus) -> None:
    rival = await bus_server.connect()
    finish = asyncio.Event()

    async def wait(_name: str, _turn: int) -> None:
        await finish.wait()

    handler = Recorder(wait)
    await send(bus, "a")
    async with running(Loop(bus, handler).work):
        await until(lambda: handler.seen == ["a"])
        assert await fetch(rival, wait=3 * WORKER.ack_wait.total_seconds()) == []
        finish.set()
        await until(lambda: handler.done == ["a"])


async def test_events_that_wait_for_their_turn_are_kept_by_heartbeats_too(
    bus_server: BusServer, bus: Bus
) -> None:
    rival = await bus_server.connect()
    finish = asyncio.Event()

    async def wait(_name: str, _turn: int) -> None:
        await finish.wait()

    handler = Recorder(wait)
    for name in "abcd":
        await send(bus, name)
    async with running(Loop(bus, handler, batch=4).work):
        await until(lambda: handler.seen == ["a"])
        assert await fetch(rival, wait=3 * WORKER.ack_wait.total_seconds()) == []
        finish.set()
        await until(lambda: len(handler.done) == 4)
    assert handler.seen == ["a", "b", "c", "d"]


async def test_two_consumers_share_the_events(bus_server: BusServer, bus: Bus) -> None:
    other = await bus_server.connect()
    handler = Recorder()
    async with running(Loop(bus, handler).work), running(Loop(other, handler).work):
        names = [f"{number:02}" for number in range(20)]
        for name in names:
            await send(bus, name)
        await until(lambda: len(handler.done) == 20)
    assert sorted(handler.seen) == names


async def test_an_event_of_a_type_that_is_not_stored_can_be_decoded_too(bus: Bus) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    media_id = "01987d6c-0000-7000-8000-000000000000"
    event = msgspec.convert(
        {"id": media_id, "owner": "u", "stage": "decode", "percent": 10, "at": moment}, Progress
    )
    data = encode(event, source="processor", event_id="1", subject=media_id, time=moment, traceparent=None)
    seen: list[EventContext] = []

    async def note(context: EventContext) -> None:
        seen.append(context)

    await bus.publish(SUBJECT, data, message_id="1")
    async with running(consume(bus, WORKER, note, stop=asyncio.Event())):
        await until(lambda: len(seen) == 1)
    assert seen[0].event == event
