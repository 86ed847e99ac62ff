"""The catalog as a running service of one test, and what tests ask of it."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import uvicorn
from litestar import Litestar
from sqlalchemy import Table, select

from services.catalog.app import create_app
from services.catalog.database import Database
from services.catalog.settings import CatalogSettings
from shared.events import messages, topology
from shared.events.bus import Bus
from shared.events.messages import Event, MediaProcessed, MediaUploaded
from shared.storage.blobs import Blobs
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories

_SUBJECTS: dict[str, Callable[[Any], str]] = {
    "MediaUploaded": lambda event: topology.uploaded(event.media_type, "fresh"),
    "MediaProcessed": lambda event: topology.media_subject("processed", event.media_type),
    "MediaFailed": lambda event: topology.media_subject("failed", event.media_type),
    "EntityUpserted": lambda event: f"entity.v1.upserted.{event.type}",
    "EntityDeleted": lambda event: f"entity.v1.deleted.{event.type}",
    "UserDeleted": lambda _event: "user.v1.deleted",
}


class Service:
    """One catalog over its own database, broker and bucket."""

    def __init__(
        self, settings: CatalogSettings, database: Database, bus: Bus, blobs: Blobs, url: str
    ) -> None:
        self.settings = settings
        self.database = database
        self.bus = bus
        self.blobs = blobs
        self.url = url
        self.nobody = httpx.AsyncClient(base_url=url, timeout=20)

    def token(self, sub: str, *roles: str, lives: timedelta = timedelta(hours=1)) -> str:
        claims = {"sub": sub, "roles": list(roles), "exp": datetime.now(UTC) + lives}
        return jwt.encode(claims, self.settings.auth.secret, algorithm="HS256")

    @asynccontextmanager
    async def caller(self, sub: str, *roles: str) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"Authorization": f"Bearer {self.token(sub, *roles)}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20) as client:
            yield client

    async def tell(self, event: Event, *, traceparent: str | None = None, **headers: str) -> int:
        """Publish an event as its owner would; its place in the stream."""
        message_id = uuid.uuid4().hex
        data = messages.encode(
            event,
            source="test",
            event_id=message_id,
            subject=str(getattr(event, "id", "")),
            time=stories.now(),
            traceparent=traceparent,
        )
        subject = _SUBJECTS[type(event).__name__](event)
        return await self.bus.publish(subject, data, message_id=message_id, headers=headers)

    async def have(self, *events: Event) -> None:
        """Tell events and wait until each of them has been taken in."""
        for event in events:
            await self.settled(await self.tell(event))

    async def settled(self, sequence: int) -> None:
        """Wait until the projector has committed the event at this place of the stream."""

        async def look() -> bool:
            return any(row["sequence"] == sequence for row in await self.rows("stored_events"))

        await eventually_async(look, f"event {sequence} to be taken in")

    async def ready(self, owner: str = "ann", **changes: Any) -> MediaUploaded:
        """A media with its objects in the store, processed."""
        upload = stories.uploaded(owner, **changes)
        result = stories.processed(upload)
        await self.store(upload, result)
        await self.have(upload, result)
        return upload

    async def store(
        self, upload: MediaUploaded, result: MediaProcessed | None = None, body: bytes = stories.BODY
    ) -> None:
        """Put what ingest and processor would have put."""

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 65536):
                yield body[start : start + 65536]

        await self.blobs.put(upload.key, pieces(), size=len(body), content_type=upload.mime_type)
        for ref in result.variants if result else ():
            await self.blobs.put_bytes(ref.key, stories.BODY[::-1], content_type=ref.mime_type)

    async def rows(self, table: str | Table) -> list[dict[str, Any]]:
        """All rows of a table."""
        return await all_rows(self.database, table)

    async def told(self) -> None:
        """Wait until the outbox is empty."""

        async def look() -> bool:
            return not await self.rows("outbox")

        await eventually_async(look, "the outbox to be empty")

    async def stream(self, stream: str = topology.MEDIA) -> list[tuple[int, Event]]:
        """All events that a stream holds, with their places."""
        found = []
        for sequence in range(1, await self.bus.last_sequence(stream) + 1):
            message = await self.bus.read(stream, sequence)
            if message is not None:
                found.append((sequence, messages.decode(message.data)[1]))
        return found


async def all_rows(database: Database, table: str | Table) -> list[dict[str, Any]]:
    from services.catalog.models import metadata  # noqa: PLC0415 - only tests of the catalog load it

    async with database.reading() as connection:
        found = await connection.execute(select(metadata.tables[str(table)]))
        return [dict(row) for row in found.mappings()]


@asynccontextmanager
async def serving(settings: CatalogSettings) -> AsyncIterator[str]:
    """The service on a port of its own, within this process; its address."""
    async with running(create_app(settings)) as url:
        yield url


@asynccontextmanager
async def running(app: Litestar, **options: Any) -> AsyncIterator[str]:
    """The app on a port of its own; `options` of the server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2, **options
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve([listener]))
        try:
            while not server.started:
                if running.done():
                    running.result()
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
            background = app.state.background
            assert not background.failed
