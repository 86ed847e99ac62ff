import struct

import pytest

from services.ingest.rules import sides
from services.ingest.sniff import sniff
from tests.fixtures.pictures import encoded, picture


def oldest_bmp(width: int, height: int) -> bytes:
    """As OS/2 1.x wrote it: a header of 12 bytes."""
    pixels = bytes((width * 3 + 3) // 4 * 4 * height)
    return struct.pack("<2sIIIIHHHH", b"BM", 26 + len(pixels), 0, 26, 12, width, height, 1, 24) + pixels


@pytest.mark.parametrize("data", [oldest_bmp(127, 64), encoded(picture(127, 64), "BMP")])
def test_the_sides_of_old_and_new_bitmaps_are_read(data: bytes) -> None:
    assert sides(sniff(data), data) == (127, 64)


def test_a_bitmap_cut_within_its_header_has_no_sides() -> None:
    data = oldest_bmp(127, 64)[:20]
    assert sides(sniff(data), data) is None
