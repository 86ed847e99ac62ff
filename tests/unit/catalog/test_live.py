"""Listeners: bounded, and told when something was dropped."""

import asyncio
from datetime import UTC, datetime
from typing import cast

from services.catalog.database import Database
from services.catalog.listeners import Listener, LiveMessage
from services.catalog.live import Feed
from shared.auth import Caller
from shared.events.bus import Message
from shared.events.memory import MemoryBus
from shared.events.memory_broker import MemoryBroker
from shared.events.messages import MediaDeleted, Progress, encode
from shared.events.topology import progress
from shared.ids import new_id

NOT_ASKED = cast("Database", None)


async def heard_by(listener: Listener) -> LiveMessage:
    message = await listener.next()
    assert message is not None
    return message


async def test_a_slow_listener_is_told_to_ask_again() -> None:
    listener = Listener(Caller(sub="ann"), limit=3)
    for percent in range(5):
        listener.put(LiveMessage(type="progress", percent=percent))

    heard = [await heard_by(listener) for _ in range(3)]
    assert [m.type for m in heard] == ["resync", "progress", "progress"]
    assert [m.percent for m in heard[1:]] == [3, 4]


async def test_what_comes_in_time_is_heard_in_order() -> None:
    listener = Listener(Caller(sub="ann"), limit=3)
    for percent in range(10):
        listener.put(LiveMessage(type="progress", percent=percent))
        assert (await heard_by(listener)).percent == percent


async def test_a_file_that_still_arrives_is_shown_to_its_owner_and_to_staff_alone() -> None:
    feed, media_id, now = Feed(), new_id(), datetime.now(UTC)
    event = Progress(
        id=media_id, owner="ann", stage="receiving", percent=25, at=now, filename="a.mov", received=5, size=20
    )
    data = encode(event, source="ingest", event_id="1", subject=str(media_id), time=now, traceparent=None)
    with (
        feed.listeners.listening(Caller(sub="ann")) as ann,
        feed.listeners.listening(Caller(sub="staff", roles=frozenset({"moderator"}))) as staff,
        feed.listeners.listening(Caller(sub="bob")) as bob,
    ):
        await feed.take(NOT_ASKED, Message(subject=progress(str(media_id)), data=data, headers={}))
        bob.put(LiveMessage(type="resync"))  # what he hears first is not what went before
        heard = [await heard_by(listener) for listener in (ann, staff, bob)]
    shown = [(m.type, m.id, m.stage, m.percent, m.filename, m.received, m.size) for m in heard[:2]]
    assert shown == [("progress", media_id, "receiving", 25, "a.mov", 5, 20)] * 2
    assert heard[2].type == "resync"


async def test_listeners_are_told_to_ask_again_when_the_broker_was_away() -> None:
    feed, broker, stop = Feed(), MemoryBroker(), asyncio.Event()
    running = asyncio.create_task(feed.run(NOT_ASKED, MemoryBus(broker), stop))
    with feed.listeners.listening(Caller(sub="ann")) as ann:
        heard = asyncio.create_task(heard_by(ann))
        while len(broker._subscriptions) < 2:  # noqa: ASYNC110 - nobody tells when the feed listens
            await asyncio.sleep(0)
        broker.stop()
        broker.start()
        assert (await asyncio.wait_for(heard, 5)).type == "resync"
    stop.set()
    await running


def test_what_older_apis_need_to_know_is_not_told() -> None:
    media_id = new_id()
    message = LiveMessage(type="media.deleted", id=media_id, sequence=7, number=12, profile="library")
    assert message.text == f'{{"type":"media.deleted","id":"{media_id}","sequence":7}}'


async def test_a_listener_of_some_profiles_hears_of_no_others_even_of_their_own() -> None:
    feed = Feed()
    with (
        feed.listeners.listening(Caller(sub="ann"), only=frozenset({"library"}), deletions=True) as ann,
        feed.listeners.listening(Caller(sub="bob"), only=frozenset({"library"}), deletions=True) as bob,
        feed.listeners.listening(Caller(sub="bob")) as elsewhere,
    ):
        for number, profile, public in ((1, "content", True), (2, "library", False), (3, "library", True)):
            await feed.take(NOT_ASKED, deletion(number, profile, public=public))
        assert [(await heard_by(ann)).number for _ in range(2)] == [2, 3]
        assert (await heard_by(bob)).number == 3
        elsewhere.put(LiveMessage(type="resync"))
        assert (await heard_by(elsewhere)).type == "resync"


def deletion(number: int, profile: str, *, public: bool) -> Message:
    media_id, now = new_id(), datetime.now(UTC)
    event = MediaDeleted(
        id=media_id,
        number=number,
        owner="ann",
        media_type="image",
        key=None,
        variants="",
        profile=profile,
        public=public,
        deleted_at=now,
    )
    data = encode(event, source="catalog", event_id="1", subject=str(media_id), time=now, traceparent=None)
    return Message(subject="live", data=data, headers={})
