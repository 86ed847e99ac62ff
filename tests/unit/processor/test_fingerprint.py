"""The hashes and colours of a picture: the same whatever file it is in, and none that are chance."""

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.processor.frames import Result
from services.processor.steps.colours import dominant_colours, lab
from services.processor.steps.fingerprint import _hash, low_frequencies
from shared.recipes import Recipe
from shared.turns import TURNS, Turn
from tests.fixtures.pictures import encoded, picture
from tests.unit.processor.conftest import Derive

NOTHING = Recipe(name="none", version=1, variants=())
FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
# How a file stores a picture that a reader turns upright by this EXIF orientation.
STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip

ORIGINAL = picture(640, 480, seed=7)
# Stored hashes are compared with new ones: what changes these breaks the search among all older media.
PHASH, DHASH, AHASH, COLOUR_HASH = "c51762b3c15b35f0", "cdc5e6f2b6e2ab87", "6721023b7b73f0f1", "01000040000"


def distance(one: str | None, other: str) -> int:
    return (int(one or "", 16) ^ int(other, 16)).bit_count()


def assert_pinned(found: Result, most: int) -> None:
    assert distance(found.phash, PHASH) <= most
    assert distance(found.dhash, DHASH) <= most
    assert distance(found.ahash, AHASH) <= most
    assert distance(found.colour_hash, COLOUR_HASH) <= most


