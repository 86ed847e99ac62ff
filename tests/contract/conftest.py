"""Every implementation of a Protocol as one parameter, so that the same assertions run on each."""

from collections.abc import AsyncIterator

import pytest

from shared.events.bus import Bus
from tests.contract.brokers import BusServer, MemoryServer, NatsServer
from tests.fixtures.servers import Broker


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
