import msgspec
import pytest

from services.processor.recipes import (
    CONTENT,
    ENTITY,
    MEDIAFILES,
    RECIPES,
    STANDARD,
    Recipe,
    VariantSpec,
    find_recipe,
)


def documented(recipe: Recipe) -> dict[str, tuple[int, int, str, str, int]]:
    return {s.name: (s.width, s.height, s.fit, s.format, s.quality) for s in recipe.variants}


def test_the_standard_recipe_is_the_documented_one() -> None:
    assert documented(STANDARD) == {
        "thumbnail": (150, 150, "square", "jpeg", 85),
        "small": (320, 320, "inside", "jpeg", 85),
        "medium": (640, 640, "inside", "jpeg", 85),
        "large": (1080, 1080, "inside", "jpeg", 85),
        "xlarge": (1600, 1600, "inside", "jpeg", 85),
        "webp": (640, 640, "inside", "webp", 80),
    }


def test_the_recipes_of_the_older_apis_are_the_documented_ones() -> None:
    assert documented(ENTITY) == {
        "thumbnail": (150, 150, "square", "jpeg", 80),
        "small": (400, 400, "inside", "jpeg", 85),
        "medium": (800, 800, "inside", "jpeg", 85),
        "large": (1600, 1600, "inside", "jpeg", 90),
    }
    assert documented(MEDIAFILES) == {
        "thumbnail": (150, 150, "square", "jpeg", 85),
        "small": (320, 320, "inside", "jpeg", 85),
        "medium": (640, 640, "inside", "jpeg", 85),
        "large": (1080, 1080, "inside", "jpeg", 85),
        "webp": (640, 640, "inside", "webp", 80),
    }
    assert documented(CONTENT) == {
        "optimised": (2048, 2048, "inside", "source", 85),
        "thumbnail": (300, 300, "inside", "source", 85),
    }


def hashes(recipe: Recipe, mime_type: str = "image/jpeg") -> dict[str, str]:
    return {spec.name: spec.hash for spec in recipe.asked_of(mime_type, animated=False)}


def test_the_hashes_of_the_recipes_never_change() -> None:
    # They are part of stored keys: another hash makes every variant of every media again.
    assert hashes(STANDARD) == {
        "thumbnail": "7f65a209",
        "small": "4332fdac",
        "medium": "c463635a",
        "large": "f699e0d8",
        "xlarge": "e777c015",
        "webp": "0d0c67ab",
    }
    assert hashes(ENTITY) == {
        "thumbnail": "43575464",
        "small": "7840d396",
        "medium": "cdefa01d",
        "large": "7019601e",
    }
    assert hashes(MEDIAFILES) == {
        "thumbnail": "7f65a209",
        "small": "4332fdac",
        "medium": "c463635a",
        "large": "f699e0d8",
        "webp": "0d0c67ab",
    }
    assert hashes(CONTENT, "image/jpeg") == {"optimised": "2507c8ff", "thumbnail": "2e991d4d"}
    assert hashes(CONTENT, "image/png") == {"optimised": "f309b60e", "thumbnail": "8a5de54d"}
    assert hashes(CONTENT, "image/webp") == {"optimised": "81b58a69", "thumbnail": "8f4b3600"}


@pytest.mark.parametrize(
    ("mime_type", "format_"),
    [
        ("image/jpeg", "jpeg"),
        ("image/png", "png"),
        ("image/webp", "webp"),
        ("image/gif", "jpeg"),
        ("image/tiff", "jpeg"),
        ("image/heic", "jpeg"),
        ("image/avif", "jpeg"),
    ],
)
def test_the_format_of_the_source_is_kept_where_every_browser_shows_it(mime_type: str, format_: str) -> None:
    spec = VariantSpec(name="v", width=64, height=64, format="source")
    assert spec.written_as(mime_type) == format_
    assert spec.resolved(mime_type) == VariantSpec(
        name="v", width=64, height=64, format=spec.written_as(mime_type)
    )
    asked = VariantSpec(name="v", width=64, height=64, format="avif")
    assert asked.resolved(mime_type) == asked


def test_what_is_for_stills_is_not_asked_of_an_animation() -> None:
    assert [spec.name for spec in CONTENT.asked_of("image/gif", animated=True)] == ["thumbnail"]
    assert [spec.name for spec in CONTENT.asked_of("image/gif", animated=False)] == ["thumbnail"]
    assert [spec.name for spec in CONTENT.asked_of("image/webp", animated=True)] == ["thumbnail"]
    assert [spec.name for spec in CONTENT.asked_of("image/webp", animated=False)] == [
        "optimised",
        "thumbnail",
    ]
    assert len(STANDARD.asked_of("image/gif", animated=True)) == len(STANDARD.variants)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 321},
        {"quality": 84},
        {"format": "webp"},
        {"format": "source"},
        {"fit": "square"},
        {"background": (0, 0, 0)},
        {"flatten": True},
        {"still_only": True},
        {"optimise": True},
    ],
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
    with pytest.raises(
        LookupError, match="no recipe 'fancy'; there are standard, content, mediafiles, entity"
    ):
        find_recipe("fancy")
