"""A process that dies at a chosen step: from then on nothing of it reaches broker or store."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from services.ingest.app import REAL, Outside
from services.ingest.settings import IngestSettings
from shared.errors import Unavailable
from shared.events.bus import Bus
from shared.storage.blobs import Blobs


class Life:
    """Ends before or after the first call of a step, such as `publish` or `kv.intents.update`."""

    def __init__(self, *, before: str = "", after: str = "") -> None:
        self.before = before
        self.after = after
        self.over = False

    async def live(self, step: str, call: Callable[[], Awaitable[Any]]) -> Any:
        if step == "close":
            return await call()
        self.over = self.over or step == self.before
        self._check(step)
        result = await call()
        self.over = self.over or step == self.after
        self._check(step)
        return result

    def _check(self, step: str) -> None:
        if self.over:
            raise Unavailable(f"dead at {step}")


class Mortal:
    """Passes everything on while it lives."""

    def __init__(self, life: Life, inner: Any, prefix: str = "") -> None:
        self._life = life
        self._inner = inner
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "kv":
            return lambda bucket: Mortal(self._life, found(bucket), f"kv.{bucket}.")
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **options: Any) -> Any:
            return await self._life.live(self._prefix + name, lambda: found(*args, **options))

        return call


def dying(life: Life) -> Outside:
    """Broker and store as a process with this life reaches them."""

    async def bus(settings: IngestSettings) -> Bus:
        return cast("Bus", Mortal(life, await REAL.bus(settings)))

    return Outside(bus=bus, blobs=lambda settings: cast("Blobs", Mortal(life, REAL.blobs(settings))))


def deserted(life: Life) -> Outside:
    """Only the broker is lost to a process with this life; the store still obeys it."""

    async def bus(settings: IngestSettings) -> Bus:
        return cast("Bus", Mortal(life, await REAL.bus(settings)))

    return Outside(bus=bus, blobs=REAL.blobs)
