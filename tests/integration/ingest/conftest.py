"""Ingest on a real broker and a real store, listening on a port of its own in the test's loop."""

import asyncio
import contextlib
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import jwt
import msgspec
import pytest
import uvicorn
from litestar import Litestar

from services.ingest.app import REAL, Outside, create_app
from services.ingest.context import Ingest
from services.ingest.settings import IngestSettings, Timing
from shared import entities, profiles
from shared.auth import AuthSettings
from shared.entities import Entity
from shared.events import topology
from shared.events.bus import Bus, Message
from shared.events.jetstream import BusSettings, connect
from shared.events.messages import Event, MediaDeleted, decode, encode
from shared.http import HttpSettings
from shared.storage.s3 import S3Settings
from shared.wire import limited
from tests.fixtures.servers import Broker, ObjectStore, StoredFile

SECRET = "a secret of the tests, long enough for HS256"
PROFILES = profiles.parse(
    b"""
[default]
recipe = "standard"
key = "{YYYY}/{MM}/{DD}/{uuid}_{name}.{ext}"
max_pixels = 100_000_000
max_bytes = { image = 2_000_000, document = 1_000_000, other = 12_000_000, audio = 1000, video = 1000 }

[tiny]
recipe = "standard"
key = "tiny/{uuid}.{ext}"
public = true
max_pixels = 1000
max_bytes = { image = 700 }

[internal]
who = "service"
recipe = "standard"
key = "internal/{uuid}.{ext}"
max_bytes = { image = 1_000_000 }
""",
    "the tests",
)
# A lease long enough for a busy machine, short enough to wait for its end.
TIMING = Timing(lease=1.2, renew=0.2, sweep=0.3)
T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], what: str, seconds: float = 15.0) -> T:
    """What `look` finds as soon as it finds something true."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}; the last look found {found!r}")
        await asyncio.sleep(0.02)


def token(sub: str, *roles: str, **claims: int) -> str:
    return jwt.encode({"sub": sub, "roles": list(roles), **claims}, SECRET, "HS256")


class Gateway:
    """One running ingest, and eyes on what it leaves in broker and store."""

    def __init__(self, app: Litestar, port: int, bus: Bus, store: ObjectStore) -> None:
        self.app = app
        self.port = port
        self.bus = bus
        self.store = store
        self.http = self.client("ann")
        self._clients = [self.http]

    @property
    def ingest(self) -> Ingest:
        found: Ingest = self.app.state.ingest
        return found

    def client(self, sub: str, *roles: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token(sub, *roles)}"},
            timeout=20,
        )

    async def upload(
        self, data: bytes, name: str = "photo.jpg", headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        return await self.http.post(
            "/v1/uploads", files={"file": (name, data)}, data=fields, headers=headers or {}
        )

    def files(self) -> list[StoredFile]:
        """Every file that the store keeps for this bucket, unfinished ones included."""
        return self.store.files()

    async def keys(self, bucket: str) -> list[str]:
        return await self.bus.kv(bucket).keys()

    async def events(self) -> list[Event]:
        """Every event of the media stream, oldest first."""
        return [decode(message.data)[1] for message in await self.messages()]

    async def messages(self) -> list[Message]:
        last = await self.bus.last_sequence(topology.MEDIA)
        found = [await self.bus.read(topology.MEDIA, n) for n in range(1, last + 1)]
        return [message for message in found if message]

    async def nothing_is_left(self) -> bool:
        """Whether no object, intent or record is there."""
        if not self.bus.connected:
            return False
        kept = [await self.keys(b) for b in (topology.INTENTS, topology.UPLOADS, topology.IDEMPOTENCY)]
        return not self.files() and not any(kept)

    async def put_entity(self, entity: Entity) -> None:
        await self.bus.kv(topology.ENTITIES).put(
            entities.key(entity.type, entity.id), msgspec.json.encode(entity)
        )


def settings_for(nats_url: str, store: ObjectStore, **changes: Any) -> IngestSettings:
    return msgspec.structs.replace(
        IngestSettings(
            http=HttpSettings(port=8001, base_url="http://origin.test"),
            auth=AuthSettings(secret=SECRET),
            bus=BusSettings(url=nats_url, reconnect_wait=0.1),
            s3=S3Settings(
                endpoint=store.endpoint,
                region=store.region,
                bucket=store.bucket,
                access_key=store.access_key,
                secret_key=store.secret_key,
            ),
            profiles=PROFILES,
            timing=TIMING,
        ),
        **changes,
    )


@contextlib.asynccontextmanager
async def serving(app: Litestar, stall: float = 3) -> AsyncIterator[int]:
    """The app on a free port, as it is served in earnest; yields the port."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=limited(stall_seconds=stall),
        log_config=None,
        access_log=False,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            await task
            raise AssertionError("the service did not start")
        await asyncio.sleep(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await task


Start = Callable[..., contextlib.AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def start(broker: Broker, object_store: ObjectStore) -> Start:
    """Start an ingest on the test's broker and bucket; several at once are fine."""

    @contextlib.asynccontextmanager
    async def run(outside: Outside = REAL, *, counter: bool = True, **changes: Any) -> AsyncIterator[Gateway]:
        app = create_app(settings_for(broker.url, object_store, **changes), outside)
        bus = await connect(BusSettings(url=broker.url, reconnect_wait=0.1))
        try:
            async with serving(app) as port:
                gateway = Gateway(app, port, bus, object_store)
                if counter:
                    await bus.ensure(topology.TOPOLOGY)
                    if await bus.kv(topology.COUNTERS).get("media.number") is None:
                        await bus.kv(topology.COUNTERS).create("media.number", b"1")
                    await eventually(lambda: _ready(gateway), "ingest to be ready")
                yield gateway
                await gateway.http.aclose()
        finally:
            await bus.close()

    return run


async def _ready(gateway: Gateway) -> bool:
    return (await gateway.http.get("/health/ready")).status_code == 200


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[Gateway]:
    """One ingest that is ready."""
    async with start() as running:
        yield running


async def delete(gateway: Gateway, media: dict[str, str], key: str | None) -> None:
    """Say what the catalog says when a media is deleted."""
    now = datetime.now(UTC)
    event: Event = MediaDeleted(
        id=uuid.UUID(media["id"]),
        number=int(media["number"]),
        owner="ann",
        media_type="image",
        key=key,
        variants="variants/x/",
        deleted_at=now,
    )
    message_id = uuid.uuid4().hex
    data = encode(
        event, source="catalog", event_id=message_id, subject=media["id"], time=now, traceparent=None
    )
    await gateway.bus.publish(topology.media_subject("deleted", "image"), data, message_id=message_id)


class Wire:
    """A raw connection, for requests that no HTTP client would send."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self._socket.sendall, data)

    async def status(self) -> int:
        return int((await self.answer()).split(b" ", 2)[1])

    async def answer(self) -> bytes:
        """All that comes until the other side closes, or the head where it stays open."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        data = b""
        while piece := self._socket.recv(65536):
            data += piece
            head, found, body = data.partition(b"\r\n\r\n")
            if found and b"content-length: " in head:
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                if len(body) >= length:
                    return data
        return data

    def close(self) -> None:
        self._socket.close()


def request_head(path: str, headers: dict[str, str], method: str = "POST", sub: str = "ann") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: t", f"Authorization: Bearer {token(sub)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
