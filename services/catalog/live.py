"""What happens, as it happens: one feed per process from the broker to whoever listens and may see it."""

import asyncio
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, TypeAlias

import msgspec
import structlog

from services.catalog import registry, rights
from services.catalog.database import Database
from services.catalog.relay import SEQUENCE_HEADER
from services.catalog.rows import OUTSIDE, without_place
from shared.auth import Caller
from shared.entities import Entity
from shared.env import Env
from shared.errors import Malformed, TooMany, Unavailable
from shared.events import topology
from shared.events.bus import Bus, Message
from shared.events.messages import (
    MediaCreated,
    MediaDeleted,
    MediaUpdated,
    Progress,
    decode,
)
from shared.trace import continue_from

log = structlog.get_logger()

QUEUE = 256  # messages that wait for one slow listener
Shown: TypeAlias = MediaCreated | MediaUpdated | MediaDeleted | Progress
Kind: TypeAlias = Literal["media.created", "media.updated", "media.deleted", "progress", "resync"]


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections one process keeps: in all, and of one caller."""

    connections: int = 2000
    per_caller: int = 50

    @classmethod
    def from_env(cls, env: Env) -> "LiveSettings":
        return cls(
            connections=env.integer("TRIPOD_LIVE_CONNECTIONS", 2000, least=1, most=100_000),
            per_caller=env.integer("TRIPOD_LIVE_PER_CALLER", 50, least=1, most=100_000),
        )


class LiveMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One thing that happened. `sequence` is its place in the media stream; progress has none.

    While a file is `receiving` there is no media yet; then its name and bytes are told.
    `resync`: messages were lost here, so what is shown should be asked for again.
    """

    type: Kind
    id: uuid.UUID | None = None
    sequence: int | None = None
    trace_id: str | None = None
    media: dict[str, Any] | None = None
    stage: str | None = None
    percent: int | None = None
    filename: str | None = None
    received: int | None = None
    size: int | None = None

    @cached_property
    def text(self) -> str:
        """As JSON; made once for all who hear it."""
        return msgspec.json.encode(self).decode()


class Listener:
    """One connection's messages. When it is too slow they are dropped and it is told so. `only`: the profiles whose
    media are told of; None is all."""

    def __init__(self, caller: Caller, limit: int = QUEUE, *, only: frozenset[str] | None = None) -> None:
        self.caller = caller
        self.only = only
        self._limit = limit
        self._waiting: deque[LiveMessage] = deque()
        self._wake = asyncio.Event()
        self._left = False

    def hears_of(self, profile: str | None) -> bool:
        return self.only is None or profile in self.only

    def put(self, message: LiveMessage) -> None:
        if len(self._waiting) >= self._limit:
            self.resync()
        self._waiting.append(message)
        self._wake.set()

    def resync(self) -> None:
        """Drop what waits and say so."""
        self._waiting.clear()
        self._waiting.append(LiveMessage(type="resync"))
        self._wake.set()

    def leave(self) -> None:
        """Nothing more comes behind what waits."""
        self._left = True
        self._wake.set()

    async def next(self) -> LiveMessage | None:
        """The next one as soon as there is one; None when this process leaves."""
        while not self._waiting:
            if self._left:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()


