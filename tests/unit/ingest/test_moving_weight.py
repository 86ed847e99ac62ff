"""What an animation weighs: its pictures are counted while its bytes flow past, however they are cut."""

import struct

import pytest
from PIL import Image

from services.ingest.lanes import Lanes, weight
from services.ingest.moving import MANY, Moving
from tests.fixtures.pictures import encoded, photo, picture


def animation(kind: str, count: int, size: tuple[int, int] = (200, 100)) -> bytes:
    frames = [Image.new("L" if kind == "GIF" else "RGB", size, 20 * n) for n in range(count)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def pixels(data: bytes, sides: tuple[int, int] | None, cut: int = 2**16) -> int:
    moving = Moving()
    for start in range(0, len(data), cut):
        moving.see(data[start : start + cut])
    return moving.pixels(sides)


@pytest.mark.parametrize("cut", [1, 2, 7, 100, 2**16])
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_every_picture_of_an_animation_counts_as_large_as_the_whole(kind: str, cut: int) -> None:
    assert pixels(animation(kind, 9), (200, 100), cut) == 9 * 200 * 100


@pytest.mark.parametrize(
    "data", [animation("GIF", 1), encoded(picture(60, 40), "WEBP"), photo(60, 40), b"GIF89a", b""]
)
def test_what_does_not_move_has_no_such_pixels(data: bytes) -> None:
    assert pixels(data, (60, 40)) == 0


def test_a_screen_that_is_smaller_than_its_pictures_does_not_make_them_light() -> None:
    data = bytearray(animation("GIF", 5))
    data[6:10] = struct.pack("<2H", 1, 1)
    assert pixels(bytes(data), (1, 1)) == 5 * 200 * 100


def test_a_file_of_very_many_small_blocks_is_not_walked_to_its_end() -> None:
    data = animation("GIF", 1)[:-1] + b"\x21\xfe" + b"\x01x" * 400_000
    assert pixels(data, (200, 100)) == MANY * 200 * 100


def test_a_moving_picture_weighs_as_much_as_all_its_pictures() -> None:
    assert weight("image", (1990, 1990), 940_000, moving=60 * 1990 * 1990) == 60
    assert weight("image", (3990, 3990), 1_150_000, moving=31 * 3990 * 3990) == 124
    assert weight("image", (4000, 4000), 1_150_000, moving=10**12) == 125
    assert weight("image", (480, 270), 2_000_000, moving=30 * 480 * 270) == 1


def test_of_an_owners_long_animations_one_is_fresh_and_the_others_bulk() -> None:
    lanes = Lanes(60, lambda: 500.0)
    cost = weight("image", (1990, 1990), 940_000, moving=60 * 1990 * 1990)
    assert [lanes.of("crowd", weight=cost) for _ in range(3)] == ["fresh", "bulk", "bulk"]
    assert lanes.of("ann") == "fresh"
