"""What every bus promises for streams and their consumers, on the twin and on NATS alike."""

import asyncio
import json
import time
from datetime import timedelta

import msgspec
import pytest

from shared.errors import Malformed, SettingsError, Unavailable
from shared.events import listener, topology
from shared.events.bus import Bus
from shared.events.topology import Durable, Stream, Topology
from tests.contract.brokers import (
    SUBJECT,
    THINGS,
    TOPOLOGY,
    WORKER,
    BusServer,
    fetch,
    fetch_one,
    new_id,
    publish,
    until,
)


@pytest.fixture(autouse=True)
async def _ensured(bus: Bus) -> None:
    await bus.ensure(TOPOLOGY)


async def test_a_bus_is_connected(bus: Bus) -> None:
    assert bus.connected


async def test_the_whole_topology_can_be_made_and_made_again(bus: Bus) -> None:
    # DEAD has another form in the tests' own topology, so this also changes a stream that is there.
    await bus.ensure(topology.TOPOLOGY)
    await bus.ensure(topology.TOPOLOGY)
    assert await bus.last_sequence(topology.MEDIA) == 0


async def test_several_services_can_make_the_topology_at_the_same_moment(bus_server: BusServer) -> None:
    buses = [await bus_server.connect() for _ in range(3)]
    await asyncio.gather(*(bus.ensure(topology.TOPOLOGY) for bus in buses))
    assert [await bus.last_sequence(topology.MEDIA) for bus in buses] == [0, 0, 0]


async def test_a_changed_durable_takes_effect(bus: Bus) -> None:
    patient = msgspec.structs.replace(WORKER, ack_wait=timedelta(seconds=60))
    await bus.ensure(Topology(streams=(), durables=(patient,), buckets=()))
    await publish(bus, b"one")
    await fetch_one(bus)
    assert await fetch(bus, wait=0.8) == []


async def test_a_stream_that_takes_anothers_subjects_is_refused_by_name(bus: Bus) -> None:
    greedy = Stream(name="GREEDY", subjects=("thing.v1.made.*",), max_bytes=1024)
    with pytest.raises(SettingsError, match="GREEDY"):
        await bus.ensure(Topology(streams=(greedy,), durables=(), buckets=()))


async def test_events_get_ascending_sequences(bus: Bus) -> None:
    assert [await publish(bus, b"a"), await publish(bus, b"b", "thing.v1.lost")] == [1, 2]
    assert await bus.last_sequence("THINGS") == 2


async def test_the_same_message_id_is_stored_once_and_answers_the_first_sequence(bus: Bus) -> None:
    sequences = [await bus.publish(SUBJECT, b"a", message_id="same") for _ in range(3)]
    other = await bus.publish(SUBJECT, b"a", message_id="other")
    assert (sequences, other) == ([1, 1, 1], 2)


async def test_a_subject_without_stream_is_unavailable(bus: Bus) -> None:
    with pytest.raises(Unavailable):
        await bus.publish("nobody.v1.takes.this", b"", message_id=new_id())


async def test_an_event_over_the_limit_is_malformed(bus: Bus) -> None:
    with pytest.raises(Malformed):
        await publish(bus, b"x" * (THINGS.max_stored_bytes + 1))
    assert await bus.last_sequence("THINGS") == 0


async def test_an_event_of_the_largest_size_fits_with_its_headers(bus: Bus) -> None:
    data, headers = b"x" * THINGS.max_message_bytes, {"Tripod-Reply": "inbox." + "x" * 100}
    assert await bus.publish(SUBJECT, data, message_id=new_id(), headers=headers) == 1


