"""A catalog over real servers, and its parts one by one."""

from collections.abc import AsyncIterator

import pytest

from services.catalog.database import Database, DatabaseSettings
from services.catalog.settings import CatalogSettings
from shared.auth import AuthSettings
from shared.events.bus import Bus
from shared.events.jetstream import BusSettings, connect
from shared.events.topology import TOPOLOGY
from shared.http import HttpSettings
from shared.links import LinkSettings
from shared.log import LogSettings
from shared.storage.blobs import Blobs
from shared.storage.s3 import S3Blobs, S3Settings
from tests.fixtures.servers import ObjectStore
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog.service import Service, serving

SECRET = "a secret of tests that is long enough"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated, empty database."""
    own = Database(DatabaseSettings(url=database_url, pool=5))
    yield own
    await own.close()


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """A connection of the test's own to its broker."""
    own = await connect(BusSettings(url=nats_url, reconnect_wait=0.05), wait=10)
    await own.ensure(TOPOLOGY)
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
    return CatalogSettings(
        http=HttpSettings(port=0, base_url="http://origin.test"),
        auth=AuthSettings(secret=SECRET),
        log=LogSettings(),
        links=LinkSettings(secret=SECRET),
        bus=BusSettings(url=nats_url, reconnect_wait=0.05),
        store=store_settings(object_store),
        database=DatabaseSettings(url=database_url),
        variant_wait=0.3,
    )


@pytest.fixture
async def catalog(
    settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs
) -> AsyncIterator[Service]:
    """A running catalog that is ready."""
    async with serving(settings) as url:
        service = Service(settings, database, bus, blobs, url)

        async def ready() -> bool:
            return (await service.nobody.get("/health/ready")).status_code == 200

        await eventually_async(ready, "the catalog to be ready")
        yield service
        await service.nobody.aclose()
