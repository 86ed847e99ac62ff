"""A client that costs next to nothing: requests made beforehand, sent over a few connections that stay open."""

import asyncio
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be sent as two pieces: the body is shared between requests."""

    head: bytes
    body: bytes


class Refused(Exception):
    """The server answered something else than 2xx."""


class _Connection(asyncio.Protocol):
    """One request after the other; the next goes out when the answer is here whole."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._answered: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    async def ask(self, exchange: Exchange) -> int:
        """The status of the answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.writelines([exchange.head, exchange.body])
        return await self._answered

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, blank, rest = self._heard.partition(b"\r\n\r\n")
        if not blank or len(rest) < _length(head):
            return
        status = int(head.split(b" ", 2)[1])
        if status == 100:
            del self._heard[: len(head) + 4]
            return
        self._heard.clear()
        if self._answered is not None and not self._answered.done():
            if not 200 <= status < 300:
                self._answered.set_exception(
                    Refused(bytes(head + blank + rest).decode(errors="replace")[:600])
                )
            else:
                self._answered.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the server closed the connection"))


def _length(head: bytes | bytearray) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def send_all(url: str, exchanges: Sequence[Exchange], clients: int) -> tuple[float, list[int]]:
    """Seconds that all took with that many connections, and the statuses. Raises Refused at the first refusal."""
    return uvloop.run(_send_all(url, exchanges, clients))


async def _send_all(url: str, exchanges: Sequence[Exchange], clients: int) -> tuple[float, list[int]]:
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    connections = [
        (await loop.create_connection(_Connection, parts.hostname or "", parts.port or 80))[1]
        for _ in range(clients)
    ]
    waiting = iter(exchanges)
    statuses: list[int] = []

    async def work(connection: _Connection) -> None:
        for exchange in waiting:
            statuses.append(await connection.ask(exchange))  # noqa: PERF401 -- each waits for its turn

    started = loop.time()
    try:
        await asyncio.gather(*(work(connection) for connection in connections))
    finally:
        for connection in connections:
            connection.transport.abort()
    return loop.time() - started, statuses


def request(method: str, url: str, body: bytes, headers: dict[str, str]) -> Exchange:
    """A request to that URL."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Exchange(head=("\r\n".join(lines) + "\r\n\r\n").encode(), body=body)


BOUNDARY = "tripod-bench-0123456789abcdef"


def form(data: bytes, filename: str) -> bytes:
    """The body of a form with one file; its type is `multipart/form-data` with BOUNDARY."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