async def test_a_full_stream_refuses_and_keeps_what_it_has(bus: Bus) -> None:
    small = msgspec.structs.replace(THINGS, name="SMALL", subjects=("small.v1.>",), max_bytes=2000)
    await bus.ensure(Topology(streams=(small,), durables=(), buckets=()))
    await publish(bus, b"x" * 1000, "small.v1.a")
    with pytest.raises(Unavailable):
        await publish(bus, b"x" * 1000, "small.v1.b")
    message = await bus.read("SMALL", 1)
    assert message is not None
    assert message.subject == "small.v1.a"


async def test_a_delivery_is_what_was_published(bus: Bus) -> None:
    headers = {"Tripod-Reply": "inbox.1", "Name": "Grüße"}
    sequence = await bus.publish(SUBJECT, b"\x00\xffdata", message_id=new_id(), headers=headers)
    delivery = await fetch_one(bus)
    assert (delivery.subject, delivery.data, dict(delivery.headers)) == (SUBJECT, b"\x00\xffdata", headers)
    assert (delivery.sequence, delivery.delivered) == (sequence, 1)


async def test_an_event_without_data_and_headers_is_delivered(bus: Bus) -> None:
    await publish(bus, b"")
    delivery = await fetch_one(bus)
    assert (delivery.data, dict(delivery.headers)) == (b"", {})


async def test_a_consumer_begins_with_what_was_stored_before_it_existed(bus: Bus) -> None:
    await publish(bus, b"old")
    late = msgspec.structs.replace(WORKER, name="late")
    await bus.ensure(Topology(streams=(), durables=(late,), buckets=()))
    assert [d.data for d in await fetch(bus, durable=late)] == [b"old"]


async def test_a_consumer_gets_only_its_subjects(bus: Bus) -> None:
    for subject in (SUBJECT, "thing.v1.broken", "thing.v1.lost", "thing.v1.made", "thing.v1.made.a.b"):
        await publish(bus, b"", subject)
    assert [d.subject for d in await fetch(bus)] == [SUBJECT, "thing.v1.lost", "thing.v1.made.a.b"]


async def test_a_fetch_returns_what_is_there_without_waiting_for_a_full_batch(bus: Bus) -> None:
    await publish(bus, b"a")
    await publish(bus, b"b")
    began = time.monotonic()
    assert [d.data for d in await fetch(bus, batch=10, wait=20)] == [b"a", b"b"]
    assert time.monotonic() - began < 5


async def test_a_fetch_returns_as_soon_as_something_comes(bus: Bus) -> None:
    fetching = asyncio.create_task(fetch(bus, wait=20))
    await asyncio.wait({fetching}, timeout=0.2)
    assert not fetching.done()
    await publish(bus, b"late")
    began = time.monotonic()
    assert [d.data for d in await fetching] == [b"late"]
    assert time.monotonic() - began < 2


async def test_a_fetch_gives_at_most_a_batch(bus: Bus) -> None:
    for number in range(5):
        await publish(bus, b"%d" % number)
    assert [[d.data for d in await fetch(bus, batch=2)] for _ in range(3)] == [
        [b"0", b"1"],
        [b"2", b"3"],
        [b"4"],
    ]


async def test_a_fetch_ends_empty_after_its_wait(bus: Bus) -> None:
    began = time.monotonic()
    assert await fetch(bus, wait=0.3) == []
    assert 0.25 < time.monotonic() - began < 3


async def test_a_fetch_that_does_not_wait_gives_what_is_there(bus: Bus) -> None:
    assert await fetch(bus, wait=0) == []
    await publish(bus, b"one")
    assert [d.data for d in await fetch(bus, wait=0)] == [b"one"]


async def test_two_instances_share_the_events_of_one_durable(bus_server: BusServer, bus: Bus) -> None:
    other = await bus_server.connect()
    fetching = [asyncio.create_task(fetch(one, batch=1)) for one in (bus, other, bus)]
    for number in range(3):
        await publish(bus, b"%d" % number)
    got = [delivery.data for deliveries in await asyncio.gather(*fetching) for delivery in deliveries]
    assert sorted(got) == [b"0", b"1", b"2"]


