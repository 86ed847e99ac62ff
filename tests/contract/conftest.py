"""Every implementation of a Protocol as one parameter, so that the same assertions run on each."""

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.child import Child
from deploy.ports import free_port
from deploy.servers import s3
from shared.events.bus import Bus
from shared.storage.blobs import Blobs
from tests.contract.brokers import BusServer, MemoryServer, NatsServer
from tests.contract.stores import ACCESS_KEY, SECRET_KEY, MemoryStore, S3Store, Store
from tests.fixtures import minio as minio_process
from tests.fixtures.servers import Broker

STORES = ["memory", "rclone", *(["minio"] if minio_process.BINARY else [])]


@pytest.fixture(params=["memory", "jetstream"])
async def bus_server(request: pytest.FixtureRequest) -> AsyncIterator[BusServer]:
    """A broker of the test's own: in memory, and a real one."""
    server: BusServer
    if request.param == "memory":
        server = MemoryServer()
    else:
        broker: Broker = request.getfixturevalue("broker")
        server = NatsServer(broker)
    yield server
    await server.close()


@pytest.fixture
async def bus(bus_server: BusServer) -> Bus:
    """One connection to it."""
    return await bus_server.connect()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """An object store with a bucket of the test's own: in memory, and real ones."""
    made: Store = MemoryStore() if request.param == "memory" else request.getfixturevalue(request.param)
    return made


@pytest.fixture
async def blobs(store: Store) -> AsyncIterator[Blobs]:
    """A client of that bucket, which exists and is empty."""
    client = store.connect()
    await client.ensure_bucket()
    yield client
    await client.close()


@pytest.fixture
def rclone(tmp_path: Path, spawner: ThreadPoolExecutor) -> Iterator[Store]:
    """The store of the embedded stack, a process of the test's own."""
    folder, port = tmp_path / "media", free_port(set())
    folder.mkdir()
    child = Child(s3.spec(folder, port, ACCESS_KEY, SECRET_KEY), tmp_path / "s3.log")
    own = S3Store(child, spawner, s3.endpoint(port), folder)
    own.launch()
    yield own
    child.kill()


@pytest.fixture
def minio(tmp_path: Path, spawner: ThreadPoolExecutor) -> Iterator[Store]:
    """MinIO, a process of the test's own."""
    folder, port = tmp_path / "minio", free_port(set())
    folder.mkdir()
    spec = minio_process.spec(folder, port, ACCESS_KEY, SECRET_KEY)
    child = Child(spec, tmp_path / "minio.log")
    own = S3Store(child, spawner, s3.endpoint(port), folder)
    own.launch()
    yield own
    child.kill()
