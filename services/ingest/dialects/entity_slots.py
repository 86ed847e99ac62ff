"""The places of the entities API where media is uploaded to, as profiles have them, and how their forms are read."""

from collections.abc import Iterator

import msgspec

from services.ingest.dialects.forms import Said, last, reading
from services.ingest.fields import Options
from services.ingest.source import Reading
from shared.entities import check_name
from shared.errors import Invalid
from shared.events.messages import EntityLink
from shared.profiles import Profile, Profiles, of_entities
from shared.slots import Slot

_SAYS = {
    "self": "Only the {} themselves",
    "owner": "Only the {} owner",
    "owner_or_admin": "Only an owner or admin of the {}",
    "anyone": "Whoever is signed in",
}
ANY_FIELDS = (
    "entity_type",
    "entity_id",
    "entity_field",
    "alt_text",
    "caption",
    "sort_order",
    "is_public",
    "is_primary",
    "tags",
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A slot of a profile, and what goes there."""

    slot: Slot
    name: str
    profile: Profile

    @property
    def address(self) -> str:
        """The path of its route."""
        return "/v1/media/" + self.slot.path.format(id="{entity_id:str}", within="{within_id:str}")

    @property
    def who(self) -> str:
        """May upload here, as a refusal says it."""
        kind = self.slot.entity_type.replace("_", " ")
        return self.slot.says or _SAYS[self.profile.attach].format(kind)


def places(profiles: Profiles) -> Iterator[Place]:
    """All slots of all profiles."""
    for name, profile in profiles.items():
        for slot in profile.slots:
            yield Place(slot=slot, name=name, profile=profile)


def reading_of(place: Place, entity_id: str, within_id: str | None = None) -> Reading:
    """The entity is in the address, so rights and limits are checked before a byte of the file is taken. Raises
    Invalid for what can be no id."""
    slot = place.slot
    preset = {
        "entity_type": slot.entity_type,
        "entity_id": entity_id,
        "entity_field": slot.entity_field,
    }
    if place.profile.single:
        preset["is_primary"] = "true"
    within = None
    if slot.within is not None and within_id is not None:
        check_name(slot.within, within_id)
        within = EntityLink(type=slot.within, id=within_id)

    return reading(
        place.name,
        slot.takes,
        preset,
        also=lambda found, _said: msgspec.structs.replace(found, within=within),
    )


def profile_of(profiles: Profiles, entity_type: str, field: str) -> str:
    """What goes for media that is hung on an entity by its type and field instead of by an address of its own: the
    rights of that address, so that this is no way around them. Raises Invalid where nothing goes."""
    general = {said: name for name, profile in profiles.items() for said in profile.general}
    by_slot = {(p.slot.entity_type, p.slot.entity_field): p.name for p in places(profiles)}
    found = (
        general.get(f"{entity_type}/{field}")
        or by_slot.get((entity_type, field))
        or general.get(entity_type)
        or general.get("*")
    )
    if found is None:
        raise Invalid(f"No media is taken for {entity_type} here.", field="entity_type")
    return found


def reading_any(profiles: Profiles) -> Reading:
    """A form whose fields say what the media hangs on, before or after the file."""

    def parse(said: Said, *, complete: bool = True) -> Options:
        profile = profile_of(profiles, last(said, "entity_type"), last(said, "entity_field"))
        return reading(profile, ANY_FIELDS).parse(said, complete=complete)

    return Reading(parse=parse, profile_known=_entity_known, profiles=of_entities(profiles))


def _entity_known(said: Said) -> bool:
    return "entity_type" in said and "entity_id" in said
