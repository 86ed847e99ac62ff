"""What happens, as it happens: one feed per process from the broker to whoever listens and may see it."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec
import structlog

from services.catalog import registry
from services.catalog.database import Database
from services.catalog.listeners import Listener, Listeners, LiveMessage, LiveSettings
from services.catalog.relay import SEQUENCE_HEADER
from services.catalog.rows import OUTSIDE, without_place
from services.catalog.sight import is_public, seen
from shared.auth import ANONYMOUS
from shared.entities import Entity
from shared.errors import Malformed, Unavailable
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

LATE = timedelta(seconds=5)
"""Behind which an event is not told to strangers without a look at the row: the broker was away, or nobody told."""

Shown: TypeAlias = MediaCreated | MediaUpdated | MediaDeleted | Progress


class Feed:
    """Hands each message of the broker to the listeners that may see it, and wakes who waits for a media."""

    def __init__(
        self, settings: LiveSettings | None = None, *, open_profiles: frozenset[str] = frozenset()
    ) -> None:
        """`open_profiles`: of their public media callers without a token are told, too."""
        self.listeners = Listeners(settings or LiveSettings(), open_profiles=open_profiles)
        self._watched: dict[uuid.UUID, set[asyncio.Event]] = {}

    def leave(self) -> None:
        """This process ends: its listeners are to go elsewhere."""
        for listener in self.listeners:
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
            asyncio.create_task(self._hear(database, bus, topology.live("*"), self._missed)),
            asyncio.create_task(self._hear(database, bus, topology.progress("*"))),
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

    def _missed(self) -> None:
        """The broker was away, or there was too much at once: nobody knows what was not heard."""
        log.info("live.resync", listeners=len(self.listeners))
        for listener in self.listeners:
            listener.resync()

    async def _hear(
        self, database: Database, bus: Bus, subject: str, on_gap: Callable[[], None] | None = None
    ) -> None:
        async with bus.listen(subject, on_gap) as messages:
            async for message in messages:
                try:
                    await self.take(database, message)
                except Malformed as error:
                    log.warning("live.unreadable", subject=message.subject, error=error.detail)

    async def take(self, database: Database, message: Message) -> None:
        """Hand one message on. Raises Malformed for bytes that are no event, where somebody would be told of it."""
        if not self.listeners and not self._watched:
            return
        envelope, event = decode(message.data)
        if not isinstance(event, Shown):
            return
        for watcher in self._watched.get(event.id, ()):
            watcher.set()
        if not self.listeners:
            return
        sequence = message.headers.get(SEQUENCE_HEADER, "")
        shown = msgspec.structs.replace(
            shown_as(event),
            sequence=int(sequence) if sequence.isdecimal() else None,
            trace_id=continue_from(envelope.traceparent).trace_id if envelope.traceparent else None,
        )
        hidden = isinstance(event, MediaUpdated) and event.hidden is True
        gone = isinstance(event, MediaDeleted) and event.public is True
        at = envelope.time
        late = at.tzinfo is None or datetime.now(UTC) - at > LATE
        await self._hand_out(database, shown, event.owner, hidden=hidden, gone=gone, late=late)

    async def _hand_out(
        self,
        database: Database,
        shown: LiveMessage,
        owner: str | None,
        *,
        hidden: bool,
        gone: bool,
        late: bool,
    ) -> None:
        """To those of whom it is known what they see first; only then an entity is looked up, once for all. `hidden`:
        everybody could see the media until now; `gone`: so they could, and it is deleted. `late`: what was public may
        not be so any more."""
        told = {*self.listeners.of([owner] if owner is not None else ())}
        told |= {listener for listener in self.listeners.staff() if listener.caller.governs}
        for listener in told:
            listener.put(shown)
        for listener in {*self.listeners.of_number(owner)} - told:
            if await _is_theirs(database, listener, shown):
                listener.put(shown)
                told.add(listener)
        for listener in await self._those_of_the_entity(database, shown, told):
            listener.put(shown)
            told.add(listener)
        media, outside, unseen = shown.media or {}, as_outsiders_see(shown), as_hidden(shown)
        public = is_public(media) and not (late and await _is_private_now(database, shown.id))
        for listener in self.listeners if public or hidden else self.listeners.staff():
            if listener not in told and listener.hears_of(shown.profile):
                listener.put(outside if public or listener.caller.sees_all else unseen)
        for listener in self.listeners if gone else ():
            if listener.deletions and listener not in told and not listener.caller.sees_all:
                listener.put(shown)

    async def _those_of_the_entity(
        self, database: Database, shown: LiveMessage, told: set[Listener]
    ) -> set[Listener]:
        """Who governs what the media hangs on, of those who are not told yet. They are to ask anew where the database
        does not answer."""
        link = (shown.media or {}).get("entity")
        if not link or len(told) == len(self.listeners):
            return set()
        try:
            entity = await _entity(database, link)
        except Unavailable:
            for listener in self.listeners:
                if listener not in told and listener.caller.sub is not None:
                    listener.resync()
            return set()
        if entity is None or entity.deleted:
            return set()
        return {*self.listeners.of({*entity.owners, *entity.admins})} - told


async def _is_theirs(database: Database, listener: Listener, shown: LiveMessage) -> bool:
    """Asked of the row: an event does not say for whom it was uploaded. Of what has no row nobody knows."""
    if shown.media is None or shown.id is None:
        return False
    try:
        sights = await seen(database, listener.caller, [shown.id])
    except Unavailable:
        listener.resync()
        return False
    return shown.id in sights and sights[shown.id].own


async def _is_private_now(database: Database, media_id: uuid.UUID | None) -> bool:
    """Whether not everybody may see it, or nobody knows."""
    try:
        return media_id is None or media_id not in await seen(database, ANONYMOUS, [media_id])
    except Unavailable:
        return True


async def _entity(database: Database, link: dict[str, Any]) -> Entity | None:
    async with database.reading() as connection:
        return await registry.find_entity(connection, str(link["type"]), str(link["id"]))


def as_outsiders_see(shown: LiveMessage) -> LiveMessage:
    """The same for those who may see the media but not change it."""
    if shown.media is None:
        return shown
    known = without_place(shown.media.get("exif", {}))
    return msgspec.structs.replace(shown, media={**shown.media, **OUTSIDE, "exif": known})


def as_hidden(shown: LiveMessage) -> LiveMessage:
    """The same for those who may not see the media any more: which one, and nothing of it."""
    return LiveMessage(
        type="media.hidden",
        id=shown.id,
        sequence=shown.sequence,
        trace_id=shown.trace_id,
        number=shown.number,
        profile=shown.profile,
    )


def shown_as(event: Shown) -> LiveMessage:
    """How listeners are told of an event."""
    match event:
        case MediaCreated():
            return LiveMessage(type="media.created", id=event.id, media=event.media, **_known(event.media))
        case MediaUpdated():
            return LiveMessage(type="media.updated", id=event.id, media=event.media, **_known(event.media))
        case MediaDeleted():
            profile = event.profile if isinstance(event.profile, str) else None
            return LiveMessage(type="media.deleted", id=event.id, number=event.number, profile=profile)
        case Progress():
            return LiveMessage(
                type="progress",
                id=event.id,
                stage=event.stage,
                percent=event.percent,
                filename=event.filename,
                received=event.received,
                size=event.size,
                eta=event.eta,
            )


def _known(media: dict[str, Any]) -> dict[str, Any]:
    return {"number": media.get("number"), "profile": media.get("profile")}
