"""The page for operators names every field of a variant, with the default and the bounds that it has."""

import re
from pathlib import Path

import msgspec

from shared import recipes
from shared.recipes import MOST_SIDE, MOST_VARIANTS, VariantSpec

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "recipes.md").read_text()


def test_every_field_is_explained_and_none_that_there_is_not() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", TEXT, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(
        VariantSpec.__struct_fields__
    )


def test_the_printed_recipe_is_one_and_the_bounds_are_those_of_the_code() -> None:
    (printed,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    cards = recipes.parse(printed.encode(), "the page")["cards"]
    assert [spec.name for spec in cards.variants] == ["thumbnail", "card", "full"]
    assert f"1 to {MOST_SIDE}." in TEXT
    assert f"1 to {MOST_VARIANTS} variants" in TEXT


def test_the_defaults_are_those_of_the_code() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", TEXT, re.MULTILINE))
    for field in msgspec.structs.fields(VariantSpec):
        if field.default is not msgspec.NODEFAULT:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            assert told[field.name] == (default if isinstance(default, str) else str(default).lower()), (
                field.name
            )


def test_the_shipped_recipes_are_named() -> None:
    assert {name for name in recipes.shipped() if f"`{name}`" not in TEXT} == set()
