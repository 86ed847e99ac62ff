"""Every implementation of a Protocol as one parameter, so that the same assertions run on each."""

from collections.abc import AsyncIterator, Callable, Iterator
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


class Rclones:
    """The store of the embedded stack: one process for all tests up to the next that stops it."""

    def __init__(self, folders: Callable[[], Path], spawner: ThreadPoolExecutor) -> None:
        self._folders = folders
        self._spawner = spawner
        self._running: tuple[Child, str, Path] | None = None

    def store(self) -> S3Store:
        """With a bucket of its own."""
        if self._running is None:
            folder, port = self._folders(), free_port(set())
            child = Child(s3.spec(folder, port, ACCESS_KEY, SECRET_KEY), folder.with_suffix(".log"))
            self._running = child, s3.endpoint(port), folder
            S3Store(child, self._spawner, s3.endpoint(port), folder).launch()
        child, endpoint, folder = self._running
        return S3Store(child, self._spawner, endpoint, folder)

    def discard(self) -> None:
        """The next one gets a process of its own."""
        if self._running is not None:
            self._running[0].kill()
            self._running = None


@pytest.fixture(scope="session")
def rclones(tmp_path_factory: pytest.TempPathFactory, spawner: ThreadPoolExecutor) -> Iterator[Rclones]:
    """Those of this test process, one after the other."""
    own = Rclones(lambda: tmp_path_factory.mktemp("rclone"), spawner)
    yield own
    own.discard()


@pytest.fixture
def rclone(rclones: Rclones) -> Iterator[Store]:
    """The store of the embedded stack with a bucket of the test's own."""
    own = rclones.store()
    yield own
    if own.stopped:
        rclones.discard()


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
