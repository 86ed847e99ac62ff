"""A JPEG loses its place while it streams, and nothing else."""

import io
import random
import struct
import time

import pytest
from PIL import Image

from services.ingest.unplaced import Jpeg, without_place
from services.processor.embedded import of_pillow
from services.processor.gain_numbers import _CALLED
from services.processor.steps.xmp import read_xmp
from tests.fixtures.pictures import EXIF_IFD, GPS_INFO, encoded, photo, picture
from tests.fixtures.ultra_hdr import gain_map, hdrgm, ultra_hdr

XMP = b"http://ns.adobe.com/xap/1.0/\0"
HDRGM = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
PARIS = "<photoshop:City>Paris</photoshop:City>"


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
    assert cleared == block[: 6 + 26] + bytes(len(block) - 6 - 26)


def test_a_pointer_to_the_directory_of_the_camera_costs_it_nothing() -> None:
    main = struct.pack("<HHHIIHHIII", 2, 0x8769, 4, 1, 38, 0x8825, 4, 1, 38, 0)
    camera = struct.pack("<HHHIII", 1, 0x829A, 4, 1, 7, 0)
    alone = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 38, 0) + bytes(12)
    head = b"Exif\0\0II*\0" + struct.pack("<I", 8)
    assert without_place(head + main + camera) == head + alone + camera


def segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def xmp(body: str, attributes: str = "", encoding: str = "utf-8") -> bytes:
    text = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        f'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" {attributes}>{body}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return text.encode(encoding)


def tiff(order: str, entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """One directory, orientation 6 first; values of more than four bytes follow it."""
    entries = [(0x0112, 3, 1, struct.pack(order + "HH", 6, 0)), *entries]
    behind, packed = b"", struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        at = struct.pack(order + "I", 8 + 2 + 12 * len(entries) + 4 + len(behind))
        packed += struct.pack(order + "HHI", tag, kind, count) + (
            at if len(value) > 4 else value.ljust(4, b"\0")
        )
        behind += value if len(value) > 4 else b""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + packed + bytes(4) + behind


@pytest.mark.parametrize(
    "tag", [0x4747, 0x7000, 0x8290, 0x8568, 0x8888, 0x9009, 0x935C, 0x9402, 0x9999, 0xC4A5]
)
def test_a_field_that_nobody_knows_goes(tag: int) -> None:
    block = b"Exif\0\0" + tiff("<", [(tag, 7, len(PLACE), PLACE), (0x010F, 2, 8, b"Tripod W")])
    cleared = without_place(block)
    assert PLACE not in cleared
    assert b"Tripod W" in cleared
    assert len(cleared) == len(block)


def short_pointer() -> bytes:
    """An MM block whose pointer to GPS is a SHORT; the place stands behind the directory at 40."""
    main = tiff(">", [(0x8825, 3, 1, struct.pack(">HH", 40, 0))]).ljust(40, b"\0")
    return main + struct.pack(">HHHIII", 1, 2, 5, 3, 58, 0) + PLACE


def resource(number: int, body: bytes) -> bytes:
    return (
        b"Photoshop 3.0\x008BIM" + struct.pack(">HHI", number, 0, len(body)) + body + b"\0" * (len(body) % 2)
    )


def iptc(record: int, text: bytes) -> bytes:
    return resource(0x0404, struct.pack(">BBBH", 0x1C, 2, record, len(text)) + text)


PLACE = b"48,51.4933N" + b"\0" * 13
ELEMENT = "<exif:GPSLatitude>{}</exif:GPSLatitude>"
PLAIN = xmp(ELEMENT.format("48,51.4933N"))
FILM = struct.pack(">I4s4s", 12, b"ftyp", b"mp42") + b"\xa9xyz+48,51.4933N/\xff\xd8\xff\xe0\0\x04+48,51.4933N"
SEGMENTS = {
    "XMP": segment(0xE1, XMP + PLAIN),
    "XMP in UTF-16": segment(0xE1, XMP + xmp(ELEMENT.format("48,51.4933N"), encoding="utf-16")),
    "XMP CDATA": segment(0xE1, XMP + xmp(ELEMENT.format("<![CDATA[48,51.4933N]]>"))),
    "XMP comment": segment(0xE1, XMP + xmp(ELEMENT.format("<!--x-->48,51.4933N"))),
    "XMP list": segment(0xE1, XMP + xmp(ELEMENT.format("<rdf:Alt><rdf:li>48,51.4933N</rdf:li></rdf:Alt>"))),
    "XMP long attribute": segment(
        0xE1, XMP + xmp(f'<exif:GPSLatitude xml:lang="{"x" * 300}">48,51.4933N</exif:GPSLatitude>')
    ),
    "XMP many spaces": segment(0xE1, XMP + xmp("", f'exif:GPSLatitude{" " * 12}=  "48,51.4933N"')),
    "XMP city": segment(0xE1, XMP + xmp("", 'photoshop:City="Paris" photoshop:Country="France"')),
    "extended XMP": segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + PLAIN),
    "EXIF, a pointer of two bytes": segment(0xE1, b"Exif\0\0" + short_pointer()),
    "EXIF, a block of XMP": segment(0xE1, b"Exif\0\0" + tiff("<", [(0x02BC, 1, len(PLAIN), PLAIN)])),
    "EXIF, a maker note": segment(0xE1, b"Exif\0\0" + tiff("<", [(0x927C, 7, len(PLACE), PLACE)])),
    "EXIF, bytes that nothing points to": segment(0xE1, b"Exif\0\0" + tiff(">", []) + PLACE),
    "EXIF with another sixth byte": segment(0xE1, b"Exif\0\xff" + short_pointer()),
    "EXIF, its thumbnail": segment(
        0xE1,
        b"Exif\0\0"
        + tiff("<", [(0x0201, 4, 1, struct.pack("<I", 50)), (0x0202, 4, 1, struct.pack("<I", 500))])
        + b"\xff\xd8"
        + segment(0xE1, b"Exif\0\0" + short_pointer())
        + segment(0xE1, XMP + PLAIN),
    ),
    "Photoshop's EXIF": segment(0xED, resource(0x0422, short_pointer())),
    "Photoshop's XMP": segment(0xED, resource(0x0424, PLAIN)),
    "IPTC city": segment(0xED, iptc(90, b"Paris")),
    "IPTC country": segment(0xED, iptc(101, b"France")),
    "an APP1 of no known form": segment(0xE1, b"unknown 48,51.4933N"),
    "another vendor": segment(0xE4, b"vendor 48,51.4933N"),
    "a comment": segment(0xFE, b"seen at 48,51.4933N"),
    "XMP beside a gain map's": segment(0xE1, XMP + xmp(PARIS, f'{HDRGM} hdrgm:Version="1.0"')),
    "XMP in a gain map's numbers": segment(
        0xE1, XMP + xmp("", f'{HDRGM} hdrgm:GainMapMax="48,51.4933N" hdrgm:Gamma="1"')
    ),
    "behind Adobe's note": segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + b"48,51.4933N"),
    "behind a thumbnail of JFIF": segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1xyz" + b"48,51.4933N"),
    "behind a gain map's numbers": segment(
        0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(141) + b"48,51.4933N"
    ),
}


