"""Recipes as data: which variants are made of a picture, and the hash that names each one's making."""

import hashlib
from typing import Literal, TypeAlias

import msgspec

Fit: TypeAlias = Literal["inside", "square"]
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
WHITE = (255, 255, 255)


class VariantSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one variant is asked to be; sides in pixels, never enlarged.

    `inside` keeps the whole picture within width x height; `square` crops to the part that draws attention and
    its side is `width`. `source` is the format of the original where it is JPEG, PNG or WebP, else JPEG.
    `background` is what shows through where the format holds no transparency, with `flatten` in every format.
    `still_only`: not made of animations, of which one picture would be left. `optimise`: JPEG spends time on
    Huffman tables of its own, for the same pixels in fewer bytes.
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
    optimise: bool = False

    @property
    def hash(self) -> str:
        """8 hex digits of the SHA-256 of this spec as canonical JSON: sorted keys, defaults left out.

        So a field added later, with a default that keeps the old behaviour, leaves existing variants valid.
        A default must therefore never change. Keys are made of the hash of the resolved spec: one format, one key.
        """
        canonical = msgspec.json.encode(self, order="sorted")
        return hashlib.sha256(canonical).hexdigest()[:8]

    def written_as(self, mime_type: str) -> Format:
        """The format in which this variant of an original of `mime_type` is written."""
        return _FORMATS.get(mime_type, "jpeg") if self.format == "source" else self.format

    def resolved(self, mime_type: str) -> "VariantSpec":
        """The same spec with the format it has for an original of `mime_type`."""
        return msgspec.structs.replace(self, format=self.written_as(mime_type))

    def scale(self, width: int, height: int) -> float:
        """How much a picture of these sides must shrink to make this variant; at most 1."""
        if self.fit == "square":
            return min(1.0, self.width / min(width, height))
        return min(1.0, self.width / width, self.height / height)


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of variants; their names are unique."""

    name: str
    version: int
    variants: tuple[VariantSpec, ...]

    def asked_of(self, mime_type: str, *, animated: bool) -> tuple[VariantSpec, ...]:
        """What is made of an original of this type, with real formats. A GIF counts as animated even when it stands
        still: its replacement could not be one, and would contradict the file's name."""
        moving = animated or mime_type == "image/gif"
        return tuple(spec.resolved(mime_type) for spec in self.variants if not (moving and spec.still_only))


STANDARD = Recipe(
    name="standard",
    version=1,
    variants=(
        VariantSpec(name="thumbnail", width=150, height=150, fit="square"),
        VariantSpec(name="small", width=320, height=320),
        VariantSpec(name="medium", width=640, height=640),
        VariantSpec(name="large", width=1080, height=1080),
        VariantSpec(name="xlarge", width=1600, height=1600),
        VariantSpec(name="webp", width=640, height=640, format="webp", quality=80),
    ),
)

ENTITY = Recipe(
    name="entity",
    version=1,
    variants=(
        VariantSpec(name="thumbnail", width=150, height=150, fit="square", quality=80),
        VariantSpec(name="small", width=400, height=400),
        VariantSpec(name="medium", width=800, height=800),
        VariantSpec(name="large", width=1600, height=1600, quality=90),
    ),
)

MEDIAFILES = Recipe(
    name="mediafiles",
    version=1,
    variants=(
        VariantSpec(name="thumbnail", width=150, height=150, fit="square"),
        VariantSpec(name="small", width=320, height=320),
        VariantSpec(name="medium", width=640, height=640),
        VariantSpec(name="large", width=1080, height=1080),
        VariantSpec(name="webp", width=640, height=640, format="webp", quality=80),
    ),
)

CONTENT = Recipe(
    name="content",
    version=1,
    variants=(
        VariantSpec(
            name="optimised",
            width=2048,
            height=2048,
            format="source",
            flatten=True,
            still_only=True,
            optimise=True,
        ),
        VariantSpec(name="thumbnail", width=300, height=300, format="source", flatten=True),
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (STANDARD, CONTENT, MEDIAFILES, ENTITY)}


def find_recipe(name: str) -> Recipe:
    """The recipe of this name. Raises LookupError with the known names."""
    try:
        return RECIPES[name]
    except KeyError:
        raise LookupError(f"There is no recipe {name!r}; there are {', '.join(RECIPES)}.") from None
