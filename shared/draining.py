"""A server that stops listening without turning away who is at the door, for restarts that no client notices."""

import asyncio
import os
import socket
from collections.abc import Callable

import uvicorn

FRESH_SECONDS = 0.5
LOOK_SECONDS = 0.01


class DrainingServer(uvicorn.Server):
    """As uvicorn's, but a connection that the kernel has accepted gets its answer.

    Closing a listener resets the connections that wait behind it, and uvicorn closes those that have not asked
    anything yet. Either way a client that connected a moment too early would fail, although another replica could
    have served it.
    """

    def __init__(self, config: uvicorn.Config, on_leaving: Callable[[], None] | None = None) -> None:
        """`on_leaving` is called first, to end the answers that would never end by themselves."""
        super().__init__(config)
        self._on_leaving = on_leaving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._on_leaving is not None:
            self._on_leaving()
        doors = [
            socket.socket(fileno=os.dup(listener.fileno()))
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        for door in doors:
            await self._let_in(last_guests(door))
        deadline = asyncio.get_running_loop().time() + FRESH_SECONDS
        # No event to wait for: the protocol tells nobody that a request begins.
        while self._has_fresh() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        await super().shutdown(sockets)

    async def _let_in(self, guests: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for guest in guests:
            await loop.connect_accepted_socket(self._protocol, guest)

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes one for each connection."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _has_fresh(self) -> bool:
        """Whether a connection is open that has not asked anything yet."""
        return any(getattr(each, "cycle", self) is None for each in self.server_state.connections)


def last_guests(door: socket.socket) -> list[socket.socket]:
    """Those who wait at a listener, which is closed right behind them: the time between is some microseconds."""
    guests = []
    door.setblocking(False)  # noqa: FBT003 - the socket's own way
    with door:
        while True:
            try:
                guests.append(door.accept()[0])
            except BlockingIOError:
                return guests
