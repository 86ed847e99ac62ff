"""What other systems have told of entities and users, read again: the registry's states alone do not say when they were
told, nor who has left."""

from datetime import datetime

import msgspec
from sqlalchemy import insert

from services.catalog import departures, registry
from services.catalog.census import Tell, events
from services.catalog.database import Database
from services.catalog.models import entities
from shared.entities import Entity
from shared.errors import Malformed
from shared.events import topology
from shared.events.bus import Bus
from shared.events.messages import EntityDeleted, EntityUpserted, Envelope, Event, UserDeleted


class RegistryStory(msgspec.Struct, kw_only=True):
    """`newest`: of each entity the state that its events end in, and when that was told; `departed`: the users who have
    left, and until when what is theirs goes."""

    newest: dict[tuple[str, str], tuple[datetime, Entity]] = {}
    departed: dict[str, datetime] = {}

    def take(self, envelope: Envelope, event: Event) -> None:
        """One event, as the catalog takes it in. Raises Malformed where it did not."""
        told_at = registry.plausible(envelope.time)
        if isinstance(event, UserDeleted):
            until = told_at + departures.LEEWAY
            self.departed[event.sub] = max(until, self.departed.get(event.sub, until))
            return
        if isinstance(event, EntityUpserted):
            state = Entity(**msgspec.structs.asdict(event))
        elif isinstance(event, EntityDeleted):
            state = Entity(type=event.type, id=event.id, deleted=True)
        else:
            return
        known = self.newest.get((state.type, state.id))
        if known is None or (told_at, *registry.rank(state)) >= (known[0], *registry.rank(known[1])):
            self.newest[state.type, state.id] = (told_at, state)

    def told_at(self, entity: Entity, stored_at: datetime) -> datetime:
        """When the newest word of an entity was said. Where that is no event's it was a request's, at `stored_at`."""
        told = self.newest.get((entity.type, entity.id))
        if told is None:
            return stored_at
        at, state = told
        same = registry.rank(self.remaining(state, at)) == registry.rank(entity)
        return at if same else max(at, stored_at)

    def remaining(self, entity: Entity, at: datetime) -> Entity:
        """Without those who have left since."""
        named = {*entity.owners, *entity.admins} & self.departed.keys()
        return registry.without(entity, {sub for sub in named if self.departed[sub] >= at})


async def read_story(bus: Bus, tell: Tell) -> RegistryStory:
    """Of the events that were handled: the others are still to come. Raises Unavailable."""
    handled = await bus.handled_through(topology.TOPOLOGY.durable("catalog-registry"))
    story = RegistryStory()
    async for sequence, found in events(bus, topology.REGISTRY, tell):
        if found is None or sequence > handled:
            continue
        try:
            story.take(found.envelope, found.event)
        except Malformed:
            continue  # it is a dead letter
    return story


async def keep_entity(database: Database, story: RegistryStory, entity: Entity, stored_at: datetime) -> None:
    """Make the row of a state that the registry has had since `stored_at`."""
    told_at = story.told_at(entity, stored_at)
    entity = story.remaining(entity, told_at)
    values = msgspec.structs.asdict(entity) | {
        "owners": list(entity.owners),
        "admins": list(entity.admins),
        "updated_at": stored_at,
        "told_at": told_at,
    }
    async with database.writing(tell=False) as connection:
        await connection.execute(insert(entities).values(values))


async def forget_departed(database: Database, story: RegistryStory) -> None:
    """Note who has left, and forget them as reviewers: the media stream still names them."""
    async with database.writing(tell=False) as connection:
        for sub, until in story.departed.items():
            await departures.note(connection, sub, until)
            await departures.forget_reviewer(connection, sub, until)
