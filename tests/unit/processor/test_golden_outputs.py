"""What comes out looks as it did when a person last looked at it: perceptual hashes of the variants, written down.

A change of a codec or of a filter moves at most a few bits; another picture, crop, turn or scale moves many.
"""

import imagehash
import msgspec
import pytest
from PIL import Image

from shared.recipes import Recipe, VariantSpec
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.recipes import RECIPES, STANDARD
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import distance, opened

MOST_BITS = 4
WHOLE = {1: "9dc5064623b5ceb5", 2: "c31762386b24f56e"}
SQUARE = {1: "c7d710732c95e196", 2: "d296643d7824af66"}
CARD = Recipe(name="t", variants=(VariantSpec(name="card", width=300, height=100, fit="cover"),))
CARDS = {1: "beee693531c31238", 2: "e19def0218592eb6"}


def seen(image: Image.Image) -> str:
    return str(imagehash.phash(image.convert("RGB")))


@pytest.mark.parametrize(
    ("kind", "mime_type", "seed"),
    [
        ("JPEG", "image/jpeg", 1),
        ("JPEG", "image/jpeg", 2),
        ("WEBP", "image/webp", 1),
        ("PNG", "image/png", 2),
    ],
)
def test_every_shipped_variant_looks_as_it_did(derive: Derive, kind: str, mime_type: str, seed: int) -> None:
    data = encoded(picture(1000, 750, seed=seed), kind)
    result = derive(data, mime_type, recipe=_all_of_them())
    for variant in result.variants:
        golden = SQUARE if variant.width == variant.height else WHOLE
        assert distance(seen(opened(variant)), golden[seed]) <= MOST_BITS, variant.name


def _all_of_them() -> Recipe:
    """Each shipped variant once; names tell the recipes apart."""
    specs = {spec.hash: spec for recipe in RECIPES.values() for spec in recipe.variants}
    assert len(specs) > len(STANDARD.variants)
    named = (msgspec.structs.replace(spec, name=f"{spec.name}-{hash_}") for hash_, spec in specs.items())
    return Recipe(name="all", variants=tuple(named))


@pytest.mark.parametrize("seed", CARDS)
def test_a_crop_by_attention_shows_the_same_part_as_it_did(derive: Derive, seed: int) -> None:
    (card,) = derive(encoded(picture(1000, 750, seed=seed)), recipe=CARD).variants
    assert (card.width, card.height) == (300, 100)
    assert distance(seen(opened(card)), CARDS[seed]) <= MOST_BITS


def test_another_picture_would_be_noticed() -> None:
    for golden in (WHOLE, SQUARE, CARDS):
        assert distance(golden[1], golden[2]) > 4 * MOST_BITS
    for seed, golden_hash in WHOLE.items():
        turned = picture(1000, 750, seed=seed).transpose(Image.Transpose.ROTATE_180)
        assert distance(seen(turned), golden_hash) > 2 * MOST_BITS
        assert distance(SQUARE[seed], golden_hash) > MOST_BITS