class Feed:
    """Hands each message of the broker to the listeners that may see it, and wakes who waits for a media."""

    def __init__(
        self, settings: LiveSettings | None = None, *, open_profiles: frozenset[str] = frozenset()
    ) -> None:
        """`open_profiles`: of their public media callers without a token are told, too."""
        self.open_profiles = open_profiles
        self._settings = settings or LiveSettings()
        self._listeners: set[Listener] = set()
        self._of_caller: Counter[str | None] = Counter()
        self._watched: dict[uuid.UUID, set[asyncio.Event]] = {}

    def require_room(self, caller: Caller) -> None:
        """Raises Unavailable where this process has as many connections as it may, TooMany where the caller has. All
        without a token have half of the places together; staff and services have no limit of their own."""
        most = self._settings.connections
        if len(self._listeners) >= most:
            raise Unavailable(f"This replica has {most} live connections already.", retry_after=10)
        theirs = most // 2 if caller.sub is None else self._settings.per_caller
        if self._of_caller[caller.sub] >= theirs and not caller.sees_all:
            who = "Callers without a token have" if caller.sub is None else "You have"
            raise TooMany(f"{who} {theirs} live connections here, which is the most.", retry_after=60)

    @contextmanager
    def listening(self, caller: Caller) -> Iterator[Listener]:
        listener = Listener(caller, only=self.open_profiles if caller.sub is None else None)
        self._listeners.add(listener)
        self._of_caller[caller.sub] += 1
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self._of_caller[caller.sub] -= 1
            if not self._of_caller[caller.sub]:
                del self._of_caller[caller.sub]

    def leave(self) -> None:
        """This process ends: its listeners are to go elsewhere."""
        for listener in self._listeners:
            listener.leave()

    @contextmanager
    def watching(self, media_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happens to this media."""
        event = asyncio.Event()
        self._watched.setdefault(media_id, set()).add(event)
        try:
            yield event
        finally:
            watchers = self._watched[media_id]
            watchers.discard(event)
            if not watchers:
                del self._watched[media_id]

    async def run(self, database: Database, bus: Bus, stop: asyncio.Event) -> None:
        """Listen until `stop` is set."""
        stories = [
            asyncio.create_task(self._hear(database, bus, subject))
            for subject in (topology.live("*"), topology.progress("*"))
        ]
        ending = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*stories, ending], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {ending}:
                task.result()
        finally:
            for task in (*stories, ending):
                task.cancel()
            await asyncio.gather(*stories, ending, return_exceptions=True)

    async def _hear(self, database: Database, bus: Bus, subject: str) -> None:
        async with bus.listen(subject) as messages:
            async for message in messages:
                try:
                    await self.take(database, message)
                except Malformed as error:
                    log.warning("live.unreadable", subject=message.subject, error=error.detail)

    async def take(self, database: Database, message: Message) -> None:
        """Hand one message on. Raises Malformed for bytes that are no event, where somebody would be told of it."""
        if not self._listeners and not self._watched:
            return
        envelope, event = decode(message.data)
        if not isinstance(event, Shown):
            return
        for watcher in self._watched.get(event.id, ()):
            watcher.set()
        if not self._listeners:
            return
        sequence = message.headers.get(SEQUENCE_HEADER, "")
        shown = msgspec.structs.replace(
            shown_as(event),
            sequence=int(sequence) if sequence.isdecimal() else None,
            trace_id=continue_from(envelope.traceparent).trace_id if envelope.traceparent else None,
        )
        await self._hand_out(database, shown, event.owner)

    async def _hand_out(self, database: Database, shown: LiveMessage, owner: str | None) -> None:
        media = shown.media or {}
        public = bool(media.get("is_public")) and media.get("moderation") == "approved"
        outside = as_outsiders_see(shown)
        undecided = []
        for listener in self._listeners:
            if not listener.hears_of(media.get("profile")):
                continue
            if listener.caller.governs or listener.caller.sub == owner is not None:
                listener.put(shown)
            elif rights.may_see(listener.caller, owner=owner, public=public, entity=None):
                listener.put(outside)
            elif media.get("entity") and listener.caller.sub is not None:
                undecided.append(listener)
        if undecided:
            await _hand_to_those_of_the_entity(database, shown, owner, undecided)


async def _hand_to_those_of_the_entity(
    database: Database, shown: LiveMessage, owner: str | None, undecided: list[Listener]
) -> None:
    """One look at the entity for all who may have a right by it. They ask anew where the database does not answer."""
    try:
        entity = await _entity(database, (shown.media or {})["entity"])
    except Unavailable:
        for listener in undecided:
            listener.resync()
        return
    for listener in undecided:
        if rights.may_see(listener.caller, owner=owner, public=False, entity=entity):
            listener.put(shown)


async def _entity(database: Database, link: dict[str, Any]) -> Entity | None:
    async with database.reading() as connection:
        return await registry.find_entity(connection, str(link["type"]), str(link["id"]))


def as_outsiders_see(shown: LiveMessage) -> LiveMessage:
    """The same for those who may see the media but not change it."""
    if shown.media is None:
        return shown
    known = without_place(shown.media.get("exif", {}))
    return msgspec.structs.replace(shown, media={**shown.media, **OUTSIDE, "exif": known})


def shown_as(event: Shown) -> LiveMessage:
    """How listeners are told of an event."""
    match event:
        case MediaCreated():
            return LiveMessage(type="media.created", id=event.id, media=event.media)
        case MediaUpdated():
            return LiveMessage(type="media.updated", id=event.id, media=event.media)
        case MediaDeleted():
            return LiveMessage(type="media.deleted", id=event.id)
        case Progress():
            return LiveMessage(
                type="progress",
                id=event.id,
                stage=event.stage,
                percent=event.percent,
                filename=event.filename,
                received=event.received,
                size=event.size,
            )
