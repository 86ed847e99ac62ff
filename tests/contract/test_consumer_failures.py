"""What becomes of an event whose handler fails, over the twin and over NATS alike."""

import base64
from datetime import timedelta

import msgspec
import pytest

from shared.errors import Invalid, NotFound, Unavailable
from shared.events import dead_letters
from shared.events.bus import Bus
from shared.events.consumer import EventContext, Exhausted
from shared.events.topology import Topology
from tests.contract.brokers import SUBJECT, TOPOLOGY, WORKER, fetch, new_id, running, until
from tests.contract.consumers import Loop, Recorder, name_of, send, settled

ENVELOPE = (
    b'{"specversion":"1.0","id":"1","source":"/x","type":"%s","subject":"a",'
    b'"time":"2026-01-01T00:00:00Z","data":%s}'
)


@pytest.fixture(autouse=True)
async def _ensured(bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)


async def test_a_failed_event_is_tried_again_with_backoff_and_others_go_on(bus: Bus) -> None:
    async def fail_twice(name: str, turn: int) -> None:
        if name == "frail" and turn < 3:
            raise ZeroDivisionError

    handler = Recorder(fail_twice)
    loop = Loop(bus, handler)
    for name in ("frail", "a"):
        await send(bus, name)
    async with running(loop.work):
        await until(lambda: sorted(handler.done) == ["a", "frail"])
    assert handler.seen.count("frail") == 3
    assert [c.delivered for c in handler.contexts if name_of(c) == "frail"] == [1, 2, 3]
    assert loop.count("failed") == 2
    assert await dead_letters.list_all(bus) == []


async def test_an_event_that_fails_at_every_attempt_becomes_a_dead_letter_with_its_error(bus: Bus) -> None:
    async def fail(_name: str, _turn: int) -> None:
        raise ZeroDivisionError("by nothing")

    exhausted: list[tuple[str, str]] = []

    async def on_exhausted(context: EventContext, error: Exception) -> None:
        exhausted.append((name_of(context), repr(error)))

    handler = Recorder(fail)
    loop = Loop(bus, handler, on_exhausted=on_exhausted)
    sequence = await send(bus, "a")
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
    assert handler.seen == ["a"] * WORKER.attempts
    assert exhausted == [("a", "ZeroDivisionError('by nothing')")]
    (listed,) = await dead_letters.list_all(bus)
    letter = listed.letter
    assert (letter.durable, letter.stream, letter.subject) == ("worker", "THINGS", SUBJECT)
    assert (letter.sequence, letter.attempts, letter.code) == (sequence, 3, "ZeroDivisionError")
    assert "by nothing" in letter.error
    assert letter.headers == {"Tripod-Reply": "inbox.a"}
    assert b'"sub":"a"' in letter.data
    assert await settled(bus)


async def test_a_failure_that_no_retry_helps_becomes_a_dead_letter_at_once(bus: Bus) -> None:
    async def fail(_name: str, _turn: int) -> None:
        raise Invalid("No such recipe.")

    handler = Recorder(fail)
    loop = Loop(bus, handler)
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
    assert handler.seen == ["a"]
    (listed,) = await dead_letters.list_all(bus)
    assert (listed.letter.code, listed.letter.error) == ("invalid", "No such recipe.")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"specversion":"1.0"}',
        ENVELOPE % (b"user.deleted.v9", b'{"sub":"a"}'),
        ENVELOPE % (b"user.deleted.v1", b'{"sub":7}'),
    ],
)
async def test_bytes_that_are_no_event_become_a_dead_letter_unseen_by_the_handler(
    bus: Bus, data: bytes
) -> None:
    handler = Recorder()
    loop = Loop(bus, handler)
    await bus.publish(SUBJECT, data, message_id=new_id())
    await send(bus, "after")
    async with running(loop.work):
        await until(lambda: handler.done == ["after"])
    assert loop.count("dead") == 1
    (listed,) = await dead_letters.list_all(bus)
    assert (listed.letter.code, listed.letter.data) == ("malformed", data)


async def test_while_a_dependency_is_down_the_event_is_held_and_no_attempt_is_used_up(bus: Bus) -> None:
    async def down(_name: str, turn: int) -> None:
        if turn <= 10 * WORKER.attempts:
            raise Unavailable("The object store is away.")

    handler = Recorder(down)
    loop = Loop(bus, handler)
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: handler.done == ["a"])
    assert {context.delivered for context in handler.contexts} == {1}
    assert loop.count("failed") == 0
    assert await settled(bus)


