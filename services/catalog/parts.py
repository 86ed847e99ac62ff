"""Database, broker and store for a command of operators: connected, handed over, let go of."""

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.catalog.database import Database, DatabaseSettings
from shared.env import Env
from shared.errors import Unavailable
from shared.events.bus import Bus
from shared.events.jetstream import BusSettings, connect
from shared.storage.blobs import Blobs
from shared.storage.s3 import S3Blobs, S3Settings

T = TypeVar("T")

CONNECT_SECONDS = 5.0


async def with_parts(work: Callable[[Database, Bus, Blobs], Awaitable[T]]) -> T:
    """What `work` gives. Raises SettingsError, and Unavailable where a part is not there."""
    env = Env(os.environ)
    bus_settings = BusSettings.from_env(env, "tripod-cli")
    store, where = S3Settings.from_env(env), DatabaseSettings.from_env(env)
    env.check()
    bus, blobs, database = await connect(bus_settings, wait=CONNECT_SECONDS), S3Blobs(store), Database(where)
    try:
        if not bus.connected:
            raise Unavailable(f"The broker does not answer within {CONNECT_SECONDS:g} s (TRIPOD_NATS_URL).")
        await blobs.check()
        return await work(database, bus, blobs)
    finally:
        await bus.close()
        await blobs.close()
        await database.close()
