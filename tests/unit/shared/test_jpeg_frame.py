import random

import pytest

from shared.jpeg_frame import JpegFrame, jpeg_frame
from tests.fixtures.pictures import encoded, late_jpeg, photo, picture


@pytest.mark.parametrize("progressive", [False, True])
def test_sides_and_kind_are_those_that_were_written(progressive: bool) -> None:  # noqa: FBT001 - a parameter
    data = encoded(picture(60, 40), progressive=progressive)
    assert jpeg_frame(data) == JpegFrame(width=60, height=40, progressive=progressive)


def test_metadata_before_the_frame_is_walked_over() -> None:
    assert jpeg_frame(late_jpeg(60, 40)) == JpegFrame(width=60, height=40, progressive=False)
    assert jpeg_frame(photo(60, 40)) == JpegFrame(width=60, height=40, progressive=False)


def test_fill_bytes_before_a_marker_are_no_marker() -> None:
    data = encoded(picture(60, 40))
    assert jpeg_frame(data[:2] + b"\xff" * 9 + data[2:]) == JpegFrame(width=60, height=40, progressive=False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\x89PNG",
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8\xff\xe0\0\0" * 9,
    ]
    + [encoded(picture(60, 40))[:length] for length in (3, 5, 21)],
)
def test_what_has_no_whole_frame_has_none(data: bytes) -> None:
    assert jpeg_frame(data) is None


def test_no_noise_behind_a_beginning_makes_it_fail_or_take_long() -> None:
    dice = random.Random(7)
    for _ in range(200):
        jpeg_frame(b"\xff\xd8\xff" + dice.randbytes(400))


@pytest.mark.parametrize(
    ("width", "height", "progressive", "heavy"),
    [(8000, 5001, True, True), (8000, 5000, True, False), (8000, 5001, False, False)],
)
def test_only_large_progressive_ones_are_heavy(
    width: int, height: int, *, progressive: bool, heavy: bool
) -> None:
    assert JpegFrame(width=width, height=height, progressive=progressive).is_heavy is heavy
