"""The app of ingest: what it is made of, and the tasks that run beside its requests."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

import msgspec
import structlog
from litestar import Litestar
from prometheus_client import CollectorRegistry

from services.ingest import dialects
from services.ingest.context import Ingest, make
from services.ingest.erase import keep_erasing
from services.ingest.hearing import PROGRESS_SUBJECT, hear
from services.ingest.import_routes import ROUTES as IMPORT_ROUTES
from services.ingest.janitor import keep_tidy
from services.ingest.metrics import IngestMetrics
from services.ingest.quota_routes import ROUTES as QUOTA_ROUTES
from services.ingest.recover import keep_sweeping
from services.ingest.routes import ROUTES
from services.ingest.settings import IngestSettings
from services.ingest.similar_routes import ROUTES as SIMILAR_ROUTES
from shared.auth import Authenticator
from shared.errors import TripodError, Unavailable
from shared.events import jetstream, topology
from shared.events.bus import Bus
from shared.events.consumer import ConsumerMetrics, unless
from shared.http import make_app
from shared.runtime import Background
from shared.storage.blobs import Blobs
from shared.storage.s3 import S3Blobs

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
_STORE_EVERY = 5


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the broker and the store; tests put the in-memory ones here."""

    bus: Callable[[IngestSettings], Awaitable[Bus]]
    blobs: Callable[[IngestSettings], Blobs]


async def _connect(settings: IngestSettings) -> Bus:
    return await jetstream.connect(settings.bus)


REAL = Outside(bus=_connect, blobs=lambda settings: S3Blobs(settings.s3))


class Readiness:
    """What must be there before uploads can be taken."""

    def __init__(self) -> None:
        self.ingest: Ingest | None = None
        self.ensured = False

    def _parts(self) -> Ingest:
        if self.ingest is None:
            raise Unavailable("The service is starting.")
        return self.ingest

    async def nats(self) -> None:
        bus = self._parts().bus
        if not bus.connected:
            raise Unavailable("The message broker is not reachable.")
        if not self.ensured:
            raise Unavailable("Streams, consumers and buckets are not made yet.")
        await bus.last_sequence(topology.MEDIA)  # a broker that hangs keeps its connections for half a minute

    async def s3(self) -> None:
        await self._parts().store.look()

    async def counter(self) -> None:
        await self._parts().numbers.check()


def create_app(settings: IngestSettings, outside: Outside = REAL) -> Litestar:
    """The app with its own lifespan. It comes up while broker and store are down, and is ready once they are."""
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    consumer_metrics = ConsumerMetrics(registry)
    readiness = Readiness()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        bus = await outside.bus(settings)
        blobs = outside.blobs(settings)
        ingest = readiness.ingest = make(settings, bus, blobs, metrics)
        background = Background()
        app.state.ingest = ingest
        app.state.background = background
        _start(ingest, background, readiness, consumer_metrics)
        try:
            yield
        finally:
            await background.close()
            await ingest.quota.close()
            await bus.close()
            await blobs.close()

    return make_app(
        service="ingest",
        title="Tripod ingest",
        version=version("tripod"),
        settings=settings.http,
        authenticator=Authenticator(settings.auth),
        handlers=[
            *ROUTES,
            *QUOTA_ROUTES,
            *SIMILAR_ROUTES,
            *IMPORT_ROUTES,
            *dialects.mounted(settings.dialects, settings.profiles),
        ],
        lifespan=lifespan,
        checks={"nats": readiness.nats, "s3": readiness.s3, "counter": readiness.counter},
        registry=registry,
    )


def _start(ingest: Ingest, background: Background, readiness: Readiness, metrics: ConsumerMetrics) -> None:
    stop = background.stop
    background.start("ensure", _keep_ensured(ingest, readiness, stop))
    background.start("sweep", keep_sweeping(ingest, stop))
    background.start("eraser", keep_erasing(ingest, stop, metrics))
    background.start("quota", ingest.quota.keep(stop))
    background.start("janitor", keep_tidy(ingest, stop))
    background.start("heartbeat", hear(ingest.bus, topology.CATALOG_HEARTBEAT, ingest.heartbeat.beat, stop))
    background.start("progress", hear(ingest.bus, PROGRESS_SUBJECT, ingest.progress.note, stop))


async def _keep_ensured(ingest: Ingest, readiness: Readiness, stop: asyncio.Event) -> None:
    """Make what must exist, as often as it takes; then look at broker and store now and then."""
    bucket_made = False
    for turn in itertools.count():
        if stop.is_set():
            return
        if not ingest.bus.connected:
            ingest.numbers.forget()
        try:
            if not readiness.ensured:
                await ingest.bus.ensure(ingest.settings.bus.topology)
                readiness.ensured = True
            if not bucket_made:
                await ingest.blobs.ensure_bucket()
                bucket_made = True
            if turn % _STORE_EVERY == 0:
                await ingest.store.look()
        except TripodError as error:
            log.info("ingest.waiting", error=error.detail)
        await unless(stop, asyncio.sleep(_LOOK_SECONDS))
