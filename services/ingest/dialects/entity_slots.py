"""The places of the entities API where media is uploaded to: what each is called, takes, and hangs its media on."""

from collections.abc import Mapping, Sequence

import msgspec

from services.ingest import fields
from services.ingest.fields import Options
from services.ingest.source import Reading
from shared.entities import check_name
from shared.events.messages import EntityLink


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """`path`: below /v1/media, `{entity_id}` is the entity's. `field`: of the entity. `takes`: the form's fields
    beside the file. `primary`: whether its media always is. `within`: the type of the entity that the path names
    besides, whose rights count. `who`: may upload here, as a refusal says it."""

    path: str
    operation: str
    profile: str
    entity_type: str
    field: str
    message: str
    who: str
    takes: tuple[str, ...] = ("alt_text",)
    primary: bool = False
    within: str | None = None


_TEXTS = ("alt_text", "caption")
SLOTS = (
    Slot(
        path="users/{entity_id:str}/avatar",
        operation="uploadUserAvatar",
        profile="avatar",
        entity_type="user",
        field="avatar",
        message="Avatar uploaded successfully",
        who="Only the user themselves",
        primary=True,
    ),
    Slot(
        path="users/{entity_id:str}/cover",
        operation="uploadUserCover",
        profile="cover",
        entity_type="user",
        field="cover",
        message="Cover photo uploaded successfully",
        who="Only the user themselves",
        primary=True,
    ),
    Slot(
        path="properties/{entity_id:str}/photos",
        operation="uploadPropertyPhoto",
        profile="photos",
        entity_type="property",
        field="gallery",
        message="Property photo uploaded successfully",
        who="Only the property's builder or an admin",
        takes=(*_TEXTS, "is_primary"),
    ),
    Slot(
        path="builders/{entity_id:str}/portfolio",
        operation="uploadBuilderPortfolio",
        profile="portfolio",
        entity_type="builder",
        field="portfolio",
        message="Portfolio image uploaded successfully",
        who="Only the builder owner",
        takes=(*_TEXTS, "tags"),
    ),
    Slot(
        path="builders/{entity_id:str}/logo",
        operation="uploadBuilderLogo",
        profile="logo",
        entity_type="builder",
        field="logo",
        message="Logo uploaded successfully",
        who="Only the builder owner",
        primary=True,
    ),
    Slot(
        path="communities/{entity_id:str}/photos",
        operation="uploadCommunityPhoto",
        profile="photos",
        entity_type="community",
        field="gallery",
        message="Community photo uploaded successfully",
        who="Only a community admin",
        takes=(*_TEXTS, "is_primary"),
    ),
    Slot(
        path="communities/{within_id:str}/amenities/{entity_id:str}/photos",
        operation="uploadAmenityPhoto",
        profile="photos",
        entity_type="amenity",
        field="gallery",
        message="Amenity photo uploaded successfully",
        who="Only a community admin",
        takes=(*_TEXTS, "is_primary"),
        within="community",
    ),
    Slot(
        path="sales-reps/{entity_id:str}/avatar",
        operation="uploadSalesRepAvatar",
        profile="avatar",
        entity_type="sales_rep",
        field="avatar",
        message="Avatar uploaded successfully",
        who="Only the sales rep themselves",
        primary=True,
    ),
    Slot(
        path="posts/{entity_id:str}/media",
        operation="uploadPostMedia",
        profile="post",
        entity_type="post",
        field="media",
        message="Post media uploaded successfully",
        who="Only the post owner",
        takes=_TEXTS,
    ),
)


def reading(slot: Slot, entity_id: str, within_id: str | None = None) -> Reading:
    """The entity is in the address, so rights and limits are checked before a byte of the file is taken. Raises
    Invalid for what can be no id."""
    preset = {
        "profile": slot.profile,
        "entity_type": slot.entity_type,
        "entity_id": entity_id,
        "entity_field": slot.field,
    }
    if slot.primary:
        preset["is_primary"] = "true"
    within = None
    if slot.within is not None and within_id is not None:
        check_name(slot.within, within_id)
        within = EntityLink(type=slot.within, id=within_id)

    def parse(said: Mapping[str, Sequence[str]], *, complete: bool = True) -> Options:
        ours = fields.translated(said, {name: name for name in slot.takes}, preset)
        return msgspec.structs.replace(fields.parse(ours, complete=complete), within=within)

    return Reading(parse=parse, profile_known=lambda _said: True, profiles=(slot.profile,))


# Not photos: a gallery takes videos as well, which come this way only.
_BY_FIELD = {(slot.entity_type, slot.field): slot.profile for slot in SLOTS if slot.profile != "photos"}
_BY_TYPE = {"post": "post", "builder": "portfolio", "user": "entity"}
ANY_PROFILES = ("gallery", "entity", "post", "portfolio", "avatar", "cover", "logo")
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


def profile_of(entity_type: str, field: str) -> str:
    """What goes for media that is hung on an entity by its type and field instead of by an address of its own: the
    rights of that address, so that this is no way around them."""
    return _BY_FIELD.get((entity_type, field)) or _BY_TYPE.get(entity_type) or "gallery"


def _parse_any(said: Mapping[str, Sequence[str]], *, complete: bool = True) -> Options:
    entity_type, field = ((said.get(name) or [""])[-1].strip() for name in ("entity_type", "entity_field"))
    ours = fields.translated(
        said, {name: name for name in ANY_FIELDS}, {"profile": profile_of(entity_type, field)}
    )
    return fields.parse(ours, complete=complete)


def _entity_known(said: Mapping[str, Sequence[str]]) -> bool:
    return "entity_type" in said and "entity_id" in said


ANY = Reading(parse=_parse_any, profile_known=_entity_known, profiles=ANY_PROFILES)
"""A form whose fields say what the media hangs on, before or after the file."""
