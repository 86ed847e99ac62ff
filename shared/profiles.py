"""Profiles: named upload rule sets, read from a data file that an operator can replace."""

import string
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from shared.env import Env
from shared.errors import Invalid, SettingsError
from shared.events.messages import MediaType
from shared.storage.keys import VARIANTS

_FIELDS = {"YYYY", "MM", "DD", "uuid", "name", "ext"}


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be uploaded under one name. `max_bytes` by media type; a missing type is refused."""

    who: Literal["signed_in", "service"] = "signed_in"
    public: bool = False
    recipe: str
    key: str
    max_bytes: dict[MediaType, int]
    max_pixels: int = 100_000_000

    @property
    def widest(self) -> int:
        """The largest file of any type."""
        return max(self.max_bytes.values())


Profiles = Mapping[str, Profile]


def load(env: Env) -> Profiles:
    """The shipped profiles, or those of the file that TRIPOD_PROFILES names."""
    path = env.text("TRIPOD_PROFILES", "")
    if not path:
        return parse(resources.files("shared").joinpath("profiles.toml").read_bytes(), "the shipped profiles")
    try:
        return parse(Path(path).read_bytes(), path)
    except OSError as error:
        raise SettingsError(f"TRIPOD_PROFILES names {path!r}, which cannot be read: {error}.") from error


def parse(text: bytes, source: str) -> Profiles:
    """Profiles from TOML. Raises SettingsError that names source, profile and fault."""
    try:
        found = msgspec.toml.decode(text, type=dict[str, Profile])
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"The profiles in {source} cannot be used: {error}.") from error
    if "default" not in found:
        raise SettingsError(f"The profiles in {source} lack one named 'default'.")
    for name, profile in found.items():
        fields = {field for _, field, _, _ in string.Formatter().parse(profile.key) if field}
        if unknown := fields - _FIELDS:
            raise SettingsError(
                f"Profile {name!r} in {source}: the key has unknown fields {sorted(unknown)}."
            )
        if "uuid" not in fields or profile.key.startswith((VARIANTS, "/")) or not profile.max_bytes:
            raise SettingsError(
                f"Profile {name!r} in {source}: the key must contain {{uuid}} and not start with "
                f"{VARIANTS!r} or a slash, and max_bytes must name a media type."
            )
    return found


def find(profiles: Profiles, name: str) -> Profile:
    """A profile by name. Raises Invalid that names those there are."""
    profile = profiles.get(name)
    if profile is None:
        raise Invalid(
            f"There is no profile {name!r}; there are {', '.join(sorted(profiles))}.", field="profile"
        )
    return profile
