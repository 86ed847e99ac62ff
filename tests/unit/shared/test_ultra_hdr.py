"""What is written as Ultra HDR can be taken apart into the very bytes, and nothing else can be hidden in it."""

import io

import pytest
from PIL import Image
from PIL.MpoImagePlugin import MpoImageFile

from shared.ultra_hdr import Gains, UnusableNumbers, read_iso, taken_apart, written
from tests.fixtures.pictures import encoded, picture

PICTURE, MAP = encoded(picture(64, 48)), encoded(picture(16, 12).convert("L"))
GAINS = Gains(
    least=(0.0,), most=(3.5,), gamma=(1.0,), offset_sdr=(1 / 64,), offset_hdr=(1 / 64,), low=0.0, high=3.5
)
WHOLE = written(PICTURE, MAP, GAINS)


def test_both_pictures_come_out_as_they_went_in() -> None:
    assert taken_apart(WHOLE) == (PICTURE, MAP)
    odd = Gains(
        least=(-1e-9, 0.1, -2 / 3), most=(1 / 3, 3, 4), gamma=(1.0, 1.0, 1.0),
        offset_sdr=(0.0,), offset_hdr=(1e-9,), low=1e-9, high=10 / 3,
    )  # fmt: skip
    assert taken_apart(written(PICTURE, MAP, odd)) == (PICTURE, MAP)


def test_other_readers_find_the_second_picture() -> None:
    with MpoImageFile(io.BytesIO(WHOLE)) as image:
        assert image.size == (64, 48)
        image.seek(1)
        assert image.size == (16, 12)
        assert image.convert("L").tobytes() == Image.open(io.BytesIO(MAP)).tobytes()


def test_one_byte_more_less_or_other_than_numbers_is_not_taken_for_ours() -> None:
    assert taken_apart(WHOLE + b"\0") is None
    assert taken_apart(PICTURE) is None
    assert taken_apart(PICTURE + MAP) is None
    assert taken_apart(b"") is None
    ours = range(20, WHOLE.index(b"\xff\xdb"))  # behind JFIF: all segments that are ours
    for place in ours:
        other = bytearray(WHOLE)
        other[place] ^= 1
        assert taken_apart(bytes(other)) is None, place
    for length in range(0, len(WHOLE), 29):
        assert taken_apart(WHOLE[:length]) is None


@pytest.mark.parametrize("length", range(0, 61, 7))
def test_numbers_that_are_cut_off_are_told(length: int) -> None:
    with pytest.raises(UnusableNumbers):
        read_iso((b"\0\0\0\0\x40" + b"\0\0\0\1" * 14)[:length])