async def test_on_exhausted_may_be_held_as_well_and_comes_before_the_letter(bus: Bus) -> None:
    async def fail(_name: str, _turn: int) -> None:
        raise Invalid("No.")

    letters: list[int] = []

    async def on_exhausted(_context: EventContext, _error: Exception) -> None:
        letters.append(await bus.last_sequence("DEAD"))
        if len(letters) < 5:
            raise Unavailable("The object store is away.")

    loop = Loop(bus, Recorder(fail), on_exhausted=on_exhausted)
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
    assert letters == [0] * 5
    assert len(await dead_letters.list_all(bus)) == 1


async def test_a_mistake_in_on_exhausted_does_not_lose_the_letter(bus: Bus) -> None:
    async def fail(_name: str, _turn: int) -> None:
        raise Invalid("The first trouble.")

    async def on_exhausted(_context: EventContext, _error: Exception) -> None:
        raise KeyError("the second trouble")

    loop = Loop(bus, Recorder(fail), on_exhausted=on_exhausted)
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
    (listed,) = await dead_letters.list_all(bus)
    assert "The first trouble." in listed.letter.error
    assert "the second trouble" in listed.letter.error


async def test_an_event_whose_worker_died_every_time_is_not_run_again(bus: Bus) -> None:
    hasty = msgspec.structs.replace(WORKER, ack_wait=timedelta(milliseconds=100))
    await bus.ensure(Topology(streams=(), durables=(hasty,), buckets=()))
    await send(bus, "killer")
    for _ in range(WORKER.vain):  # each time a worker takes it and is never heard of again
        assert len(await fetch(bus)) == 1
    errors: list[Exception] = []

    async def on_exhausted(_context: EventContext, error: Exception) -> None:
        errors.append(error)

    handler = Recorder()
    loop = Loop(bus, handler, on_exhausted=on_exhausted)
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
    assert handler.seen == []
    assert [type(error) for error in errors] == [Exhausted]
    (listed,) = await dead_letters.list_all(bus)
    assert listed.letter.code == "exhausted"


async def test_an_event_that_was_handed_out_often_while_the_broker_came_and_went_is_run_by_a_new_worker(
    bus: Bus,
) -> None:
    hasty = msgspec.structs.replace(WORKER, ack_wait=timedelta(milliseconds=100))
    await bus.ensure(Topology(streams=(), durables=(hasty,), buckets=()))
    await send(bus, "held")
    # A worker holds it while what it needs is down, and is killed: nobody else knows that these were no attempts.
    for _ in range(WORKER.attempts + 1):
        assert len(await fetch(bus)) == 1
    handler = Recorder()
    loop = Loop(bus, handler)
    async with running(loop.work):
        await until(lambda: loop.count("handled") == 1)
    assert handler.done == ["held"]
    assert await dead_letters.list_all(bus) == []


async def test_a_replayed_letter_is_the_same_event_and_the_letter_is_erased(bus: Bus) -> None:
    async def fail_until_repaired(_name: str, turn: int) -> None:
        if turn == 1:
            raise Invalid("No.")

    handler = Recorder(fail_until_repaired)
    loop = Loop(bus, handler)
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
        (listed,) = await dead_letters.list_all(bus)
        await dead_letters.replay(bus, listed.sequence)
        await until(lambda: handler.done == ["a"])
    first, second = handler.contexts
    assert (first.envelope, first.event, first.headers) == (second.envelope, second.event, second.headers)
    assert second.sequence > first.sequence
    assert await dead_letters.list_all(bus) == []
    with pytest.raises(NotFound):
        await dead_letters.replay(bus, listed.sequence)


async def test_letters_are_listed_in_order_and_a_dropped_one_is_gone(bus: Bus) -> None:
    async def fail(_name: str, _turn: int) -> None:
        raise Invalid("No.")

    loop = Loop(bus, Recorder(fail))
    for name in "abc":
        await send(bus, name)
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 3)
    await dead_letters.drop(bus, 2)
    listed = await dead_letters.list_all(bus)
    assert [(one.sequence, one.letter.headers["Tripod-Reply"]) for one in listed] == [
        (1, "inbox.a"),
        (3, "inbox.c"),
    ]


async def test_a_letter_is_readable_json_for_operators(bus: Bus) -> None:
    async def fail(_name: str, _turn: int) -> None:
        raise Invalid("No.")

    loop = Loop(bus, Recorder(fail))
    await send(bus, "a")
    async with running(loop.work):
        await until(lambda: loop.count("dead") == 1)
    message = await bus.read("DEAD", 1)
    assert message is not None
    assert message.subject == "dead.v1.worker"
    letter = msgspec.json.decode(message.data)
    assert b'"sub":"a"' in base64.b64decode(letter["data"])
