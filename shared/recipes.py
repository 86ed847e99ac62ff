"""Recipes: which variants are made of a picture, read from a data file that an operator can extend."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from shared.env import Env
from shared.errors import SettingsError
from shared.film_recipes import Films, FilmSpec
from shared.film_recipes import parse as parse_films
from shared.sound_recipes import Sounds, SoundSpec
from shared.sound_recipes import parse as parse_sounds

Fit: TypeAlias = Literal["inside", "square", "cover"]
Format: TypeAlias = Literal["jpeg", "png", "webp", "avif"]
Asked: TypeAlias = Literal[Format, "source"]

MIME_TYPES: dict[Format, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
}
# What "source" stands for; of all other types it is JPEG, which everybody can show.
_FORMATS: dict[str, Format] = {"image/jpeg": "jpeg", "image/png": "png", "image/webp": "webp"}
# Of what else may move, libvips reads one picture.
_ANIMATIONS = frozenset({"image/gif", "image/webp"})
WHITE = (255, 255, 255)

MOST_SIDE = 16_383  # of WebP
MOST_VARIANTS = 40  # the event of a result names them all, and has 64 KiB
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_WHOLE = {"width": (1, MOST_SIDE), "height": (1, MOST_SIDE), "quality": (1, 100)}
_WORDS = {"fit": ("inside", "square", "cover"), "format": (*MIME_TYPES, "source")}
_ALLOWED = {
    "name": "1 to 32 of a-z, 0-9, - and _, the first of them a letter or digit",
    "width": f"a whole number from 1 to {MOST_SIDE}",
    "height": f"a whole number from 1 to {MOST_SIDE}",
    "fit": "inside, square or cover",
    "format": "jpeg, png, webp, avif or source",
    "quality": "a whole number from 1 to 100",
    "background": "three whole numbers from 0 to 255, for red, green and blue",
    **dict.fromkeys(
        ("flatten", "still_only", "smaller_only", "optimise", "moving", "gain_map"), "true or false"
    ),
}


class VariantSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one variant is asked to be; sides in pixels, never enlarged.

    `inside` keeps the whole picture within width x height; `cover` fills width x height with the part that draws
    attention, in the same shape but smaller where the picture is; `square` is that with a side of `width`.
    `source` is the format of the original where it is JPEG, PNG or WebP, else JPEG. `background` is what shows
    through where the format holds no transparency, with `flatten` in every format. `moving`: an animation stays one,
    where the format is WebP. `still_only`: not made of animations, of which one picture would be left. `smaller_only`:
    not made where the original, with nothing to change or to leave out, is no larger. `optimise`: JPEG spends time on
    Huffman tables of its own, for the same pixels in fewer bytes. `gain_map`: JPEG that stays whole keeps that of an
    Ultra HDR photo unless this is false; resolved it is true where there is one, else absent.
    """

    name: str
    width: int
    height: int
    fit: Fit = "inside"
    format: Asked = "jpeg"
    quality: int = 85
    background: tuple[int, int, int] = WHITE
    flatten: bool = False
    still_only: bool = False
    smaller_only: bool = False
    optimise: bool = False
    moving: bool = False
    gain_map: bool | None = None

    @property
    def hash(self) -> str:
        """8 hex digits of the SHA-256 of this spec as canonical JSON: sorted keys, defaults left out.

        So a field added later, with a default that keeps the old behaviour, leaves existing variants valid.
        A default must therefore never change. Keys are made of the hash of the resolved spec: one format, one key.
        `smaller_only` says whether it is made, not what it is, and is left out.
        """
        canonical = msgspec.json.encode(msgspec.structs.replace(self, smaller_only=False), order="sorted")
        return hashlib.sha256(canonical).hexdigest()[:8]

    @property
    def code(self) -> str:
        """What tells one variant of a media from all others, as keys have it."""
        return f"{self.hash}-{self.name}"

    def written_as(self, mime_type: str) -> Format:
        """The format in which this variant of an original of `mime_type` is written."""
        return _FORMATS.get(mime_type, "jpeg") if self.format == "source" else self.format

    def resolved(self, mime_type: str, *, animated: bool = False, gain_map: bool = False) -> "VariantSpec":
        """The same spec with the format it has for an original of `mime_type`; what stands still does not move, and
        what has no gain map keeps none."""
        format_ = self.written_as(mime_type)
        moving = self.moving and animated and mime_type in _ANIMATIONS and format_ == "webp"
        keeps = gain_map and self.gain_map is not False and format_ == "jpeg" and self.fit == "inside"
        return msgspec.structs.replace(self, format=format_, moving=moving, gain_map=keeps or None)

    def box(self, width: int, height: int) -> tuple[int, int] | None:
        """What is cropped of a picture of these sides once it is scaled; None where it stays whole."""
        if self.fit == "inside":
            return None
        asked = (self.width, self.width if self.fit == "square" else self.height)
        shrunk = min(1.0, width / asked[0], height / asked[1])
        return max(1, round(asked[0] * shrunk)), max(1, round(asked[1] * shrunk))

    def scale(self, width: int, height: int) -> float:
        """How much a picture of these sides must shrink to make this variant; at most 1."""
        box = self.box(width, height)
        if box is None:
            return min(1.0, self.width / width, self.height / height)
        return min(1.0, max(box[0] / width, box[1] / height))