def rgb(digits: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(list(bytes.fromhex(digits[1:])), np.float64)


@pytest.mark.parametrize("side", [160, 320, 640])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_is_the_same_in_every_format_and_size(derive: Derive, kind: str, side: int) -> None:
    small = ORIGINAL.resize((side, side * 3 // 4), Image.Resampling.LANCZOS)
    options = {"quality": 60} if kind in {"JPEG", "WEBP", "AVIF", "HEIF"} else {}
    assert_pinned(derive(encoded(small, kind, **options), FORMATS[kind], recipe=NOTHING), most=4)


@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_the_same_in_every_orientation(derive: Derive, orientation: int) -> None:
    undo = STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(ORIGINAL if undo is None else ORIGINAL.transpose(undo), exif=exif.tobytes())
    assert_pinned(derive(stored, recipe=NOTHING), most=4)


def gradient(width: int, height: int, *, down: bool = False) -> Image.Image:
    ramp = np.linspace(0, 255, height if down else width).astype(np.uint8)
    rows = ramp[:, None] if down else ramp[None, :]
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(rows, (height, width))))


def shape(box: tuple[int, int, int, int], fill: str = "black") -> Image.Image:
    image = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(image).rectangle(box, fill=fill)
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (400, 300), "navy"),
        Image.new("RGBA", (400, 300), (0, 0, 0, 0)),
        gradient(400, 300),
        gradient(400, 300, down=True),
        shape((0, 0, 199, 299)),
        shape((100, 100, 299, 199)),
        picture(15, 400),
        picture(8, 8),
    ],
    ids=["flat", "clear", "left to right", "top to bottom", "two tones", "one shape", "narrow", "tiny"],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_hash_that_would_be_chance_is_flagged(derive: Derive, image: Image.Image, kind: str) -> None:
    written = image.convert("RGB") if kind == "JPEG" else image
    assert derive(encoded(written, kind), FORMATS[kind], recipe=NOTHING).degenerate is True


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_with_something_in_it_is_not_flagged(derive: Derive, seed: int) -> None:
    faint = picture(320, 240, seed).point(lambda level: 100 + level // 8)
    for image in (picture(320, 240, seed), faint):
        assert derive(encoded(image), recipe=NOTHING).degenerate is False


def test_the_fingerprints_of_a_made_picture_are_pinned(derive: Derive) -> None:
    assert_pinned(derive(encoded(ORIGINAL, "PNG"), "image/png", recipe=NOTHING), most=1)


def patches(
    *colours: tuple[tuple[int, int, int, int], int],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A column of pixels: each colour for so many rows of 10."""
    return np.concatenate([np.full((rows, 10, 4), colour, np.uint8) for colour, rows in colours])


def test_colours_come_with_their_shares_and_the_largest_first() -> None:
    found = dominant_colours(
        patches(((30, 144, 255, 255), 25), ((255, 99, 71, 255), 60), ((0, 100, 0, 255), 15))
    )
    assert [(colour.hex, colour.share) for colour in found] == [
        ("#ff6347", 0.6), ("#1e90ff", 0.25), ("#006400", 0.15)
    ]  # fmt: skip


def test_transparent_parts_have_no_colour() -> None:
    found = dominant_colours(patches(((255, 0, 0, 0), 90), ((0, 0, 255, 255), 10)))
    assert [(colour.hex, colour.share) for colour in found] == [("#0000ff", 1.0)]
    assert dominant_colours(patches(((255, 0, 0, 0), 10))) == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_colours_are_the_same_in_every_format(derive: Derive, kind: str) -> None:
    image = shape((0, 0, 199, 299), fill="tomato")
    ImageDraw.Draw(image).ellipse((240, 80, 360, 220), fill="navy")
    found = derive(encoded(image, kind), FORMATS[kind], recipe=NOTHING).colours
    for colour, (digits, share) in zip(
        found, (("#ff6347", 0.5), ("#ffffff", 0.39), ("#000080", 0.11)), strict=False
    ):
        assert np.abs(rgb(colour.hex) - rgb(digits)).max() < 12
        assert colour.share == pytest.approx(share, abs=0.03)  # along an edge, colours mix in 32 pixels


def test_shades_of_one_colour_are_one_colour() -> None:
    shades = tuple(((0, 120 + 3 * step, 0, 255), 10) for step in range(6))  # over the border of two boxes
    (found,) = dominant_colours(patches(*shades))
    assert (found.hex, found.share) == ("#008000", 1.0)


def test_at_most_five_colours_are_told_and_none_of_a_speck() -> None:
    found = dominant_colours(np.asarray(picture(64, 48, seed=1).convert("RGBA")))
    assert 2 <= len(found) <= 5
    assert all(colour.share >= 0.02 for colour in found)
    assert sum(colour.share for colour in found) <= 1.001


def test_lab_is_that_of_the_reference_colours() -> None:
    # The values that colorimetry gives for sRGB under D65.
    found = lab(np.array([[255.0, 255, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]]))
    expected = [[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [0, 0, 0]]
    assert np.abs(found - np.array(expected)).max() < 0.05


LAID: dict[Turn, tuple[Image.Transpose, ...]] = {
    "rotated_90": (Image.Transpose.ROTATE_270,),  # Pillow turns the other way round
    "rotated_180": (Image.Transpose.ROTATE_180,),
    "rotated_270": (Image.Transpose.ROTATE_90,),
    "mirrored": (Image.Transpose.FLIP_LEFT_RIGHT,),
    "mirrored_rotated_90": (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_270),
    "mirrored_rotated_180": (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180),
    "mirrored_rotated_270": (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90),
}


@pytest.mark.parametrize(("kind", "side"), [("PNG", 640), ("JPEG", 640), ("WEBP", 320), ("HEIF", 160)])
def test_the_turned_hashes_are_those_of_turned_files(derive: Derive, kind: str, side: int) -> None:
    small = ORIGINAL.resize((side, side * 3 // 4), Image.Resampling.LANCZOS)
    found = derive(encoded(small, "PNG"), FORMATS["PNG"], recipe=NOTHING)
    assert len({found.phash, *found.phash_turned}) == 8
    for turn, told in zip(TURNS, found.phash_turned, strict=True):
        copy = small
        for step in LAID[turn]:
            copy = copy.transpose(step)
        options = {"quality": 60} if kind in {"JPEG", "WEBP", "HEIF"} else {}
        turned = derive(encoded(copy, kind, **options), FORMATS[kind], recipe=NOTHING)
        assert distance(turned.phash, told) <= (1 if kind == "PNG" else 4), turn
        assert found.phash in turned.phash_turned or kind != "PNG", turn


@pytest.mark.parametrize("seed", range(3))
def test_the_untold_turn_is_the_hash_itself(seed: int) -> None:
    grey = picture(32, 32, seed).convert("L")
    assert _hash(low_frequencies(grey)) == str(imagehash.phash(grey))