async def test_a_cancelled_fetch_takes_no_event_with_it(bus: Bus) -> None:
    patient = msgspec.structs.replace(WORKER, name="patient", ack_wait=timedelta(seconds=60))
    await bus.ensure(Topology(streams=(), durables=(patient,), buckets=()))
    for _ in range(10):
        fetching = asyncio.create_task(fetch(bus, durable=patient, wait=20))
        await asyncio.wait({fetching}, timeout=0.01)
        fetching.cancel()
    await publish(bus, b"one")
    assert [d.data for d in await fetch(bus, durable=patient)] == [b"one"]


async def test_an_acknowledged_event_never_comes_again(bus: Bus) -> None:
    await publish(bus, b"one")
    delivery = await fetch_one(bus)
    await delivery.ack()
    await delivery.ack()
    assert await fetch(bus, wait=0.8) == []


async def test_an_event_handed_back_comes_again_at_once(bus: Bus) -> None:
    await publish(bus, b"one")
    first = await fetch_one(bus)
    await first.nak(0)
    again = await fetch_one(bus, wait=0.4)
    assert (again.sequence, again.delivered) == (first.sequence, 2)


async def test_an_event_handed_back_with_a_delay_comes_after_it(bus: Bus) -> None:
    await publish(bus, b"one")
    await (await fetch_one(bus)).nak(0.4)
    began = time.monotonic()
    again = await fetch_one(bus, wait=3)
    assert again.delivered == 2
    assert 0.3 < time.monotonic() - began < 2


async def test_an_event_that_nobody_settles_comes_again_after_the_ack_wait(bus: Bus) -> None:
    await publish(bus, b"one")
    await fetch_one(bus)
    began = time.monotonic()
    again = await fetch_one(bus, wait=5)
    assert again.delivered == 2
    assert 0.3 < time.monotonic() - began < 4


async def test_an_event_in_progress_does_not_come_again(bus: Bus) -> None:
    await publish(bus, b"one")
    delivery = await fetch_one(bus)
    for _ in range(4):
        assert await fetch(bus, wait=0.25) == []
        await delivery.in_progress()
    await delivery.ack()


async def test_the_first_handing_out_may_acknowledge_after_the_second(bus: Bus) -> None:
    await publish(bus, b"one")
    first = await fetch_one(bus)
    await fetch_one(bus, wait=5)
    await first.ack()
    assert await fetch(bus, wait=0.8) == []


async def test_a_terminated_event_never_comes_again(bus: Bus) -> None:
    await publish(bus, b"one")
    await (await fetch_one(bus)).terminate()
    assert await fetch(bus, wait=0.8) == []


async def test_no_more_than_max_ack_pending_are_handed_out(bus: Bus) -> None:
    narrow = msgspec.structs.replace(WORKER, name="narrow", max_ack_pending=2, ack_wait=timedelta(seconds=60))
    await bus.ensure(Topology(streams=(), durables=(narrow,), buckets=()))
    for number in range(3):
        await publish(bus, b"%d" % number)
    began = time.monotonic()
    taken = await fetch(bus, durable=narrow, wait=20)
    assert [d.data for d in taken] == [b"0", b"1"]
    assert time.monotonic() - began < 1.5
    assert await fetch(bus, durable=narrow, wait=0.3) == []
    await taken[0].ack()
    assert [d.data for d in await fetch(bus, durable=narrow)] == [b"2"]


async def test_an_event_handed_out_too_often_is_reported_and_given_up(bus: Bus) -> None:
    advisories = next(s for s in topology.TOPOLOGY.streams if s.name == topology.ADVISORIES)
    hasty = Durable(
        name="hasty",
        stream="THINGS",
        subjects=("thing.v1.>",),
        ack_wait=timedelta(milliseconds=100),
        max_ack_pending=10,
        attempts=-18,  # so that max_deliver is 2
    )
    await bus.ensure(Topology(streams=(advisories,), durables=(hasty,), buckets=()))
    await publish(bus, b"one")
    counts = [d.delivered for _ in range(2) for d in await fetch(bus, durable=hasty)]
    assert counts == [1, 2]
    assert await fetch(bus, durable=hasty, wait=0.5) == []
    advisory = await bus.read(topology.ADVISORIES, 1)
    assert advisory is not None
    assert json.loads(advisory.data)["stream_seq"] == 1