POSTERS = (
    VariantSpec(name="poster", width=1920, height=1080),
    VariantSpec(name="thumbnail", width=150, height=150, fit="square"),
)
"""The pictures of a video where a recipe names none: made of the one frame that stands for it."""


COVERS = (
    VariantSpec(name="cover", width=1080, height=1080),
    VariantSpec(name="thumbnail", width=150, height=150, fit="square"),
)
"""The pictures of sound where a recipe names none: made of its cover, where it has one."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of variants; their names are unique. In place of `variants`, `posters` and `films` are made of
    videos, `covers` and `sounds` of sound."""

    name: str
    version: int = 1
    variants: tuple[VariantSpec, ...]
    posters: tuple[VariantSpec, ...] = POSTERS
    films: Films = Films()
    covers: tuple[VariantSpec, ...] = COVERS
    sounds: Sounds = Sounds()

    def files_of(self, mime_type: str) -> tuple[FilmSpec, ...] | tuple[SoundSpec, ...]:
        """What is written to files, because it may be long."""
        return self.sounds.mp3 if mime_type.startswith("audio/") else self.films.all

    def asked_of(self, mime_type: str, *, animated: bool, gain_map: bool = False) -> tuple[VariantSpec, ...]:
        """What is made of an original of this type, with real formats. A GIF counts as animated even when it stands
        still: its replacement could not be one, and would contradict the file's name."""
        other = animated or mime_type == "image/gif"
        return tuple(
            spec.resolved(mime_type, animated=animated, gain_map=gain_map)
            for spec in self.variants
            if not (other and spec.still_only)
        )


Recipes = Mapping[str, Recipe]


def load(env: Env) -> Recipes:
    """The shipped recipes; those of the file that TRIPOD_RECIPES names come on top, or in place of one."""
    path = env.text("TRIPOD_RECIPES", "")
    if not path:
        return shipped()
    try:
        return {**shipped(), **parse(Path(path).read_bytes(), path)}
    except OSError as error:
        raise SettingsError(f"TRIPOD_RECIPES names {path!r}, which cannot be read: {error}.") from error


def shipped() -> Recipes:
    """The recipes that come with Tripod."""
    return parse(resources.files("shared").joinpath("recipes.toml").read_bytes(), "the shipped recipes")


def parse(text: bytes, source: str) -> Recipes:
    """Recipes from TOML. Raises SettingsError that names source, recipe, variant and fault."""
    try:
        tables = msgspec.toml.decode(text, type=dict[str, dict[str, Any]])
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"The recipes in {source} cannot be used: {error}.") from error
    return {name: _recipe(name, table, source) for name, table in tables.items()}


