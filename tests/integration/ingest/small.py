"""Ingest over real sockets on a broker and a store in memory: for the many cases that only the wire decides."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
from litestar import Litestar

from services.ingest.app import Outside, create_app
from services.ingest.settings import IngestSettings
from shared import entities, profiles
from shared.auth import AuthSettings
from shared.dialects.settings import DialectSettings
from shared.entities import Entity
from shared.env import Env
from shared.events import topology
from shared.events.bus import Bus
from shared.events.jetstream import BusSettings
from shared.events.memory import MemoryBus
from shared.events.memory_broker import MemoryBroker
from shared.events.messages import MediaUploaded, decode
from shared.http import HttpSettings
from shared.storage.memory import MemoryBlobs
from shared.storage.s3 import S3Settings
from tests.integration.ingest.conftest import PROFILES, SECRET, eventually, serving, token

SOON = 8.0


class Small:
    """One running ingest, and what it has in memory."""

    def __init__(
        self, app: Litestar, port: int, broker: MemoryBroker, bus: MemoryBus, blobs: MemoryBlobs
    ) -> None:
        self.app = app
        self.port = port
        self.broker = broker
        self.bus = bus
        self.blobs = blobs

    async def uploaded(self) -> list[MediaUploaded]:
        """The events of all uploads so far, oldest first."""
        last = await self.bus.last_sequence(topology.MEDIA)
        found = [await self.bus.read(topology.MEDIA, n) for n in range(1, last + 1)]
        events = [decode(message.data)[1] for message in found if message]
        return [event for event in events if isinstance(event, MediaUploaded)]

    async def put_entity(self, entity: Entity) -> None:
        await self.bus.kv(topology.ENTITIES).put(
            entities.key(entity.type, entity.id), msgspec.json.encode(entity)
        )

    async def nothing_is_left(self) -> None:
        """Returns when there is no object and no word of one. Start from nothing with `forget`."""

        async def look() -> bool:
            kept = [await self.bus.kv(b).keys() for b in (topology.INTENTS, topology.UPLOADS)]
            return not self.blobs.objects and not any(kept)

        await eventually(look, "everything to be gone", SOON)

    async def forget(self) -> None:
        """Drop what is stored and what is known of it."""
        self.blobs.objects.clear()
        for bucket in (topology.INTENTS, topology.UPLOADS, topology.IDEMPOTENCY):
            for key in await self.bus.kv(bucket).keys():
                await self.bus.kv(bucket).delete(key)

    async def said(self, data: bytes, *, half_close: bool = False) -> bytes:
        """All that is answered to `data`, up to the end of the connection."""
        async with self.connected() as client:
            await client.send(data)
            if half_close:
                client.writer.write_eof()
            return await client.rest()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator["Client"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):  # an early answer may cut what we still send
            await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes up to the end."""
        async with asyncio.timeout(SOON):
            return await self.reader.read(-1)

    async def answer(self) -> bytes:
        """One answer whole; the connection may stay open behind it."""
        top = await self.until(b"\r\n\r\n")
        length = [line for line in top.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        async with asyncio.timeout(SOON):
            return top + await self.reader.readexactly(int(length[0].split(b":")[1]) if length else 0)

    async def until(self, marker: bytes) -> bytes:
        async with asyncio.timeout(SOON):
            return await self.reader.readuntil(marker)


@contextlib.asynccontextmanager
async def running(stall: float = 3.0) -> AsyncIterator[Small]:
    """An ingest that is ready; `stall`: within how many seconds a body has to make headway."""
    broker, blobs = MemoryBroker(), MemoryBlobs()
    bus = MemoryBus(broker)

    async def connect(_settings: IngestSettings) -> Bus:
        return bus

    settings = IngestSettings(
        http=HttpSettings(port=8001, base_url="http://origin.test"),
        auth=AuthSettings(secret=SECRET),
        bus=BusSettings(),
        s3=S3Settings(access_key="key", secret_key="secret"),
        dialects=DialectSettings.from_env(Env({})),
        profiles={**profiles.load(Env({})), **PROFILES},
    )
    app = create_app(settings, Outside(bus=connect, blobs=lambda _: blobs))
    async with serving(app, stall) as port:
        await bus.ensure(topology.TOPOLOGY)
        await bus.kv(topology.COUNTERS).create("media.number", b"1")
        yield Small(app, port, broker, bus, blobs)


def head(method: str, path: str, *headers: str, close: bool = True, version: str = "1.1") -> bytes:
    """A request's head with ann's token; ends the connection unless told otherwise."""
    lines = [f"{method} {path} HTTP/{version}", "Host: t", f"Authorization: Bearer {token('ann')}", *headers]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def form_head(length: int, boundary: str = "b", *headers: str) -> bytes:
    kind = f"Content-Type: multipart/form-data; boundary={boundary}"
    return head("POST", "/v1/uploads", kind, f"Content-Length: {length}", *headers)


def statuses(answer: bytes) -> list[int]:
    """The statuses of all answers in what came over a connection, interim ones included."""
    found = []
    while answer.startswith(b"HTTP/1.1 "):
        top, _, answer = answer.partition(b"\r\n\r\n")
        found.append(int(top.split(b" ", 2)[1]))
        for line in top.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                answer = answer[int(line.split(b":")[1]) :]
    assert not answer, answer
    return found


def detail(answer: bytes) -> str:
    """What the problem in the last answer says."""
    found = msgspec.json.decode(answer.rpartition(b"\r\n\r\n")[2], type=dict[str, object])
    return str(found["detail"])


Beside = Callable[[Small], contextlib.AbstractAsyncContextManager[None]]


@contextlib.contextmanager
def in_a_thread(beside: Beside = lambda _: contextlib.nullcontext()) -> Iterator[Small]:
    """The same in a loop and a thread of its own, for clients that block; `beside` lasts as long."""
    started: Future[tuple[Small, asyncio.Event, asyncio.AbstractEventLoop]] = Future()

    async def run() -> None:
        async with running() as made, beside(made):
            stop = asyncio.Event()
            started.set_result((made, stop, asyncio.get_running_loop()))
            await stop.wait()

    with ThreadPoolExecutor(1) as executor:
        ended = executor.submit(asyncio.run, run())
        try:
            made, stop, loop = started.result(SOON)
        except TimeoutError:
            ended.result(0)
            raise
        try:
            yield made
        finally:
            loop.call_soon_threadsafe(stop.set)
            ended.result(SOON)
