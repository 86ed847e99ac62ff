"""A stack to be ill-treated, and what its clients know. These tests use HTTP, process control and `tripod` only."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from deploy.stack import EmbeddedStack
from tests.faults.control import config, ready
from tests.faults.load import Acknowledged, Load
from tests.fixtures import minio

FAILED = pytest.StashKey[bool]()


class Victim:
    """The stack, and the one ledger of all that was ever acknowledged by it."""

    def __init__(self, stack: EmbeddedStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.ledger = Acknowledged()
        self.token = stack.token("loader")
        self._loads = 0

    def load(self, total: int, clients: int = 4, wait: float = 0, large: int = 0) -> Load:
        """So many uploads, from now on; one in `large` goes in parts."""
        self._loads += 1
        return Load(
            self.stack.origin_url,
            self.token,
            self.ledger,
            total=total,
            clients=clients,
            seed=self._loads,
            wait=wait,
            large=large,
        )

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.stack.origin_url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )


class Victims:
    """One at a time: all tests share it, up to the first that fails."""

    def __init__(self, folders: Callable[[], Path]) -> None:
        self._folders = folders
        self._open = ExitStack()
        self._current: Victim | None = None

    def current(self) -> Victim:
        if self._current is None:
            folder = self._folders()
            store = EmbeddedStack if minio.BINARY is None else minio.MinioStack
            stack = self._open.enter_context(store(config(folder / "data")))
            self._current = Victim(stack, folder)
        return self._current

    def discard(self) -> None:
        """What is broken stays with whoever broke it."""
        self._current = None
        self._open.close()


@pytest.fixture(scope="session")
def _victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    victims = Victims(lambda: tmp_path_factory.mktemp("faults"))
    yield victims
    victims.discard()


@pytest.fixture
def victim(_victims: Victims, request: pytest.FixtureRequest) -> Iterator[Victim]:
    """The stack of this test process, ready; a new one after a test that failed."""
    found = _victims.current()
    try:
        ready(found.stack)
    except BaseException:
        _victims.discard()
        raise
    yield found
    if request.node.stash.get(FAILED, False):
        _victims.discard()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes what came of a test where its fixtures find it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report