def _recipe(name: str, table: dict[str, Any], source: str) -> Recipe:
    where = f"Recipe {name!r} in {source}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: its name is not allowed; allowed is {_ALLOWED['name']}.")
    if unknown := table.keys() - {"variants", "version", "posters", "films", "covers", "sounds"}:
        raise SettingsError(
            f"{where}: {_listed(unknown)} is no field; there are variants, version, posters, films, covers and sounds."
        )
    version, found = table.get("version", 1), table.get("variants")
    if type(version) is not int or version < 1:
        raise SettingsError(f"{where}: version is {version!r}; allowed is a whole number from 1.")
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_VARIANTS:
        raise SettingsError(f"{where}: variants must be a list of 1 to {MOST_VARIANTS}.")
    specs = tuple(_spec(entry, number, where) for number, entry in enumerate(found, 1))
    posters, covers = _pictures(table, "posters", POSTERS, where), _pictures(table, "covers", COVERS, where)
    try:
        films = parse_films(table.get("films", {}))
    except ValueError as error:
        raise SettingsError(f"{where}, films: {error}.") from error
    try:
        sounds = parse_sounds(table.get("sounds", {}))
    except ValueError as error:
        raise SettingsError(f"{where}, sounds: {error}.") from error
    names = [spec.name for spec in specs]
    if twice := {each for each in names if names.count(each) > 1}:
        raise SettingsError(
            f"{where}: two variants are called {_listed(twice)}; each needs a name of its own."
        )
    return Recipe(
        name=name,
        version=version,
        variants=specs,
        posters=posters,
        films=films,
        covers=covers,
        sounds=sounds,
    )


def _pictures(
    table: dict[str, Any], field: str, default: tuple[VariantSpec, ...], where: str
) -> tuple[VariantSpec, ...]:
    if field not in table:
        return default
    return tuple(_spec(entry, number, where) for number, entry in enumerate(table[field], 1))


def _spec(entry: Any, number: int, where: str) -> VariantSpec:
    called = repr(entry["name"]) if isinstance(entry, dict) and "name" in entry else f"number {number}"
    if not isinstance(entry, dict):
        raise SettingsError(f"{where}, variant {called}: it is {entry!r}; allowed is a table of fields.")
    fault = next(_faults(entry), None)
    if fault is None:
        return msgspec.convert(entry, VariantSpec)
    raise SettingsError(f"{where}, variant {called}: {fault}.")


def _faults(entry: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the fields of one variant, each with what is allowed."""
    if unknown := entry.keys() - _ALLOWED.keys():
        yield f"{_listed(unknown)} is no field; there are {', '.join(_ALLOWED)}"
    for field in ("name", "width", "height"):
        if field not in entry:
            yield f"it has no {field}; needed is {_ALLOWED[field]}"
    for field in VariantSpec.__struct_fields__:
        if field in entry and not _is_allowed(field, entry[field]):
            yield f"{field} is {entry[field]!r}; allowed is {_ALLOWED[field]}"
    if entry.get("fit") == "square" and entry["width"] != entry["height"]:
        yield f"it is square, and {entry['width']} x {entry['height']}; both sides must be the same, or fit be cover"
    if entry.get("moving") and entry.get("format") not in {"webp", "source"}:
        yield f"it is moving, and {entry.get('format', 'jpeg')}; only webp and source can move"
    if entry.get("moving") and entry.get("still_only"):
        yield "it is moving and still_only; one of them is allowed"


def _is_allowed(field: str, value: Any) -> bool:
    if field == "name":
        return isinstance(value, str) and _NAME.fullmatch(value) is not None
    if field == "background":
        return isinstance(value, list) and len(value) == 3 and all(_is_whole(part, 0, 255) for part in value)
    if field in _WHOLE:
        return _is_whole(value, *_WHOLE[field])
    return value in _WORDS[field] if field in _WORDS else isinstance(value, bool)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _listed(names: set[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def find(recipes: Recipes, name: str) -> Recipe:
    """A recipe by name. Raises LookupError with the known names."""
    try:
        return recipes[name]
    except KeyError:
        raise LookupError(f"There is no recipe {name!r}; there are {', '.join(recipes)}.") from None
