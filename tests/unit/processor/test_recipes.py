import msgspec
import pytest

from services.processor.recipes import RECIPES, STANDARD, VariantSpec, find_recipe


def test_the_standard_recipe_is_the_documented_one() -> None:
    documented = {
        "thumbnail": (150, 150, "square", "jpeg", 85),
        "small": (320, 320, "inside", "jpeg", 85),
        "medium": (640, 640, "inside", "jpeg", 85),
        "large": (1080, 1080, "inside", "jpeg", 85),
        "xlarge": (1600, 1600, "inside", "jpeg", 85),
        "webp": (640, 640, "inside", "webp", 80),
    }
    found = {s.name: (s.width, s.height, s.fit, s.format, s.quality) for s in STANDARD.variants}
    assert found == documented


def test_the_hashes_of_the_standard_recipe_never_change() -> None:
    # They are part of stored keys: another hash makes every variant of every media again.
    assert {spec.name: spec.hash for spec in STANDARD.variants} == {
        "thumbnail": "7f65a209",
        "small": "4332fdac",
        "medium": "c463635a",
        "large": "f699e0d8",
        "xlarge": "e777c015",
        "webp": "0d0c67ab",
    }


@pytest.mark.parametrize(
    "change",
    [{"width": 321}, {"quality": 84}, {"format": "webp"}, {"fit": "square"}, {"background": (0, 0, 0)}],
)
def test_any_change_of_a_variant_changes_its_hash_and_no_other(change: dict[str, object]) -> None:
    spec = VariantSpec(name="small", width=320, height=320)
    assert msgspec.structs.replace(spec, **change).hash != spec.hash


def test_names_are_unique_within_each_recipe() -> None:
    for recipe in RECIPES.values():
        names = [spec.name for spec in recipe.variants]
        assert len(set(names)) == len(names), recipe.name


def test_a_variant_is_never_asked_to_be_larger_than_the_picture() -> None:
    for spec in STANDARD.variants:
        assert spec.scale(10, 10) == 1
        assert spec.scale(4000, 3000) < 1


def test_an_unknown_recipe_is_refused_with_the_known_names() -> None:
    with pytest.raises(LookupError, match="no recipe 'fancy'; there are standard"):
        find_recipe("fancy")
