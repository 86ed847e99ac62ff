"""A JPEG loses its place while it streams, and nothing else."""

import io
import random
import struct
from collections.abc import Iterator

import pytest
from PIL import Image

from services.ingest.unplaced import Jpeg, without_place
from tests.fixtures.pictures import EXIF_IFD, GPS_INFO, encoded, photo, picture

XMP = b"http://ns.adobe.com/xap/1.0/\0"


def through(data: bytes, *, most: int = 65_536, seed: int = 1) -> bytes:
    """The file, fed in pieces of up to `most` bytes."""
    dice, jpeg, out, at = random.Random(seed), Jpeg(), b"", 0
    while at < len(data):
        size = dice.randrange(1, most + 1)
        out += jpeg.feed(data[at : at + size])
        at += size
    return out + jpeg.end()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_place_goes_and_everything_else_stays() -> None:
    data = photo(320, 240)
    made = through(data)
    before, after = opened(data).getexif(), opened(made).getexif()
    assert before.get_ifd(GPS_INFO)
    assert not after.get_ifd(GPS_INFO)
    assert dict(after.get_ifd(EXIF_IFD)) == dict(before.get_ifd(EXIF_IFD))
    assert after[0x010F] == "Tripod Works"
    assert len(made) == len(data)
    assert opened(made).tobytes() == opened(data).tobytes()
    changed = [at for at, (one, other) in enumerate(zip(data, made, strict=True)) if one != other]
    assert changed[-1] < data.index(b"\xff\xda")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100, 5000])
def test_it_does_not_matter_how_the_pieces_are_cut(most: int) -> None:
    data = photo(64, 48)
    assert through(data, most=most, seed=most) == through(data, most=10**6)


def test_no_number_of_the_place_is_left_in_the_bytes() -> None:
    block = opened(photo(64, 48)).info["exif"]
    cleared = without_place(block)
    gps = Image.Exif()
    gps.load(block)
    for value in (part for tag in (2, 4) for part in gps.get_ifd(GPS_INFO)[tag]):
        pair = (value.numerator, value.denominator)
        if value.numerator > 1:
            for order in "<>":
                assert struct.pack(order + "II", *pair) not in cleared
    assert len(cleared) == len(block)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_directory_that_is_hidden_in_another_is_found(order: str) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    nested = struct.pack(order + "HHHIII", 1, 0x8825, 4, 1, 44, 0)
    main = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
    gps = struct.pack(order + "HHHII", 1, 2, 5, 3, 62) + bytes(4) + b"SECRETSECRETSECRETSECRET"
    block = b"Exif\0\0" + mark + struct.pack(order + "I", 8) + main + nested + gps
    cleared = without_place(block)
    assert b"SECRET" not in cleared
    assert len(cleared) == len(block)
    assert cleared[: 6 + 44] == block[: 6 + 44]


def test_a_pointer_to_the_directory_of_the_camera_costs_it_nothing() -> None:
    main = struct.pack("<HHHIIHHIII", 2, 0x8825, 4, 1, 38, 0x8769, 4, 1, 38, 0)
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + main + struct.pack("<HHHIII", 1, 0x829A, 4, 1, 7, 0)
    assert without_place(block) == block


@pytest.mark.parametrize(
    "text",
    [
        b"<x exif:GPSLatitude='48,51N' dc:title='kept'/>",
        b'<x exif:GPSLatitude = "48,51N" dc:title="kept"/>',
        b"<exif:GPSLongitude>48,51N</exif:GPSLongitude><dc:title>kept</dc:title>",
        b"<x drone-dji:GpsLongtitude='48,51N' drone-dji:AbsoluteAltitude='48,51N' dc:title='kept'/>",
    ],
)
def test_the_place_goes_from_xmp_too(text: bytes) -> None:
    cleared = without_place(XMP + text)
    assert b"48" not in cleared
    assert b"kept" in cleared
    assert len(cleared) == len(XMP + text)


def test_a_second_picture_behind_the_end_loses_its_place_too() -> None:
    data = photo(64, 48) + b"some bytes" + photo(32, 24, seed=2)
    made = through(data, most=50)
    assert len(made) == len(data)
    second = made[len(photo(64, 48)) + len(b"some bytes") :]
    assert not opened(second).getexif().get_ifd(GPS_INFO)
    assert opened(second).getexif()[0x010F] == "Tripod Works"


def broken() -> Iterator[bytes]:
    yield b""
    yield b"\xff"
    yield b"no picture at all"
    yield b"\xff\xd8\xff\xe1\0\0\xff\xe1\0\1"
    yield b"\xff\xd8" + b"\xff" * 100
    yield encoded(picture(32, 24), progressive=True)
    yield bytes(random.Random(3).randbytes(5000))


@pytest.mark.parametrize("data", list(broken()))
def test_what_holds_no_place_comes_out_as_it_was(data: bytes) -> None:
    assert through(data, most=40) == data


def test_exif_that_is_no_tiff_is_wiped_and_a_segment_cut_short_too() -> None:
    assert without_place(b"Exif\0\0SECRET 48.5") == b"Exif\0\0" + bytes(11)
    data = photo(64, 48)
    cut = data[: data.index(b"Exif") + 200]
    made = through(cut)
    assert len(made) == len(cut)
    assert b"Tripod" not in made


def test_hostile_blocks_cost_no_time() -> None:
    for text in (b":GPS " * 13_000, b":GPSa='" * 9_000, b"<a:gps " * 9_000, b":x" * 32_000, b"<" * 65_000):
        assert len(without_place((XMP + text)[:65_533])) == min(65_533, len(XMP + text))
    loop = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + loop
    assert without_place(block) == block
    many = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 0xFFFF) + struct.pack("<HHII", 0x8825, 4, 1, 8) * 5_000
    assert len(without_place(many)) == len(many)
