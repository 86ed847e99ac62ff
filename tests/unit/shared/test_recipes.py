from pathlib import Path

import msgspec
import pytest

from shared import recipes
from shared.env import Env
from shared.errors import SettingsError
from shared.film_recipes import Films, FilmSpec
from shared.recipes import Recipe, VariantSpec
from shared.sound_recipes import Sounds, SoundSpec
from tests.fixtures.recipes import CONTENT, ENTITY, MEDIAFILES, RECIPES, STANDARD


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


def test_a_video_of_the_entities_api_has_the_sizes_that_its_pictures_have() -> None:
    assert ENTITY.posters == ENTITY.variants


def test_what_the_older_apis_make_of_videos_and_sound_is_the_documented() -> None:
    assert MEDIAFILES.films.all == (FilmSpec(width=1920, height=1080, crf=23, audio=128),)
    assert MEDIAFILES.sounds.mp3 == (SoundSpec(kbits=128, rate=44_100),)
    assert [(spec.name, spec.width, spec.fit) for spec in MEDIAFILES.posters] == [
        ("poster", 1920, "inside"),
        ("thumbnail", 150, "square"),
    ]
    # Its files stay as they were uploaded.
    assert CONTENT.films == Films(mp4=(), storyboard=None)
    assert CONTENT.sounds == Sounds(mp3=(), waveform=None)
    for pictures in (CONTENT.posters, CONTENT.covers):
        assert [(spec.name, spec.width, spec.height, spec.fit) for spec in pictures] == [
            ("thumbnail", 300, 300, "inside")
        ]


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
        {"moving": True},
        {"gain_map": True},
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
        recipes.find(RECIPES, "fancy")


def test_what_moves_has_a_hash_of_its_own_and_only_where_it_moves() -> None:
    webp = STANDARD.variants[-1]
    assert webp.name == "webp"
    assert webp.resolved("image/jpeg").hash == "0d0c67ab"
    assert webp.resolved("image/gif").hash == "0d0c67ab"
    assert webp.resolved("image/png", animated=True).hash == "0d0c67ab"  # APNG: its first frame
    moving = {webp.resolved(kind, animated=True).hash for kind in ("image/gif", "image/webp")}
    assert moving == {"3ebd4e43"}


def test_what_keeps_a_gain_map_has_a_hash_of_its_own_and_only_where_there_is_one() -> None:
    small, webp = STANDARD.variants[1], STANDARD.variants[-1]
    kept = small.resolved("image/jpeg", gain_map=True)
    assert kept.gain_map is True
    assert kept.hash == "73a836a7"
    for plain in (
        small.resolved("image/jpeg"),
        msgspec.structs.replace(small, gain_map=False).resolved("image/jpeg", gain_map=True),
        msgspec.structs.replace(small, gain_map=True).resolved("image/jpeg"),
    ):
        assert plain.hash == "4332fdac"
    assert webp.resolved("image/jpeg", gain_map=True) == webp.resolved("image/jpeg")
    square = STANDARD.variants[0]
    assert square.resolved("image/jpeg", gain_map=True) == square


def test_no_recipe_of_an_older_api_moves() -> None:
    assert not any(spec.moving for recipe in (CONTENT, MEDIAFILES, ENTITY) for spec in recipe.variants)


@pytest.mark.parametrize(
    ("asked", "sides", "scale", "box"),
    [
        ((400, 200), (1600, 1200), 0.25, (400, 200)),
        ((200, 400), (1600, 1200), 400 / 1200, (200, 400)),
        ((400, 200), (200, 200), 1, (200, 100)),  # smaller, and still twice as wide as high
        ((400, 200), (4000, 100), 1, (200, 100)),
        ((400, 200), (400, 200), 1, (400, 200)),
    ],
)
def test_cover_fills_a_box_and_keeps_its_shape_where_the_picture_is_smaller(
    asked: tuple[int, int], sides: tuple[int, int], scale: float, box: tuple[int, int]
) -> None:
    spec = VariantSpec(name="v", width=asked[0], height=asked[1], fit="cover")
    assert spec.box(*sides) == box
    assert spec.scale(*sides) == pytest.approx(scale)


