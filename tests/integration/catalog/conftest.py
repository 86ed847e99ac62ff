"""A catalog over real servers, and its parts one by one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager

import pytest

from services.catalog.database import Database, DatabaseSettings
from services.catalog.settings import CatalogSettings
from shared.auth import AuthSettings
from shared.events import topology
from shared.events.bus import Bus
from shared.events.jetstream import BusSettings, connect
from shared.http import HttpSettings
from shared.links import LinkSettings
from shared.log import LogSettings
from shared.storage.blobs import Blobs
from shared.storage.s3 import S3Blobs, S3Settings
from shared.storage.unreferenced import erasing
from tests.fixtures.servers import (
    ObjectStore,
    Servers,
    own_broker,
    own_bucket,
    own_database,
    unique_name,
)
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog.lasting import Lasting, LastingOnes, lasting
from tests.integration.catalog.lasting_database import LastingDatabases
from tests.integration.catalog.service import Service, serving

SECRET = "a secret of tests that is long enough"
PARTS = {
    "settings",
    "database",
    "database_url",
    "bus",
    "broker",
    "nats_url",
    "blobs",
    "object_store",
    "servers",
}
"""What a test may do with these it may not do to the catalog that others use after it."""

WHOLE_DATABASE = {"settings", "database_url", "catalog", "own_catalog"}
"""What makes the database of a test one of its own."""


@pytest.fixture
async def service(
    settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs
) -> AsyncIterator[Service]:
    """The parts of a catalog that does not run, and the two that erase what they wrote."""

    async def ours(_key: str) -> bool:
        return True

    parts = Service(settings, database, bus, blobs, "")
    async with AsyncExitStack() as erasers:
        for subject in (topology.INGEST_ERASE, topology.PROCESSOR_ERASE):
            await erasers.enter_async_context(bus.serve(subject, "test", erasing(blobs, ours)))
        yield parts
    await parts.nobody.aclose()


@pytest.fixture
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A migrated, empty database: the one that lasts, or one of the test's own where something else is to share it."""
    own = WHOLE_DATABASE & set(request.fixturenames)
    url: str = request.getfixturevalue("database_url" if own else "emptied_database_url")
    opened = Database(DatabaseSettings(url=url, pool=5))
    yield opened
    await opened.close()


@pytest.fixture
def emptied_database_url(lasting_databases: LastingDatabases) -> Iterator[str]:
    """The database of the test process, as one test after the other has it."""
    yield lasting_databases.current()
    lasting_databases.leave()


@pytest.fixture(scope="session")
def lasting_databases(servers: Servers, migrated_template: str) -> Iterator[LastingDatabases]:
    """One database at a time."""
    ones = LastingDatabases(
        lambda: own_database(servers, unique_name("lasting_database", "_"), migrated_template)
    )
    yield ones
    ones.discard()


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """A connection of the test's own to its broker."""
    own = await connect(BusSettings(url=nats_url, reconnect_wait=0.05), wait=10)
    await own.ensure(topology.TOPOLOGY)
    yield own
    await own.close()


@pytest.fixture
async def blobs(object_store: ObjectStore) -> AsyncIterator[Blobs]:
    """The test's own bucket."""
    own = S3Blobs(store_settings(object_store))
    yield own
    await own.close()


def store_settings(store: ObjectStore) -> S3Settings:
    return S3Settings(
        endpoint=store.endpoint,
        region=store.region,
        bucket=store.bucket,
        access_key=store.access_key,
        secret_key=store.secret_key,
    )


@pytest.fixture
def settings(database_url: str, nats_url: str, object_store: ObjectStore) -> CatalogSettings:
    """Those of a catalog that waits for nothing long."""
    return settings_for(database_url, nats_url, object_store)


def settings_for(database_url: str, nats_url: str, store: ObjectStore) -> CatalogSettings:
    return CatalogSettings(
        http=HttpSettings(port=0, base_url="http://origin.test"),
        auth=AuthSettings(secret=SECRET),
        log=LogSettings(),
        links=LinkSettings(secret=SECRET),
        bus=BusSettings(url=nats_url, reconnect_wait=0.05),
        store=store_settings(store),
        database=DatabaseSettings(url=database_url),
        variant_wait=0.3,
    )


@pytest.fixture
def catalog(request: pytest.FixtureRequest) -> Service:
    """A running catalog that is ready and empty: the one that lasts, or one of the test's own where the test asks for
    any of its parts besides, or its module has settings for it."""
    # A fixture of the module's own; what modules import from hypothesis by that name is a class.
    changed = not isinstance(getattr(request.module, "settings", object), type)
    own = PARTS & set(request.fixturenames) or changed
    found: Service = request.getfixturevalue("own_catalog" if own else "emptied_catalog")
    return found


@pytest.fixture
async def own_catalog(
    settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs
) -> AsyncIterator[Service]:
    """A running catalog of the test's own."""
    async with serving(settings) as url:
        service = Service(settings, database, bus, blobs, url)

        async def ready() -> bool:
            return (await service.nobody.get("/health/ready")).status_code == 200

        await eventually_async(ready, "the catalog to be ready")
        yield service
        await service.nobody.aclose()


@pytest.fixture
async def emptied_catalog(lasting_catalogs: LastingOnes) -> AsyncIterator[Service]:
    """The catalog of the test process, as one test after the other has it."""
    catalog = await asyncio.to_thread(lasting_catalogs.current)
    service = await catalog.open()
    yield service
    try:
        await catalog.leave(service)
    except BaseException:
        await asyncio.to_thread(lasting_catalogs.discard)
        raise


@pytest.fixture(scope="session")
def lasting_catalogs(
    servers: Servers,
    migrated_template: str,
    spawner: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LastingOnes]:
    """One running catalog at a time, over parts of its own."""

    @contextmanager
    def start() -> Iterator[Lasting]:
        with (
            own_database(servers, unique_name("lasting", "_"), migrated_template) as database_url,
            own_broker(tmp_path_factory.mktemp("lasting") / "nats", spawner) as broker,
            own_bucket(servers, unique_name("lasting", "-")) as store,
            lasting(settings_for(database_url, broker.url, store)) as running,
        ):
            yield running

    ones = LastingOnes(start)
    yield ones
    ones.discard()
