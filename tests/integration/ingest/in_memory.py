"""Ingest as it is served in earnest, on a broker and a store in memory: for what neither of them decides."""

import contextlib
from collections.abc import AsyncIterator, Mapping

import httpx
from litestar import Litestar

from services.ingest.app import Outside, create_app
from services.ingest.context import Ingest
from services.ingest.settings import IngestSettings
from shared import profiles
from shared.auth import AuthSettings
from shared.env import Env
from shared.events import topology
from shared.events.bus import Bus
from shared.events.jetstream import BusSettings
from shared.events.memory import MemoryBus
from shared.events.messages import Event, decode
from shared.http import HttpSettings
from shared.profiles import Profiles
from shared.storage.blobs import Blobs
from shared.storage.memory import MemoryBlobs
from shared.storage.s3 import S3Settings
from tests.integration.ingest.conftest import SECRET, TIMING, eventually, serving, token

BOUNDARY = "b"
FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def fields(said: Mapping[str, str]) -> list[bytes]:
    return [part(name, value.encode()) for name, value in said.items()]


class Small:
    """One running ingest, its broker and its store."""

    def __init__(self, app: Litestar, port: int, bus: MemoryBus, blobs: MemoryBlobs) -> None:
        self.app = app
        self.port = port
        self.bus = bus
        self.blobs = blobs

    @property
    def ingest(self) -> Ingest:
        found: Ingest = self.app.state.ingest
        return found

    def client(self, sub: str = "ann", *roles: str, **claims: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token(sub, *roles, **claims)}"},
            timeout=20,
        )

    async def events(self) -> list[Event]:
        """Every event of the media stream, oldest first."""
        last = await self.bus.last_sequence(topology.MEDIA)
        found = [await self.bus.read(topology.MEDIA, n) for n in range(1, last + 1)]
        return [decode(message.data)[1] for message in found if message]

    async def nothing_is_left(self) -> bool:
        buckets = (topology.INTENTS, topology.UPLOADS, topology.IDEMPOTENCY)
        return not self.blobs.objects and not any([await self.bus.kv(b).keys() for b in buckets])


@contextlib.asynccontextmanager
async def running(
    blobs: MemoryBlobs | None = None, *, beside: MemoryBus | None = None, known: Profiles | None = None
) -> AsyncIterator[Small]:
    """With the shipped profiles unless others are given; ready. `beside`: another's broker, to share it."""
    bus, store = MemoryBus(beside.broker if beside else None), blobs or MemoryBlobs()

    async def connected(_settings: IngestSettings) -> Bus:
        return bus

    def stored(_settings: IngestSettings) -> Blobs:
        return store

    settings = IngestSettings(
        http=HttpSettings(port=8001, base_url="http://origin.test"),
        auth=AuthSettings(secret=SECRET),
        bus=BusSettings(url="nats://nowhere.test"),
        s3=S3Settings(access_key="key", secret_key="secret"),
        profiles=known or profiles.load(Env({})),
        timing=TIMING,
    )
    app = create_app(settings, Outside(bus=connected, blobs=stored))
    await bus.ensure(topology.TOPOLOGY)
    if beside is None:
        await bus.kv(topology.COUNTERS).create("media.number", b"1")
    async with serving(app) as port:
        small = Small(app, port, bus, store)
        async with small.client() as http:

            async def ready() -> bool:
                return (await http.get("/health/ready")).status_code == 200

            await eventually(ready, "ingest to be ready")
        yield small