async def test_an_erased_event_is_gone_and_erasing_again_is_success(bus: Bus) -> None:
    sequence = await publish(bus, b"secret")
    kept = await publish(bus, b"kept")
    for gone in (sequence, sequence, 999):
        await bus.erase("THINGS", gone)
    assert await bus.read("THINGS", sequence) is None
    assert [d.sequence for d in await fetch(bus)] == [kept]
    assert await bus.last_sequence("THINGS") == kept


async def test_a_stored_event_can_be_read_by_its_place(bus: Bus) -> None:
    sequence = await bus.publish(SUBJECT, b"one", message_id=new_id(), headers={"A": "b: c"})
    message = await bus.read("THINGS", sequence)
    assert message is not None
    assert (message.subject, message.data, dict(message.headers)) == (SUBJECT, b"one", {"A": "b: c"})
    assert await bus.read("THINGS", sequence + 1) is None


async def test_a_stream_that_does_not_exist_is_unavailable(bus: Bus) -> None:
    with pytest.raises(Unavailable):
        await bus.last_sequence("NOTHING")
    with pytest.raises(Unavailable):
        await bus.read("NOTHING", 1)
    with pytest.raises(Unavailable):
        await bus.fetch(msgspec.structs.replace(WORKER, name="nobody"), batch=1, wait=1)


async def test_what_is_handled_through_ends_before_the_first_event_that_is_not_settled(bus: Bus) -> None:
    assert await bus.handled_through(WORKER) == 0
    first, second, third = [await publish(bus, data) for data in (b"1", b"2", b"3")]
    assert await bus.handled_through(WORKER) < first
    deliveries = await fetch(bus, batch=3)
    await deliveries[1].ack()
    assert await bus.handled_through(WORKER) < first
    await deliveries[0].ack()
    assert second <= await bus.handled_through(WORKER) < third
    await deliveries[2].terminate()

    async def all_settled() -> bool:
        return await bus.handled_through(WORKER) >= third

    await until(all_settled)


async def test_all_is_handled_where_what_follows_is_not_for_the_consumer(bus: Bus) -> None:
    await publish(bus, b"1")
    await (await fetch_one(bus)).ack()
    last = await publish(bus, b"2", "thing.v1.broken")
    assert await bus.handled_through(WORKER) == last
    after = await publish(bus, b"3")
    assert await bus.handled_through(WORKER) < after


async def test_who_listens_is_told_when_the_connection_was_away(bus_server: BusServer) -> None:
    bus = await bus_server.connect()
    gaps: list[int] = []
    async with bus.listen("news.a", lambda: gaps.append(1)) as news:
        await bus.broadcast("news.a", b"before")
        assert (await anext(news)).data == b"before"
        assert gaps == []
        await bus_server.stop()
        await bus_server.start()
        await until(lambda: gaps == [1])
    await bus.close()


async def test_who_reads_too_slowly_is_told_so_once(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "LONGEST", 5)
    gaps: list[int] = []
    async with bus.listen("news.a", lambda: gaps.append(1)) as news:
        for number in range(9):
            await bus.broadcast("news.a", b"%d" % number)
        # It comes last, so all others are there or gone by now.
        async with bus.listen("news.b") as other:
            await bus.broadcast("news.b", b"end")
            await anext(other)
        assert gaps == [1]
        assert [(await anext(news)).data for _ in range(5)] == [b"4", b"5", b"6", b"7", b"8"]
