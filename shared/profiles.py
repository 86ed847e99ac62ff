"""Profiles: named upload rule sets, read from a data file that an operator can extend."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared import profile_faults, recipes
from shared.env import Env
from shared.errors import Invalid, SettingsError
from shared.events.messages import MediaType
from shared.formats import BY_MIME
from shared.slots import Slot

_MOST_BYTES = 5 * 2**40  # the largest object of an S3 store
_MOST_SIDE = 2**31 - 1
_MOST_PIXELS = 2**53 - 1


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be uploaded under one name, by whom, and what becomes of it. Sizes in bytes, sides in pixels.

    `max_bytes` by media type; a missing type is refused, and so is a format that is not among `types` where its
    media type has some there. `attach`: who may hang media on an entity. `self` means the user with the entity's
    id, whether it is registered or not, and the owners of one that is. `entities`: the types of those that media of
    this profile may be hung on; none named is all. `moderation`: whether a media is seen by the public at once, or
    only when a moderator has approved it. `strip_gps`: the place where a photo was taken goes out of the original
    before it is stored. `single`: a slot (entity and field) holds one media, and a new one replaces the former when it
    is ready. `slots`: the addresses of the entities API that lead here. `general`: what is hung on an entity by type
    and field alone and comes here: `type/field`, `type`, or `*`.
    `keep_failed`: media types of which also stays what cannot be processed. `live`: who hears of its public media as
    things happen.
    docs/profiles.md explains each to operators.
    """

    who: Literal["signed_in", "service"] = "signed_in"
    attach: Literal["owner_or_admin", "owner", "self", "anyone"] = "owner_or_admin"
    entities: tuple[str, ...] = ()
    public: bool = False
    moderation: Literal["none", "pending"] = "none"
    recipe: str
    key: str
    max_bytes: Annotated[dict[MediaType, Annotated[int, Meta(ge=1, le=_MOST_BYTES)]], Meta(min_length=1)]
    min_bytes: dict[MediaType, Annotated[int, Meta(ge=0, le=_MOST_BYTES)]] = {}
    types: tuple[str, ...] = ()
    max_pixels: Annotated[int, Meta(ge=1, le=_MOST_PIXELS)] = 100_000_000
    min_side: Annotated[int, Meta(ge=1, le=_MOST_SIDE)] = 1
    max_side: Annotated[int, Meta(ge=1, le=_MOST_SIDE)] = 100_000
    strip_gps: bool = False
    single: bool = False
    on_entity_delete: Literal["detach", "cascade"] = "detach"
    slots: tuple[Slot, ...] = ()
    general: tuple[str, ...] = ()
    keep_failed: tuple[MediaType, ...] = ()
    live: Literal["signed_in", "anyone"] = "signed_in"

    @property
    def widest(self) -> int:
        """The largest file of any type."""
        return max(self.max_bytes.values())

    def takes(self, media_type: MediaType) -> tuple[str, ...]:
        """The formats of this media type that are taken, by MIME type; none where all are."""
        return tuple(mime for mime in self.types if BY_MIME[mime].media_type == media_type)


Profiles = Mapping[str, Profile]


def load(env: Env) -> Profiles:
    """The shipped profiles; those of the file that TRIPOD_PROFILES names come on top, or in place of one. Raises
    SettingsError that names every fault; a recipe that the environment does not have is one."""
    known = recipes.load(env)
    shipped = parse(
        resources.files("shared").joinpath("profiles.toml").read_bytes(), "the shipped profiles", known
    )
    path = env.text("TRIPOD_PROFILES", "")
    if not path:
        return shipped
    try:
        found = {**shipped, **parse(Path(path).read_bytes(), path, known)}
    except OSError as error:
        raise SettingsError(f"TRIPOD_PROFILES names {path!r}, which cannot be read: {error}.") from error
    _refuse([f"The profiles in {path} cannot be used: {fault}." for fault in profile_faults.between(found)])
    return found


def parse(text: bytes, source: str, known: Iterable[str] | None = None) -> dict[str, Profile]:
    """Profiles from TOML, which may name the recipes that are `known`, else the shipped ones. Raises SettingsError
    that names the source, each profile with a fault, and its faults."""
    try:
        tables = tomllib.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"The profiles in {source} cannot be read: {error}.") from error
    names = recipes.shipped() if known is None else known
    found: dict[str, Profile] = {}
    complaints: list[str] = []
    for name, table in tables.items():
        faults = [*profile_faults.of_name(name)]
        try:
            found[name] = msgspec.convert(table, Profile)
        except msgspec.ValidationError as error:
            faults.append(profile_faults.of_shape(table, error, Profile))
        else:
            faults += profile_faults.of_profile(found[name], names)
        complaints += [f"Profile {name!r} in {source}: {fault}." for fault in faults]
    _refuse(complaints)
    return found


def _refuse(complaints: list[str]) -> None:
    if complaints:
        raise SettingsError(" ".join(complaints))


def of_entities(profiles: Profiles) -> tuple[str, ...]:
    """The profiles of the entities API: those with slots, and those of media that comes by type and field."""
    return tuple(name for name, profile in profiles.items() if profile.slots or profile.general)


def find(profiles: Profiles, name: str) -> Profile:
    """A profile by name. Raises Invalid that names those there are."""
    profile = profiles.get(name)
    if profile is None:
        raise Invalid(
            f"There is no profile {name!r}; there are {', '.join(sorted(profiles))}.", field="profile"
        )
    return profile
