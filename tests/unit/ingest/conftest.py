"""A broker in memory with everything that ingest expects of it."""

import pytest

from shared.events import topology
from shared.events.memory import MemoryBus


@pytest.fixture
async def bus() -> MemoryBus:
    made = MemoryBus()
    await made.ensure(topology.TOPOLOGY)
    return made
