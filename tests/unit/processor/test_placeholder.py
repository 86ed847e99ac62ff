import base64

import numpy as np
import pytest
import thumbhash
from PIL import Image

from services.processor.steps.placeholder import placeholder
from tests.fixtures.pictures import picture


def pixels(image: Image.Image) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("size", [(32, 32), (32, 24), (24, 32), (32, 1), (1, 32), (1, 1), (100, 75)])
@pytest.mark.parametrize("seed", range(3))
def test_opaque_pictures_have_the_hash_that_others_compute(size: tuple[int, int], seed: int) -> None:
    image = picture(200, 200, seed).resize(size)
    reference = thumbhash.rgba_to_thumb_hash(*size, list(image.convert("RGBA").tobytes()))
    assert base64.b64decode(placeholder(pixels(image))) == bytes(reference)


@pytest.mark.parametrize("colour", ["black", "white", "teal"])
def test_a_flat_picture_keeps_its_colour(colour: str) -> None:
    flat = Image.new("RGB", (16, 16), colour)
    found = thumbhash.thumb_hash_to_average_rgba(list(base64.b64decode(placeholder(pixels(flat)))))
    expected = [channel / 255 for channel in flat.getpixel((0, 0))]  # type: ignore[union-attr]
    assert list(found[:3]) == pytest.approx(expected, abs=0.04)


def test_transparency_is_part_of_the_hash() -> None:
    image = Image.new("RGBA", (32, 32), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    found = base64.b64decode(placeholder(pixels(image)))
    assert found[2] & 0x80
    red, green, blue, alpha = thumbhash.thumb_hash_to_average_rgba(list(found))
    assert red > 0.9
    assert max(green, blue) < 0.1
    assert alpha == pytest.approx(0.5, abs=0.05)


def test_nothing_at_all_is_transparent() -> None:
    found = base64.b64decode(placeholder(pixels(Image.new("RGBA", (8, 8), (9, 9, 9, 0)))))
    assert thumbhash.thumb_hash_to_average_rgba(list(found))[3] == 0