def names_a_place(data: bytes) -> bool:
    return any(
        sign.encode(encoding) in data
        for sign in ("48,51.4933N", "Paris", "France")
        for encoding in ("utf-8", "utf-16-le")
    )


def assert_placeless(made: bytes) -> None:
    assert not names_a_place(made)
    image = opened(made)
    assert not image.getexif().get_ifd(GPS_INFO)
    embedded = of_pillow(image.info)
    assert not embedded.xmp or not read_xmp(embedded.xmp)
    assert embedded.iptc == b""


@pytest.mark.parametrize("name", SEGMENTS)
def test_no_place_is_left_wherever_it_stood(name: str) -> None:
    bare = encoded(picture(64, 48))
    data = bare[:2] + SEGMENTS[name] + bare[2:]
    made = through(data)
    assert len(made) == len(data)
    assert names_a_place(data)
    assert_placeless(made)
    assert opened(made).tobytes() == opened(bare).tobytes()
    assert made[2 + len(SEGMENTS[name]) :] == bare[2:]
    if name.startswith("EXIF"):
        orientation = opened(data.replace(b"Exif\0\xff", b"Exif\0\0")).getexif()[0x0112]
        assert opened(made.replace(b"Exif\0\xff", b"Exif\0\0")).getexif()[0x0112] == orientation == 6
    for most in (1, 3, 50):
        assert through(data, most=most, seed=most) == made


@pytest.mark.parametrize("kind", [0x42, 0xC8, 0xF0, 0xFD])
def test_no_place_is_left_in_what_no_decoder_reads(kind: int) -> None:
    bare = encoded(picture(64, 48))
    for whole in (segment(kind, b"48,51.4933N!"), segment(0xE2, b"MPF\0" + bytes(1020) + b"48,51.4933N!")):
        made = through(bare[:2] + whole + bare[2:])
        assert made == bare[:2] + whole[:-12] + bytes(12) + bare[2:]
        assert not names_a_place(through(bare[:-2] + whole[:-1])), "cut short"


def test_a_film_behind_the_picture_becomes_zeros_even_with_the_sign_of_a_picture_in_it() -> None:
    data = photo(64, 48)
    for most in (1, 7, 10_000):
        assert through(data + FILM, most=most) == through(data) + bytes(len(FILM))


