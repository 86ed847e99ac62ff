"""What films are made of a video; which pictures are made of it, a recipe says in the same words as for pictures."""

import hashlib
from typing import Any, ClassVar

import msgspec

MOST_FILMS = 8
CODECS = "#codecs:"
"""Begins the line of a film's playlist that is for whoever writes the one of all films; to players it is a comment."""


class Hashed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A thing whose key holds the hash of what was asked for, as that of a picture does."""

    name: str

    @property
    def hash(self) -> str:
        """8 hex digits of the SHA-256 of this as canonical JSON: a default must never change."""
        canonical = msgspec.json.encode([type(self).__name__, msgspec.to_builtins(self)], order="sorted")
        return hashlib.sha256(canonical).hexdigest()[:8]

    @property
    def code(self) -> str:
        return f"{self.hash}-{self.name}"


class FilmSpec(Hashed, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One H.264 film in an MP4 that plays from its beginning on, within `width` x `height` pixels and never enlarged.

    `crf` is the quality of x264, where lower is better; `audio` is in kbit/s of AAC. A source that is such a film
    already is copied, unless `fragmented`: a film of the ladder, which is cut at every few seconds for streaming.
    """

    mime_type: ClassVar[str] = "video/mp4"
    extension: ClassVar[str] = "mp4"

    name: str = "mp4"
    width: int = 1920
    height: int = 1080
    crf: int = 23
    audio: int = 128
    fragmented: bool = False


class Storyboard(Hashed, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One JPEG of many small pictures of the video, `columns` side by side, each at most `width` x `height` pixels; a
    WebVTT says which of them shows when. At least `every` seconds apart, at most `most` of them."""

    name: str = "storyboard"
    width: int = 160
    height: int = 160
    columns: int = 10
    most: int = 100
    every: float = 2.0
    quality: int = 75


class Films(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is made of a video beside pictures. `ladder`: the films of an HLS playlist, none where it is empty."""

    mp4: tuple[FilmSpec, ...] = (FilmSpec(),)
    ladder: tuple[FilmSpec, ...] = ()
    storyboard: Storyboard | None = Storyboard()

    @property
    def all(self) -> tuple[FilmSpec, ...]:
        return (*self.mp4, *self.ladder)


def parse(table: Any) -> Films:
    """Films from the table of a recipe. Raises ValueError that says what is wrong and what is allowed."""
    try:
        films = msgspec.convert(none_where_false(table, "storyboard"), Films)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    rungs = tuple(msgspec.structs.replace(film, fragmented=True) for film in films.ladder)
    films = msgspec.structs.replace(films, ladder=rungs)
    if len(films.all) > MOST_FILMS:
        raise ValueError(f"there are {len(films.all)} films; at most {MOST_FILMS} are allowed")
    for film in films.all:
        _check(film)
    return films


def none_where_false(table: Any, field: str) -> Any:
    """TOML has no word for nothing: `false` asks for none of what is made unless said otherwise."""
    off = isinstance(table, dict) and table.get(field) is False
    return {**table, field: None} if off else table


def _check(film: FilmSpec) -> None:
    bounds = {"width": (16, 7680), "height": (16, 4320), "crf": (0, 51), "audio": (32, 320)}
    for field, (least, most) in bounds.items():
        value = getattr(film, field)
        if not least <= value <= most:
            raise ValueError(f"{field} of film {film.name!r} is {value}; allowed is {least} to {most}")
