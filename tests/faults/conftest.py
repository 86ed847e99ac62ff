"""A stack to be ill-treated, and what its clients know. These tests use HTTP, process control and `tripod` only."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.stack import EmbeddedStack
from tests.faults.control import config, ready
from tests.faults.load import Acknowledged, Load
from tests.fixtures import minio


class Victim:
    """The stack, and the one ledger of all that was ever acknowledged by it."""

    def __init__(self, stack: EmbeddedStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.ledger = Acknowledged()
        self.token = stack.token("loader")
        self._loads = 0

    def load(self, total: int, clients: int = 4, wait: float = 0) -> Load:
        """So many uploads, from now on."""
        self._loads += 1
        return Load(
            self.stack.origin_url,
            self.token,
            self.ledger,
            total=total,
            clients=clients,
            seed=self._loads,
            wait=wait,
        )

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.stack.origin_url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )


@pytest.fixture(scope="session")
def _victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("faults")
    store = EmbeddedStack if minio.BINARY is None else minio.MinioStack
    with store(config(folder / "data")) as stack:
        yield Victim(stack, folder)


@pytest.fixture
def victim(_victim: Victim) -> Victim:
    """The stack of this test process, ready."""
    ready(_victim.stack)
    return _victim
