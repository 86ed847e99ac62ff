"""What every bus promises for core messages and requests, on the twin and on NATS alike."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from shared.errors import Unavailable
from shared.events.bus import Bus, Message, NoAnswer
from shared.events.listener import LONGEST
from tests.contract.brokers import SUBJECT, TOPOLOGY, BusServer, new_id, until


async def shout(message: Message) -> bytes:
    return message.data.upper() + message.headers.get("Mark", "").encode()


async def test_who_listens_hears_what_another_connection_sends(bus_server: BusServer, bus: Bus) -> None:
    other = await bus_server.connect()
    async with bus.listen("progress.v1.*") as messages:
        await other.broadcast("progress.v1.7", b"50", {"A": "b"})
        message = await anext(messages)
    assert (message.subject, message.data, dict(message.headers)) == ("progress.v1.7", b"50", {"A": "b"})


async def test_every_listener_hears_every_message(bus_server: BusServer, bus: Bus) -> None:
    other = await bus_server.connect()
    async with bus.listen("news.>") as here, bus.listen("news.a") as too, other.listen("news.a") as there:
        await bus.broadcast("news.a", b"1")
        assert [(await anext(messages)).data for messages in (here, too, there)] == [b"1"] * 3


async def test_a_listener_hears_stored_events_as_they_are_stored(bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)
    async with bus.listen("thing.v1.>") as messages:
        await bus.publish(SUBJECT, b"one", message_id=new_id(), headers={"A": "b"})
        message = await anext(messages)
    assert (message.subject, message.data, dict(message.headers)) == (SUBJECT, b"one", {"A": "b"})


async def test_a_listener_hears_nothing_after_it_left(bus: Bus) -> None:
    async with bus.listen("news.a") as messages:
        pass
    async with bus.listen("news.a") as later:
        await bus.broadcast("news.a", b"1")
        await anext(later)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(messages), 0.1)


async def test_a_slow_reader_loses_the_oldest_and_keeps_the_newest(bus: Bus) -> None:
    async with bus.listen("flood.>") as slow, bus.listen("flood.end") as end:
        for number in range(LONGEST + 100):
            await bus.broadcast("flood.a", b"%d" % number)
        await bus.broadcast("flood.end", b"end")
        await anext(end)
        heard = [(await anext(slow)).data for _ in range(LONGEST)]
    assert heard[0] == b"101"
    assert heard[-2:] == [b"%d" % (LONGEST + 99), b"end"]


async def test_each_inbox_is_fresh_and_reachable_by_others(bus_server: BusServer, bus: Bus) -> None:
    other = await bus_server.connect()
    mine, second, theirs = bus.inbox(), bus.inbox(), other.inbox()
    assert len({mine, second, theirs}) == 3
    async with bus.listen(mine) as messages:
        await other.broadcast(second, b"not for us")
        await other.broadcast(mine, b"for us")
        assert (await anext(messages)).data == b"for us"


async def test_a_request_gets_the_answer(bus_server: BusServer, bus: Bus) -> None:
    other = await bus_server.connect()
    async with other.serve("echo.v1", "echo", shout):
        assert await bus.request("echo.v1", b"abc", timeout=2, headers={"Mark": "!"}) == b"ABC!"


async def test_requests_are_answered_side_by_side(bus: Bus) -> None:
    both = asyncio.Barrier(2)

    async def wait_for_the_other(_: Message) -> bytes:
        await both.wait()
        return b"done"

    async with bus.serve("echo.v1", "echo", wait_for_the_other):
        answers = await asyncio.gather(*(bus.request("echo.v1", b"", timeout=2) for _ in range(2)))
    assert answers == [b"done", b"done"]


async def test_one_server_of_a_queue_answers_each_request_and_all_of_them_some(
    bus_server: BusServer, bus: Bus
) -> None:
    other = await bus_server.connect()
    served = [0, 0]

    def counting(index: int) -> Callable[[Message], Awaitable[bytes]]:
        async def handle(_: Message) -> bytes:
            served[index] += 1
            return b""

        return handle

    async with bus.serve("echo.v1", "echo", counting(0)), other.serve("echo.v1", "echo", counting(1)):
        for _ in range(60):
            await bus.request("echo.v1", b"", timeout=2)
    assert sum(served) == 60
    assert min(served) > 0


async def test_a_request_that_nobody_serves_has_no_answer_at_once(bus: Bus) -> None:
    began = time.monotonic()
    with pytest.raises(NoAnswer):
        await bus.request("nobody.v1", b"", timeout=20)
    assert time.monotonic() - began < 2


async def test_a_request_whose_server_is_too_slow_has_no_answer(bus: Bus) -> None:
    async def never(_: Message) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with bus.serve("slow.v1", "slow", never):
        with pytest.raises(NoAnswer):
            await bus.request("slow.v1", b"", timeout=0.2)


async def test_a_request_whose_server_fails_has_no_answer_and_the_server_goes_on(bus: Bus) -> None:
    async def fail_once(message: Message) -> bytes:
        if message.data == b"bad":
            raise ZeroDivisionError
        return b"good"

    async with bus.serve("frail.v1", "frail", fail_once):
        with pytest.raises(NoAnswer):
            await bus.request("frail.v1", b"bad", timeout=20)
        assert await bus.request("frail.v1", b"", timeout=2) == b"good"


async def test_a_server_that_left_answers_no_more(bus: Bus) -> None:
    async with bus.serve("echo.v1", "echo", shout):
        pass
    with pytest.raises(NoAnswer):
        await bus.request("echo.v1", b"", timeout=2)


async def test_while_the_broker_is_down_every_call_is_unavailable_at_once(
    bus_server: BusServer, bus: Bus
) -> None:
    await bus.ensure(TOPOLOGY)
    await bus_server.stop()
    await until(lambda: not bus.connected)
    words = bus.kv("words")
    began = time.monotonic()
    for call in (
        lambda: bus.publish(SUBJECT, b"", message_id=new_id()),
        lambda: bus.fetch(TOPOLOGY.durable("worker"), batch=1, wait=20),
        lambda: bus.broadcast("news.a", b""),
        lambda: bus.request("echo.v1", b"", timeout=20),
        lambda: bus.ensure(TOPOLOGY),
        lambda: bus.erase("THINGS", 1),
        lambda: bus.read("THINGS", 1),
        lambda: bus.last_sequence("THINGS"),
        lambda: words.get("a"),
        lambda: words.put("a", b""),
        lambda: words.create("a", b""),
        lambda: words.update("a", b"", 1),
        lambda: words.delete("a"),
        words.keys,
    ):
        with pytest.raises(Unavailable):
            await call()
    assert time.monotonic() - began < 2


async def test_a_call_under_way_ends_when_the_broker_goes_down(bus_server: BusServer, bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)
    fetching = asyncio.create_task(bus.fetch(TOPOLOGY.durable("worker"), batch=1, wait=60))
    await asyncio.wait({fetching}, timeout=0.2)
    await bus_server.stop()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(fetching, 2)


async def test_after_an_outage_everything_works_again_by_itself(bus_server: BusServer, bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)
    inbox = bus.inbox()
    async with (
        bus.listen("news.a") as news,
        bus.listen(inbox) as mail,
        bus.serve("echo.v1", "echo", shout),
    ):
        await bus_server.stop()
        await until(lambda: not bus.connected)
        await bus_server.start()
        await until(lambda: bus.connected)
        await bus.broadcast("news.a", b"news")
        await bus.broadcast(inbox, b"mail")
        assert (await anext(news)).data == b"news"
        assert (await anext(mail)).data == b"mail"
        assert await bus.request("echo.v1", b"a", timeout=2) == b"A"
        await bus.publish(SUBJECT, b"one", message_id=new_id())
        delivery = (await bus.fetch(TOPOLOGY.durable("worker"), batch=1, wait=5))[0]
        await delivery.ack()


async def test_a_delivery_may_be_settled_after_an_outage(bus_server: BusServer, bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)
    durable = TOPOLOGY.durable("worker")
    await bus.publish(SUBJECT, b"one", message_id=new_id())
    delivery = (await bus.fetch(durable, batch=1, wait=5))[0]
    await bus_server.stop()
    with pytest.raises(Unavailable):
        await delivery.ack()
    await bus_server.start()
    await until(lambda: bus.connected)
    await delivery.ack()
    assert await bus.fetch(durable, batch=1, wait=0.8) == []


async def test_a_closed_bus_is_unavailable(bus: Bus) -> None:
    await bus.close()
    assert not bus.connected
    with pytest.raises(Unavailable):
        await bus.broadcast("news.a", b"")
