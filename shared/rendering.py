"""Renderings: pictures made on request. What may be asked for, and the hash that names each one's object."""

import hashlib
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from shared.errors import Invalid
from shared.recipes import MIME_TYPES, Fit, Format, VariantSpec

MOST_SIDE = 4096
NAME = "render"

Asked: TypeAlias = Literal["auto", "jpeg", "png", "webp", "avif", "source"]
# `plain` is what every client can show: PNG where something shines through, else JPEG. Only decoding tells which.
Made: TypeAlias = Literal[Format, "plain"]
Side: TypeAlias = Annotated[int, Meta(ge=1, le=MOST_SIDE)]
Quality: TypeAlias = Annotated[int, Meta(ge=1, le=100)]

EXTENSIONS: dict[str, str] = {"jpeg": "jpg", "png": "png", "webp": "webp", "avif": "avif"}
_PLAIN: tuple[Format, ...] = ("jpeg", "png")
# Each looks about as good as JPEG at 85; PNG loses nothing, so all its qualities are one.
_QUALITY: dict[Made, int] = {"jpeg": 85, "plain": 85, "webp": 80, "avif": 60, "png": 100}


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a caller asks for: a preset alone, or sides in pixels with fit, format and quality."""

    w: Side | None = None
    h: Side | None = None
    fit: Fit | None = None
    format: Asked | None = None
    q: Quality | None = None
    preset: Annotated[str, Meta(min_length=1, max_length=32)] | None = None

    @property
    def query(self) -> dict[str, str]:
        """As parameters of a URL, in the one order and writing that a signature covers."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def check(self) -> None:
        """Raises Invalid for what contradicts itself or asks for nothing."""
        if self.preset is not None:
            if others := sorted(self.query.keys() - {"preset"}):
                raise Invalid(
                    f"preset is {self.preset!r} and {', '.join(others)} is given, too; a preset stands alone.",
                    field=others[0],
                )
            return
        if self.w is None and self.h is None:
            raise Invalid(
                f"Neither w nor h is given; needed is one of them, 1 to {MOST_SIDE}, or a preset.", field="w"
            )
        if self.fit == "cover" and (self.w is None or self.h is None):
            missing = "w" if self.w is None else "h"
            raise Invalid(
                f"fit is 'cover' and {missing} is not given; it needs both, 1 to {MOST_SIDE}.", field=missing
            )
        if self.fit == "square" and None not in {self.w, self.h} and self.w != self.h:
            raise Invalid(
                f"fit is 'square', w is {self.w} and h is {self.h}; they must be the same, or fit be 'cover'.",
                field="h",
            )


class Rendering(msgspec.Struct, frozen=True, kw_only=True):
    """What one rendering is: nothing in it depends on who asks any more."""

    width: int
    height: int
    fit: Fit
    format: Made
    quality: int

    @property
    def hash(self) -> str:
        """16 hex digits: what callers choose freely needs more of them than what a recipe names."""
        canonical = msgspec.json.encode(self, order="sorted")
        return hashlib.sha256(canonical).hexdigest()[:16]

    @property
    def formats(self) -> tuple[Format, ...]:
        """In which formats its object may be."""
        return _PLAIN if self.format == "plain" else (self.format,)

    @property
    def spec(self) -> VariantSpec:
        """As the pipeline makes it where nothing shines through. An animation keeps moving where WebP is asked for."""
        return VariantSpec(
            name=NAME,
            width=self.width,
            height=self.height,
            fit=self.fit,
            format=self.formats[0],
            quality=self.quality,
            moving=self.format == "webp",
        )


def rendering(options: Options, *, mime_type: str, accepts_webp: bool) -> Rendering:
    """What is made of an original of `mime_type` for sides that were checked, without a preset."""
    w, h, fit = options.w, options.h, options.fit or "inside"
    if fit == "square":
        w = h = w or h
    format_ = _format(options.format or "auto", mime_type, accepts_webp=accepts_webp)
    quality = _QUALITY["png"] if format_ == "png" else options.q or _QUALITY[format_]
    return Rendering(width=w or MOST_SIDE, height=h or MOST_SIDE, fit=fit, format=format_, quality=quality)


def _format(asked: Asked, mime_type: str, *, accepts_webp: bool) -> Made:
    if asked == "auto":
        return "webp" if accepts_webp else "plain"
    if asked == "source":
        return VariantSpec(name=NAME, width=1, height=1, format="source").written_as(mime_type)
    return asked


def mime_type_of(format_: Format) -> str:
    return MIME_TYPES[format_]
