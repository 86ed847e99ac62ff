"""The broker, for commands that ask it: settings from the environment, and a connection for one question."""

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.env import Env
from shared.errors import Unavailable
from shared.events.bus import Bus
from shared.events.jetstream import connect
from shared.events.jetstream_connection import BusSettings

T = TypeVar("T")

CONNECT_SECONDS = 5.0


async def with_bus(work: Callable[[Bus], Awaitable[T]]) -> T:
    """What `work` gives with a connection to the broker. Raises Unavailable when there is none in 5 s."""
    env = Env(os.environ)
    settings = BusSettings.from_env(env, "tripod-cli")
    env.check()
    bus = await connect(settings, wait=CONNECT_SECONDS)
    try:
        if not bus.connected:
            raise Unavailable(f"The broker does not answer within {CONNECT_SECONDS:g} s (TRIPOD_NATS_URL).")
        return await work(bus)
    finally:
        await bus.close()