def test_a_film_becomes_zeros_where_the_end_of_the_picture_is_missing() -> None:
    data = through(photo(64, 48)).removesuffix(b"\xff\xd9")
    for most in (1, 3, 8, 10_000):
        assert through(data + FILM, most=most) == data + bytes(len(FILM))


def test_bytes_that_stand_between_segments_become_zeros() -> None:
    bare = encoded(picture(64, 48))
    junk = b"\0\x0048,51.4933N"
    for most in (1, 5, 10_000):
        assert through(bare[:2] + junk + bare[2:], most=most) == bare[:2] + bytes(len(junk)) + bare[2:]


def test_profile_of_colours_and_what_tells_how_to_read_them_stay() -> None:
    kept = [(0xE2, b"ICC_PROFILE\0\1\1x"), (0xE2, b"MPF\0x"), (0xEE, b"Adobe\0\x64\0\0\0\0\1")]
    data = encoded(picture(64, 48))
    data = data[:2] + b"".join(segment(kind, body) for kind, body in kept) + data[2:]
    assert through(data) == data


def test_of_a_gain_map_the_numbers_stay_and_nothing_beside_them() -> None:
    numbers = {"GainMapMax": "3.5", "HDRCapacityMax": "3.5", "Gamma": "1"}
    lists = "<hdrgm:GainMapMin><rdf:Seq><rdf:li>-0.1</rdf:li><rdf:li>0</rdf:li></rdf:Seq></hdrgm:GainMapMin>"
    beside = (
        '<photoshop:City xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">Paris</photoshop:City>'
        + " " * 400
    )
    data = ultra_hdr(photo(64, 48), gain_map(16, 12, hdrgm(numbers, lists + beside)))
    made = through(data)
    assert len(made) == len(data)
    assert b"Paris" not in made
    found = read_xmp(made[made.rindex(XMP) + len(XMP) : made.rindex(b"</x:xmpmeta>") + 12], _CALLED)
    assert {name: found[name] for name in numbers} == {name: [value] for name, value in numbers.items()}
    assert found["GainMapMin"] == ["-0.1", "0"]
    for most in (1, 777):
        assert through(data, most=most) == made


def test_a_second_picture_behind_the_end_loses_its_place_too() -> None:
    data = photo(64, 48) + bytes(10) + photo(32, 24, seed=2)
    made = through(data, most=50)
    assert len(made) == len(data)
    second = made[len(photo(64, 48)) + 10 :]
    assert not opened(second).getexif().get_ifd(GPS_INFO)
    assert opened(second).getexif()[0x010F] == "Tripod Works"


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8" + b"\xff" * 100, encoded(picture(32, 24), progressive=True)]
)
def test_what_holds_no_place_comes_out_as_it_was(data: bytes) -> None:
    assert through(data, most=40) == data


@pytest.mark.parametrize(
    "data", [b"no picture at all", b"\xff\xd8\xff\xe1\0\0\xff\xe1\0\1", random.Random(3).randbytes(5000)]
)
def test_what_is_broken_keeps_its_length_however_it_is_cut(data: bytes) -> None:
    made = through(data, most=40)
    assert len(made) == len(data)
    assert through(data, most=1) == made


def test_exif_that_is_no_tiff_is_wiped_and_a_segment_cut_short_too() -> None:
    assert without_place(b"Exif\0\0SECRET 48.5") == b"Exif\0\0" + bytes(11)
    data = photo(64, 48)
    cut = data[: data.index(b"Exif") + 200]
    made = through(cut)
    assert len(made) == len(cut)
    assert b"Tripod" not in made


def test_a_directory_that_points_to_itself_is_walked_once_and_keeps_the_orientation() -> None:
    loop = tiff("<", [(0x8769, 4, 1, struct.pack("<I", 8)), (0x8825, 4, 1, struct.pack("<I", 8))])
    cleared = without_place(b"Exif\0\0" + loop)
    exif = Image.Exif()
    exif.load(cleared)
    assert dict(exif) == {0x0112: 6}


def test_hostile_blocks_cost_no_time() -> None:
    began = time.process_time()
    many = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 0xFFFF) + struct.pack("<HHII", 0x8825, 4, 1, 8) * 5_000
    assert len(without_place(many)) == len(many)
    wide = (
        b"Exif\0\0II*\0" + struct.pack("<IH", 8, 0xFFFF) + struct.pack("<HHII", 0x9286, 7, 60_000, 8) * 5_000
    )
    assert len(without_place(wide)) == len(wide)
    for endless in (b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xd9\0", b"\xff\xfe\0\2", b"\xff\0"):
        data = b"\xff\xd8" + endless * 50_000
        assert len(through(data, most=10**6)) == len(data)
    assert time.process_time() - began < 3
