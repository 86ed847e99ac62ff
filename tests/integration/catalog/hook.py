"""A purge hook of a test: it keeps what it is told and answers as it is bidden."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.catalog.purging import Call, Purge


class Told(msgspec.Struct, frozen=True):
    """One call as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def purges(self) -> tuple[Purge, ...]:
        return msgspec.json.decode(self.body, type=Call).purges


class Hook:
    """`answers`: the statuses of the next calls, then 204. `refused`: media whose calls are answered with 422."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Told] = []
        self.answers: list[int] = []
        self.refused: set[str] = set()

    @property
    def purged(self) -> list[Purge]:
        return [purge for told in self.calls for purge in told.purges]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        told = Told(headers, await reader.readexactly(int(headers["content-length"])))
        status = self.answers.pop(0) if self.answers else 204
        if any(str(purge.id) in self.refused for purge in told.purges):
            status = 422
        if status == 204:
            self.calls.append(told)
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Hook]:
    hook = Hook()
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    async with server:
        hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/purge"
        yield hook
