import struct

import pillow_heif
import pytest

from services.ingest import rules
from services.ingest.rules import sides
from services.ingest.sniff import sniff
from shared.formats import BY_MIME
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


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_what_is_cropped_away_is_decoded_all_the_same(kind: str) -> None:
    pillow_heif.register_heif_opener()  # so that HEIC can be written
    found = BY_MIME["image/avif" if kind == "AVIF" else "image/heic"]
    data = encoded(picture(640, 480), kind)
    tile = b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 64, 64)
    cropped = data.replace(b"ispe", tile[4:] + tile[:4] + b"ispe", 1).replace(b"pixi", b"clap")
    assert rules.sides(found, cropped) is None
    assert rules.decoded_sides(found, cropped) == (640, 480)
    assert rules.decoded_sides(found, data[:40]) is None


def test_a_drawing_is_never_decoded() -> None:
    assert rules.decoded_sides(BY_MIME["image/svg+xml"], b"<svg width='9'/>") == (0, 0)
