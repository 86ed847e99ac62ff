"""Recipes as data: which variants are made of a picture, and the hash that names each one's making."""

import hashlib
from typing import Literal, TypeAlias

import msgspec

Fit: TypeAlias = Literal["inside", "square"]
Format: TypeAlias = Literal["jpeg", "png", "webp", "avif"]

MIME_TYPES: dict[Format, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
}
WHITE = (255, 255, 255)


class VariantSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one variant is asked to be; sides in pixels, never enlarged.

    `inside` keeps the whole picture within width x height; `square` crops to the part that draws attention and
    its side is `width`. `background` is what shows through where the format holds no transparency.
    """

    name: str
    width: int
    height: int
    fit: Fit = "inside"
    format: Format = "jpeg"
    quality: int = 85
    background: tuple[int, int, int] = WHITE

    @property
    def hash(self) -> str:
        """8 hex digits of the SHA-256 of this spec as canonical JSON: sorted keys, defaults left out.

        So a field added later, with a default that keeps the old behaviour, leaves existing variants valid.
        A default must therefore never change.
        """
        canonical = msgspec.json.encode(self, order="sorted")
        return hashlib.sha256(canonical).hexdigest()[:8]

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

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (STANDARD,)}


def find_recipe(name: str) -> Recipe:
    """The recipe of this name. Raises LookupError with the known names."""
    try:
        return RECIPES[name]
    except KeyError:
        raise LookupError(f"There is no recipe {name!r}; there are {', '.join(RECIPES)}.") from None