MINE = """
[mine]
variants = [{ name = "card", width = 300, height = 200, fit = "cover", format = "avif", background = [0, 0, 0] }]
"""


def test_an_operator_adds_a_recipe_and_replaces_a_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "recipes.toml"
    file.write_text(MINE + MINE.replace("[mine]", "[entity]"))
    found = recipes.load(Env({"TRIPOD_RECIPES": str(file)}))
    card = VariantSpec(name="card", width=300, height=200, fit="cover", format="avif", background=(0, 0, 0))
    assert found["mine"] == Recipe(name="mine", variants=(card,))
    assert found["entity"].variants == (card,)
    assert found["standard"] == STANDARD


def test_without_a_file_the_shipped_recipes_are_there() -> None:
    assert recipes.load(Env({})) == RECIPES


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[mine]", "[mine", "cannot be used"),
        ("[mine]", "[Mine]", r"Recipe 'Mine' .* its name is not allowed; allowed is 1 to 32 of a-z"),
        (
            "variants =",
            "variant =",
            r"'variant' is no field; there are variants, version, posters, films, covers",
        ),
        ("variants =", "version = 0\nvariants =", "version is 0; allowed is a whole number from 1"),
        ("variants = [", "variants = []\nx = [", "'x' is no field"),
        ("[{", "[1, {", "variant number 1: it is 1; allowed is a table"),
        ("[{", "[{ name = 'card', width = 1, height = 1 }, {", "two variants are called 'card'"),
        ('name = "card", ', "", "variant number 1: it has no name; needed is 1 to 32 of a-z"),
        ('"card"', '"../card"', r"name is '\.\./card'; allowed is 1 to 32 of a-z"),
        ("width = 300, ", "", "variant 'card': it has no width; needed is a whole number from 1 to 16383"),
        ("width = 300", "width = 0", "width is 0; allowed is a whole number from 1 to 16383"),
        ("height = 200", "height = 20000", "height is 20000; allowed"),
        ('"cover"', '"crop"', "fit is 'crop'; allowed is inside, square or cover"),
        ('"cover"', "[]", r"fit is \[\]; allowed is inside, square or cover"),
        ('"cover"', '"square"', "it is square, and 300 x 200; both sides must be the same"),
        ('"avif"', '"gif"', "format is 'gif'; allowed is jpeg, png, webp, avif or source"),
        ('"avif"', '"avif", quality = 0', "quality is 0; allowed is a whole number from 1 to 100"),
        ('"avif"', '"avif", quality = true', "quality is True; allowed"),
        ("[0, 0, 0]", "[0, 0]", r"background is \[0, 0\]; allowed is three whole numbers"),
        ("[0, 0, 0]", "[0, 0, 256]", "allowed is three whole numbers from 0 to 255"),
        ('"avif"', '"avif", flatten = 1', "flatten is 1; allowed is true or false"),
        ('"avif"', '"avif", colour = 1', "'colour' is no field; there are name, width, height, fit, format"),
        ('"avif"', '"avif", moving = true', "it is moving, and avif; only webp and source can move"),
        ('"avif"', '"webp", moving = true, still_only = true', "it is moving and still_only"),
    ],
)
def test_a_wrong_recipe_is_refused_with_file_recipe_variant_fault_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    file = tmp_path / "recipes.toml"
    assert old in MINE
    file.write_text(MINE.replace(old, new, 1))
    with pytest.raises(SettingsError, match=says) as caught:
        recipes.load(Env({"TRIPOD_RECIPES": str(file)}))
    assert str(file) in caught.value.detail


def test_an_absent_file_of_recipes_is_named() -> None:
    with pytest.raises(SettingsError, match=r"TRIPOD_RECIPES names '/absent/recipes\.toml'"):
        recipes.load(Env({"TRIPOD_RECIPES": "/absent/recipes.toml"}))
