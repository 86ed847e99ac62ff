"""The catalog put together: the one place that makes its parts and ends them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from litestar import Litestar, Router
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.catalog import dialects, duties
from services.catalog.announcing import keep_registry
from services.catalog.counters import keep_adding_up
from services.catalog.database import Database
from services.catalog.descriptors import make_room
from services.catalog.downloads import Downloads
from services.catalog.duplicates import finding_duplicates
from services.catalog.failed import keep_cleaning
from services.catalog.imports import finding_imports
from services.catalog.letters import keep_noting
from services.catalog.linking import keep_linking
from services.catalog.live import Feed
from services.catalog.measures import CatalogMetrics
from services.catalog.migrate import head, is_behind
from services.catalog.moderation_flags import keep_spreading
from services.catalog.orphans import keep_sweeping
from services.catalog.presigned import Redirects
from services.catalog.purging import keep_purging
from services.catalog.relay import erasing, relay
from services.catalog.render import Renderings
from services.catalog.routes import (
    batch,
    console,
    entities,
    files,
    live,
    media,
    moderation,
    render,
    search,
    similar,
    stats,
)
from services.catalog.routes.common import PARTS
from services.catalog.row_security import in_force
from services.catalog.settings import CatalogSettings
from services.catalog.similar import finding_similar
from services.catalog.texts_index import keep_making
from services.catalog.texts_stems import Stems
from services.catalog.usage import using
from shared.auth import Authenticator
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus
from shared.events.consumer import ConsumerMetrics, consume
from shared.events.jetstream import connect
from shared.events.topology import PURGER
from shared.http import Check, make_app
from shared.runtime import Background
from shared.storage.blobs import Blobs
from shared.storage.s3 import S3Blobs

SERVICE = "catalog"
PROJECTORS = 4  # transactions at once
EVENTS = 32  # events at once, of different media: uploads share transactions

_HANDLERS = (
    *similar.HANDLERS,
    *media.HANDLERS,
    *search.HANDLERS,
    *files.HANDLERS,
    *render.HANDLERS,
    *entities.HANDLERS,
    *live.HANDLERS,
    *stats.HANDLERS,
    *moderation.HANDLERS,
    *batch.HANDLERS,
)


def create_app(settings: CatalogSettings) -> Litestar:
    """The app, with everything that runs beside it in its lifespan. Starts also while Postgres, NATS or the store
    are down, and is ready when they are there."""
    registry = CollectorRegistry()
    database, metrics = Database(settings.database), CatalogMetrics(registry)
    feed = Feed(settings.live, open_profiles=settings.open_profiles)
    downloads, stems = Downloads(), Stems(settings.languages)
    consumer_metrics = ConsumerMetrics(registry)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        make_room(settings.live.connections)
        bus, blobs, background = await connect(settings.bus), S3Blobs(settings.store), Background()
        renderings = Renderings(database, bus, blobs)
        app.state.update({"bus": bus, "blobs": blobs, "background": background, "renderings": renderings})
        with suppress(Unavailable):  # then it is made as soon as the broker is there
            await bus.ensure(settings.topology)
        try:
            async with _answering(database, bus, settings):
                _start(
                    background,
                    settings,
                    database=database,
                    bus=bus,
                    feed=feed,
                    metrics=metrics,
                    consumer_metrics=consumer_metrics,
                )
                _keep_house(
                    background, settings, database=database, bus=bus, blobs=blobs, downloads=downloads
                )
                background.start("texts", keep_making(database, blobs, stems, background.stop))
                _deliver_by_others(app, background, settings, bus, consumer_metrics)
                yield
                await background.close()
        finally:
            await background.close()
            await renderings.close()
            await bus.close()
            await blobs.close()
            await database.close()

    app = make_app(
        service=SERVICE,
        title="Tripod catalog",
        version=_version(),
        settings=settings.http,
        authenticator=Authenticator(settings.auth),
        handlers=[
            Router("/v1", route_handlers=[*_HANDLERS], dependencies=PARTS),
            *dialects.mounted(settings),
            *console.handlers(settings),
        ],
        lifespan=lifespan,
        checks=_checks(lambda: app, database),
        registry=registry,
    )
    app.state.update({"settings": settings, "database": database, "feed": feed, "metrics": metrics})
    app.state["stems"] = stems
    app.state.update({"downloads": downloads, "on_leaving": feed.leave})
    return app


@asynccontextmanager
async def _answering(database: Database, bus: Bus, settings: CatalogSettings) -> AsyncIterator[None]:
    """What ingest asks over the broker."""
    base_url, projector = settings.http.base_url, settings.topology.durable("catalog-projector")
    duplicates = finding_duplicates(database, bus, projector, base_url)
    async with (
        bus.serve(topology.CATALOG_FIND_UPLOAD, SERVICE, duties.finding(database, base_url)),
        bus.serve(topology.CATALOG_TAKE_BACK, SERVICE, duties.taking_back(database)),
        bus.serve(topology.CATALOG_FIND_DIGEST, SERVICE, duplicates),
        bus.serve(topology.CATALOG_FIND_SIMILAR, SERVICE, finding_similar(database, base_url)),
        bus.serve(topology.CATALOG_USAGE, SERVICE, using(database, bus, projector)),
        bus.serve(topology.CATALOG_FIND_IMPORT, SERVICE, finding_imports(database)),
    ):
        yield


def _keep_house(
    background: Background,
    settings: CatalogSettings,
    *,
    database: Database,
    bus: Bus,
    blobs: Blobs,
    downloads: Downloads,
) -> None:
    """What is done now and then, by one catalog or by each."""
    stop = background.stop
    background.start("janitor", keep_sweeping(database, bus, blobs, every=settings.janitor, stop=stop))
    background.start("cleaner", keep_cleaning(database, settings.failed, stop=stop))
    background.start("likenesses", keep_linking(database, stop))
    background.start("counters", keep_adding_up(database, stop))
    distance, base_url = settings.moderation_distance, settings.http.base_url
    background.start("moderation", keep_spreading(database, distance=distance, base_url=base_url, stop=stop))
    background.start("downloads", downloads.keep_writing(database, stop))
    background.start("bucket", duties.have_bucket(blobs, stop))


def _start(
    background: Background,
    settings: CatalogSettings,
    *,
    database: Database,
    bus: Bus,
    feed: Feed,
    metrics: CatalogMetrics,
    consumer_metrics: ConsumerMetrics,
) -> None:
    stop, base_url = background.stop, settings.http.base_url
    background.start(
        "projector",
        consume(
            bus,
            settings.topology.durable("catalog-projector"),
            duties.projecting(
                database,
                bus,
                metrics,
                base_url,
                cascading=settings.cascading,
                single=settings.single,
                distance=settings.moderation_distance,
                places=min(PROJECTORS, settings.database.pool // 2),
            ),
            stop=stop,
            concurrency=EVENTS,
            batch=100,
            metrics=consumer_metrics,
        ),
    )
    background.start(
        "registry",
        consume(
            bus,
            settings.topology.durable("catalog-registry"),
            duties.registering(database, bus, base_url, settings.cascading),
            stop=stop,
            metrics=consumer_metrics,
        ),
    )
    background.start("relay", relay(database, bus, stop, metrics))
    background.start("erasing", erasing(database, bus, stop))
    background.start("live", feed.run(database, bus, stop))
    background.start("heartbeat", duties.heartbeat(database, bus, stop))
    background.start("numbers", duties.keep_counter(database, bus, stop))
    background.start("entities", keep_registry(database, bus, settings.topology, stop))
    background.start("letters", keep_noting(database, bus, stop))
    background.start(
        "reconciler", duties.keep_reconciling(database, settings.stale, base_url, settings.cascading, stop)
    )


def _deliver_by_others(
    app: Litestar, background: Background, settings: CatalogSettings, bus: Bus, metrics: ConsumerMetrics
) -> None:
    """What the store and caches hand out in our place, where settings say so."""
    stop = background.stop
    if settings.redirects is not None:
        redirects = Redirects(settings.redirects, settings.store)
        app.state["redirects"] = redirects
        background.start("redirects", redirects.keep_proving(stop))
    if settings.purge is not None:
        durable, base_url = settings.topology.durable(PURGER.name), settings.http.base_url
        background.start(
            "purger",
            keep_purging(settings.purge, bus, durable, base_url=base_url, stop=stop, metrics=metrics),
        )


def _checks(app: Callable[[], Litestar], database: Database) -> dict[str, Check]:
    async def nats() -> None:
        if not app().state.bus.connected:
            raise Unavailable("The message broker is not reachable.")
        # A broker that hangs keeps its connections for half a minute.
        await app().state.bus.last_sequence(topology.MEDIA)

    async def migrations() -> None:
        async with database.reading() as connection:
            found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        if await asyncio.to_thread(is_behind, found):
            raise Unavailable(f"The database is at revision {found}, this service needs {head()}.")

    async def row_security() -> None:
        async with database.reading() as connection:
            await in_force(connection)

    async def s3() -> None:
        await app().state.blobs.check()

    return {
        "nats": nats,
        "postgres": lambda: duties.alive(database),
        "migrations": migrations,
        "row_security": row_security,
        "s3": s3,
    }


def _version() -> str:
    try:
        return version("tripod")
    except PackageNotFoundError:  # run from a checkout
        return "0"
