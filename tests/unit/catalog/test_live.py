"""Listeners: bounded, and told when something was dropped."""

from services.catalog.live import Listener, LiveMessage
from shared.auth import Caller


async def test_a_slow_listener_is_told_to_ask_again() -> None:
    listener = Listener(Caller(sub="ann"), limit=3)
    for percent in range(5):
        listener.put(LiveMessage(type="progress", percent=percent))

    heard = [await listener.next() for _ in range(3)]
    assert [m.type for m in heard] == ["resync", "progress", "progress"]
    assert [m.percent for m in heard[1:]] == [3, 4]


async def test_what_comes_in_time_is_heard_in_order() -> None:
    listener = Listener(Caller(sub="ann"), limit=3)
    for percent in range(10):
        listener.put(LiveMessage(type="progress", percent=percent))
        assert (await listener.next()).percent == percent
