"""Profiles: named upload rule sets, read from a data file that an operator can extend."""

import string
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from shared.env import Env
from shared.errors import Invalid, SettingsError
from shared.events.messages import MediaType
from shared.formats import BY_MIME
from shared.slots import Slot
from shared.storage.keys import FIELDS, UNIQUE, VARIANTS


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be uploaded under one name, by whom, and what becomes of it. Sizes in bytes, sides in pixels.

    `max_bytes` by media type; a missing type is refused, and so is a format that is not among `types` where its
    media type has some there. `attach`: who may hang media on an entity. `self` means the user with the entity's
    id, whether it is registered or not, and the owners of one that is. `single`: a slot (entity and field) holds one
    media, and a new one replaces the former when it is ready. `slots`: the addresses of the entities API that lead
    here. `general`: what is hung on an entity by type and field alone and comes here: `type/field`, `type`, or `*`.
    docs/profiles.md explains each to operators.
    """

    who: Literal["signed_in", "service"] = "signed_in"
    attach: Literal["owner_or_admin", "owner", "self", "anyone"] = "owner_or_admin"
    public: bool = False
    recipe: str
    key: str
    max_bytes: dict[MediaType, int]
    min_bytes: dict[MediaType, int] = {}
    types: tuple[str, ...] = ()
    max_pixels: int = 100_000_000
    min_side: int = 1
    max_side: int = 100_000
    single: bool = False
    on_entity_delete: Literal["detach", "cascade"] = "detach"
    slots: tuple[Slot, ...] = ()
    general: tuple[str, ...] = ()

    @property
    def widest(self) -> int:
        """The largest file of any type."""
        return max(self.max_bytes.values())

    def takes(self, media_type: MediaType) -> tuple[str, ...]:
        """The formats of this media type that are taken, by MIME type; none where all are."""
        return tuple(mime for mime in self.types if BY_MIME[mime].media_type == media_type)


Profiles = Mapping[str, Profile]


def load(env: Env) -> Profiles:
    """The shipped profiles; those of the file that TRIPOD_PROFILES names come on top, or in place of one."""
    shipped = parse(resources.files("shared").joinpath("profiles.toml").read_bytes(), "the shipped profiles")
    path = env.text("TRIPOD_PROFILES", "")
    if not path:
        return shipped
    try:
        found = {**shipped, **parse(Path(path).read_bytes(), path)}
    except OSError as error:
        raise SettingsError(f"TRIPOD_PROFILES names {path!r}, which cannot be read: {error}.") from error
    _check_together(found, path)
    return found


def parse(text: bytes, source: str) -> Profiles:
    """Profiles from TOML. Raises SettingsError that names source, profile and fault."""
    try:
        found = msgspec.toml.decode(text, type=dict[str, Profile])
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"The profiles in {source} cannot be used: {error}.") from error
    for name, profile in found.items():
        if fault := _fault(profile):
            raise SettingsError(f"Profile {name!r} in {source}: {fault}.")
    return found


def _check_together(found: Profiles, source: str) -> None:
    """Raises SettingsError where two profiles want the same address, or the same media that comes without one."""
    owners: dict[str, str] = {}
    for name, profile in found.items():
        for claim in {*(slot.path for slot in profile.slots), *(f"general {g}" for g in profile.general)}:
            if (other := owners.setdefault(claim, name)) != name:
                raise SettingsError(
                    f"Profile {name!r} in {source} and profile {other!r} both have {claim!r}; one may. To give it to "
                    f"{name!r}, let the file replace {other!r} as well, without it."
                )


def of_entities(profiles: Profiles) -> tuple[str, ...]:
    """The profiles of the entities API: those with slots, and those of media that comes by type and field."""
    return tuple(name for name, profile in profiles.items() if profile.slots or profile.general)


def _fault(profile: Profile) -> str | None:
    fields = {field for _, field, _, _ in string.Formatter().parse(profile.key) if field}
    if unknown := fields - FIELDS:
        return f"the key has unknown fields {sorted(unknown)}; there are {', '.join(sorted(FIELDS))}"
    if not fields & UNIQUE or profile.key.startswith((VARIANTS, "/")) or not profile.max_bytes:
        return (
            f"the key must contain one of {{{'}, {'.join(sorted(UNIQUE))}}} and not start with {VARIANTS!r} or a "
            "slash, and max_bytes must name a media type"
        )
    if strange := [mime for mime in profile.types if mime not in BY_MIME]:
        return f"the types {', '.join(strange)} are unknown; there are {', '.join(BY_MIME)}"
    return next((fault for slot in profile.slots if (fault := slot.fault())), None)


def find(profiles: Profiles, name: str) -> Profile:
    """A profile by name. Raises Invalid that names those there are."""
    profile = profiles.get(name)
    if profile is None:
        raise Invalid(
            f"There is no profile {name!r}; there are {', '.join(sorted(profiles))}.", field="profile"
        )
    return profile
