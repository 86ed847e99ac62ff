"""A catalog that goes on running from test to test, and is empty at the start of each: to start one takes ten times
as long as most tests."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import httpx
import msgspec
from litestar import Litestar

from services.catalog.app import create_app
from services.catalog.database import Database
from services.catalog.settings import CatalogSettings
from shared.errors import Unavailable
from shared.events import topology
from shared.events.jetstream import connect
from shared.storage.s3 import S3Blobs
from tests.fixtures.waiting import eventually, eventually_async
from tests.integration.catalog.lasting_database import EMPTY
from tests.integration.catalog.service import Service, running

STREAMS = [stream.name for stream in topology.TOPOLOGY.streams]
BUCKETS = [f"KV_{bucket.name}" for bucket in topology.TOPOLOGY.buckets if bucket.name != topology.COUNTERS]
DURABLES = [topology.TOPOLOGY.durable(name) for name in ("catalog-projector", "catalog-registry")]


class Lasting:
    """One running catalog in a thread of its own."""

    def __init__(self, settings: CatalogSettings, app: Litestar, url: str) -> None:
        self.settings = settings
        self.app = app
        self.url = url

    async def open(self) -> Service:
        """The catalog as one test sees it, by connections of its own."""
        database = Database(msgspec.structs.replace(self.settings.database, pool=5))
        bus = await connect(self.settings.bus, wait=10)
        return Service(self.settings, database, bus, S3Blobs(self.settings.store), self.url)

    async def leave(self, service: Service) -> None:
        """Forget all that the test has put there."""
        try:
            assert not self.app.state.background.failed
            await self._quiet(service)
            await self._empty(service)
        finally:
            await service.nobody.aclose()
            await service.bus.close()
            await service.blobs.close()
            await service.database.close()

    async def _quiet(self, service: Service) -> None:
        async def look() -> bool:
            for durable in DURABLES:
                last = await service.bus.last_sequence(durable.stream)
                if await service.bus.handled_through(durable) < last:
                    return False
            return not await service.rows("outbox")

        await eventually_async(look, "the catalog to have taken in and told all")

    async def _empty(self, service: Service) -> None:
        for name in (*STREAMS, *BUCKETS):
            await service.bus.request(f"$JS.API.STREAM.PURGE.{name}", b"", timeout=5)

        async def rows_are_gone() -> bool:
            try:
                async with service.database.writing(tell=False) as connection:
                    await connection.exec_driver_sql(EMPTY)
            except Unavailable:  # a duty of the catalog had locked the same rows the other way round
                return False
            return True

        await eventually_async(rows_are_gone, "the rows to be gone")
        async for info in service.blobs.list(""):
            await service.blobs.delete(info.key)


class LastingOnes:
    """The one that lasts, and another one after a test that left it where it cannot be emptied."""

    def __init__(self, start: Callable[[], AbstractContextManager[Lasting]]) -> None:
        self._start = start
        self._open = ExitStack()
        self._current: Lasting | None = None

    def current(self) -> Lasting:
        """The running one; it is started by the first who asks."""
        if self._current is None:
            self._current = self._open.enter_context(self._start())
        return self._current

    def discard(self) -> None:
        """What is broken stays with whoever broke it."""
        self._current = None
        self._open.close()


@contextmanager
def lasting(settings: CatalogSettings) -> Iterator[Lasting]:
    """Started, ready, and ended with the block."""
    found: list[Any] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        app, end = create_app(settings), asyncio.Event()
        async with running(app) as url:
            stop.append((asyncio.get_running_loop(), end))
            found.append(Lasting(settings, app, url))
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - it is raised where the tests are
            found.append(error)

    # A daemon, so that no failure here can keep the test process from ending.
    thread = threading.Thread(target=run, name="lasting catalog", daemon=True)
    thread.start()
    try:
        eventually(lambda: found, "the catalog to start")
        if isinstance(found[0], BaseException):
            raise found[0]
        made: Lasting = found[0]
        with httpx.Client(base_url=made.url) as http:
            eventually(lambda: http.get("/health/ready").status_code == 200, "the catalog to be ready")
        yield made
    finally:
        for loop, end in stop:
            loop.call_soon_threadsafe(end.set)
        thread.join(30)
    if len(found) > 1:
        raise found[1]
