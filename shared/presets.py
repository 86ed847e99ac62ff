"""Presets: renderings by name, read from a data file that an operator can extend."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import msgspec

from shared.env import Env
from shared.errors import Invalid, SettingsError
from shared.rendering import Options

Presets = Mapping[str, Options]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def load(env: Env) -> Presets:
    """The shipped presets; those of the file that TRIPOD_PRESETS names come on top, or in place of one."""
    path = env.text("TRIPOD_PRESETS", "")
    if not path:
        return shipped()
    try:
        return {**shipped(), **parse(Path(path).read_bytes(), path)}
    except OSError as error:
        raise SettingsError(f"TRIPOD_PRESETS names {path!r}, which cannot be read: {error}.") from error


def shipped() -> Presets:
    """The presets that come with Tripod."""
    return parse(resources.files("shared").joinpath("presets.toml").read_bytes(), "the shipped presets")


def parse(text: bytes, source: str) -> Presets:
    """Presets from TOML. Raises SettingsError that names source, preset and fault."""
    try:
        tables = msgspec.toml.decode(text, type=dict[str, dict[str, object]])
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"The presets in {source} cannot be used: {error}.") from error
    return {name: _preset(name, table, source) for name, table in tables.items()}


def _preset(name: str, table: dict[str, object], source: str) -> Options:
    where = f"Preset {name!r} in {source}"
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{where}: its name must be 1 to 32 of a-z, 0-9, - and _, and begin with no sign."
        )
    try:
        options = msgspec.convert(table, Options)
        options.check()
    except (msgspec.ValidationError, Invalid) as error:
        raise SettingsError(f"{where}: {error}") from error
    if options.preset is not None:
        raise SettingsError(f"{where}: preset is no field of a preset; there are w, h, fit, format and q.")
    return options


def find(presets: Presets, name: str) -> Options:
    """A preset by name. Raises Invalid that names those there are."""
    found = presets.get(name)
    if found is None:
        raise Invalid(f"There is no preset {name!r}; there are {', '.join(sorted(presets))}.", field="preset")
    return found
