"""What people wrote into a file: hostile text, hostile structures, and which of three records counts."""

import hashlib
import struct
from typing import Any

import msgspec
import pytest
from PIL import Image, ImageCms

from services.processor.clean_text import line, paragraph
from services.processor.embedded import MOST_BYTES
from services.processor.steps.described import described
from services.processor.steps.gps import read_gps_of_xmp
from services.processor.steps.icc import profile_name
from services.processor.steps.iptc import Iptc, read_iptc
from services.processor.steps.taken import taken_at
from services.processor.steps.xmp import UnreadableXmp, read_xmp
from shared.events.messages import MAX_EVENT_BYTES
from shared.recipes import Recipe
from tests.fixtures.colours import ADOBE_RGB
from tests.fixtures.pictures import encoded, picture
from tests.unit.processor.conftest import Derive

NOTHING = Recipe(name="none", version=1, variants=())


def xmp(inside: str = "", attributes: str = "", before: str = "") -> bytes:
    return (
        f"{before}<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:xmp='http://ns.adobe.com/xap/1.0/'"
        " xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/' xmlns:exif='http://ns.adobe.com/exif/1.0/'"
        f" xmlns:st='structure' {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def iptc(*texts: tuple[int, bytes], digest: bytes | None = None, utf8: bool = True) -> bytes:
    records = struct.pack(">BBBH", 0x1C, 1, 90, 3) + b"\x1b%G" if utf8 else b""
    for number, text in texts:
        records += struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text
    resources = [(0x0404, records)]
    if digest is not None:
        resources.append((0x0425, digest))
    return b"Photoshop 3.0\0" + b"".join(
        b"8BIM" + struct.pack(">HBxI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)
        for number, data in resources
    )


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\0b", "a b"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("\u2066x\u2069", "x"),
        ("a\ud800b", "a b"),
        ("\ue000\ufeff", None),
        ("e\u0301", "é"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("x" * 10**6, "x" * 255),
        ("\x1b]0;title\x07", "]0;title"),
    ],
)
def test_text_is_one_line_of_printable_characters(raw: str, clean: str | None) -> None:
    assert line(raw) == clean


def test_a_caption_keeps_its_lines_and_is_bounded() -> None:
    assert paragraph("one\r\n\r\n two \x07\rthree") == "one\n\ntwo\nthree"
    assert paragraph("\0\n \n") is None
    assert len(paragraph("word\n" * 10**5) or "") <= 2000


def test_xmp_is_read_from_elements_and_from_attributes() -> None:
    found = read_xmp(
        xmp(
            "<dc:title><rdf:Alt><rdf:li xml:lang='de'>Gipfel</rdf:li><rdf:li xml:lang='x-default'>Peaks</rdf:li>"
            "</rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>a</rdf:li><rdf:li>b &amp; c</rdf:li></rdf:Bag>"
            "</dc:subject><xmp:Rating>3</xmp:Rating>"
            "<st:part><rdf:Description><dc:creator>of a part</dc:creator></rdf:Description></st:part>",
            "photoshop:DateCreated='2020-02-29T12:00:00Z'",
        )
    )
    assert found == {
        "title": ["Peaks", "Gipfel"],
        "keywords": ["a", "b & c"],
        "rating": ["3"],
        "date": ["2020-02-29T12:00:00Z"],
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xmp_may_be_padded_and_in_another_encoding(encoding: str) -> None:
    packet = xmp("<dc:creator><rdf:Seq><rdf:li>Zoë</rdf:li></rdf:Seq></dc:creator>").decode()
    assert read_xmp(packet.encode(encoding) + (b"" if encoding == "utf-16" else b" \n\0\0")) == {
        "creator": ["Zoë"]
    }


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {one} '{f'&{other};' * 10}'>" for other, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "packet",
    [
        xmp("<dc:title>&i;</dc:title>", before=LAUGHS + "]>"),
        xmp("<dc:title>&x;</dc:title>", before="<!DOCTYPE x [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"),
        xmp("<dc:title>&nowhere;</dc:title>"),
        xmp("<st:a>" * 100 + "</st:a>" * 100),
        xmp("<st:a/>" * 30_000),
        xmp()[:-20],
        b"\xff" * 1000,
        b"<?xml version='1.0' encoding='rot13'?><x/>",
        b"",
    ],
    ids=["laughs", "file", "entity", "deep", "many", "cut short", "no XML", "encoding", "empty"],
)
def test_xmp_of_no_honest_program_is_refused(packet: bytes) -> None:
    with pytest.raises(UnreadableXmp):
        read_xmp(packet)


def test_many_and_endless_values_are_bounded() -> None:
    items = "".join(f"<rdf:li>{number} {'x' * 300}</rdf:li>" for number in range(5000))
    found = described({}, read_xmp(xmp(f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>")), Iptc())
    assert len(found["keywords"]) == 64
    assert max(map(len, found["keywords"])) == 64
    title = read_xmp(xmp(f"<dc:title>{'x' * 900_000}</dc:title>"))
    assert len(described({}, title, Iptc())["title"]) == 255


def test_broken_xmp_costs_a_warning_and_not_the_picture(derive: Derive) -> None:
    result = derive(encoded(picture(60, 40), xmp=xmp(before=LAUGHS + "]>")), recipe=NOTHING)
    assert result.exif == {}
    assert result.warnings == ("The XMP data could not be read: XMP with a document type is refused",)


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("HEIF", "image/heic")],
)
def test_xmp_is_found_in_every_format_that_holds_it(derive: Derive, kind: str, mime_type: str) -> None:
    packet = xmp("<dc:title><rdf:Alt><rdf:li>Gipfel</rdf:li></rdf:Alt></dc:title>")
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415 - only this format needs it

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = encoded(picture(60, 40), kind, pnginfo=info)
    else:
        data = encoded(picture(60, 40), kind, xmp=packet)
    assert derive(data, mime_type, recipe=NOTHING).exif == {"title": "Gipfel"}


def test_iptc_is_read_in_its_encoding() -> None:
    assert read_iptc(iptc((80, "Zoë".encode()), (25, b"a"), (25, b"b"))).texts == {
        "creator": ["Zoë"],
        "keywords": ["a", "b"],
    }
    assert read_iptc(iptc((80, b"Zo\xeb"), utf8=False)).first("creator") == "Zoë"
    bare = iptc((5, b"title"))[14 + 12 :]
    assert read_iptc(bare).first("title") == "title"


@pytest.mark.parametrize("cut", range(0, 90, 7))
def test_iptc_that_is_cut_short_ends_there(cut: int) -> None:
    whole = iptc((5, b"title"), (80, b"creator"), digest=bytes(16))
    assert read_iptc(whole[:cut]).texts.keys() <= {"title", "creator"}


def test_iptc_counts_before_xmp_only_when_it_was_changed_last() -> None:
    records = iptc((5, b"old"))
    digest = hashlib.md5(records[14 + 12 :], usedforsecurity=False).digest()
    newer = read_xmp(xmp("<dc:title>new</dc:title>"))
    for block, title in (
        (records, "new"),
        (iptc((5, b"old"), digest=digest), "new"),
        (iptc((5, b"old"), digest=bytes(16)), "old"),
    ):
        assert described({}, newer, read_iptc(block))["title"] == title
    assert described({}, {}, read_iptc(records))["title"] == "old"


def test_exif_counts_before_both_unless_a_camera_writes_it_into_every_picture() -> None:
    older = {"caption": ["of XMP"], "creator": ["Ada", "Zoë"], "copyright": ["© XMP"]}
    told = described({0x010E: "of EXIF", 0x013B: "Ada", 0x8298: "© Ada\0© Zoë"}, older, Iptc())
    assert told == {"caption": "of EXIF", "creator": "Ada", "copyright": "© Ada; © Zoë"}
    told = described({0x010E: "OLYMPUS DIGITAL CAMERA  ", 0x8298: " \0 "}, older, Iptc())
    assert told == {"caption": "of XMP", "creator": "Ada; Zoë", "copyright": "© XMP"}


@pytest.mark.parametrize(
    ("text", "stars"),
    [("3", 3), ("4.5", 4.5), ("-1", -1), ("0", 0), ("6", None), ("nan", None), ("", None), ("x", None)],
)
def test_a_rating_is_from_0_to_5_or_rejected(text: str, stars: float | None) -> None:
    assert described({}, {"rating": [text]}, Iptc()).get("rating") == stars


@pytest.mark.parametrize(
    ("camera", "edited", "moment"),
    [
        ({0x9003: "2024:05:17 14:03:22", 0x9291: "250"}, {}, "2024-05-17T14:03:22.25"),
        ({0x9003: "2024:05:17 14:03:22", 0x9291: "x"}, {}, "2024-05-17T14:03:22"),
        ({0x9003: "2024:02:31 14:03:22"}, {}, None),
        ({0x9004: "2024:05:17 14:03:22"}, {"date": ["1974-01-01T00:00:00Z"]}, "1974-01-01T00:00:00+00:00"),
        ({}, {"date": ["1974-01-01T00:00"]}, "1974-01-01T00:00:00"),
        ({}, {"date": ["1974"], "exif_date": ["1975-01-01T01:02:03.5+02:00"]}, "1975-01-01T01:02:03.5+02:00"),
        ({}, {"date": ["9" * 10**6]}, None),
    ],
)
def test_the_camera_tells_the_time_before_the_editor_and_the_scanner_last(
    camera: dict[int, Any], edited: dict[str, list[str]], moment: str | None
) -> None:
    assert taken_at(camera, edited, Iptc()) == moment


def test_iptc_tells_the_time_in_two_fields() -> None:
    told = Iptc(texts={"date": ["19740102"], "time": ["030405+0100"]})
    assert taken_at({}, {}, told) == "1974-01-02T03:04:05+01:00"
    assert taken_at({}, {}, Iptc(texts={"date": ["19740102"]})) is None


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("48,51.4933N", "2,17.67W", {"latitude": 48.8582217, "longitude": -2.2945}),
        ("33,30,0S", "70,0,0E", {"latitude": -33.5, "longitude": 70.0}),
        ("91,0N", "2,0E", {}),
        ("48,51N", "", {}),
        ("N", "E", {}),
        ("1,2,3,4N", "1,2E", {}),
    ],
)
def test_a_place_in_xmp_counts_where_exif_has_none(
    latitude: str, longitude: str, place: dict[str, float]
) -> None:
    assert read_gps_of_xmp({"latitude": [latitude], "longitude": [longitude]}) == place


def test_a_colour_profile_is_named() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile_name(profile) == "sRGB built-in"
    version_2 = b"desc\0\0\0\0" + struct.pack(">I", 10) + b"Adobe RGB\0"
    assert profile_name(with_tag(b"desc", version_2)) == "Adobe RGB"
    assert profile_name(with_tag(b"cprt", version_2)) is None


def with_tag(signature: bytes, tag: bytes) -> bytes:
    return bytes(128) + struct.pack(">I4sII", 1, signature, 144, len(tag)) + tag


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        bytes(500),
        b"\xff" * 500,
        with_tag(b"desc", b"desc\0\0\0\0\xff\xff\xff\xff"),
        with_tag(b"desc", b"mluc\0\0\0\0" + b"\xff" * 40),
        with_tag(b"desc", b"mluc"),
    ],
)
def test_a_broken_profile_has_no_name(profile: bytes) -> None:
    assert profile_name(profile) is None


def test_what_people_wrote_is_found_beside_the_camera(derive: Derive) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298], exif[0x4746] = "Tripod Works", "Ada", 4
    camera = exif.get_ifd(0x8769)
    camera[0x9209], camera[0xA405], camera[0x9204] = 25, 50, -0.5
    packet = xmp(
        "<dc:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></dc:subject>",
        "exif:GPSLatitude='1,30N' exif:GPSLongitude='2,15W'",
    )
    data = encoded(picture(60, 40), exif=exif.tobytes(), xmp=packet)
    assert derive(data, recipe=NOTHING).exif == {
        "camera_make": "Tripod Works",
        "copyright": "Ada",
        "exposure_bias": -0.5,
        "flash": True,
        "focal_length_35mm": 50,
        "gps": {"latitude": 1.5, "longitude": -2.25},
        "keywords": ["a"],
        "rating": 4,
    }


def test_the_longest_that_can_be_told_fits_into_an_event(derive: Derive) -> None:
    long = "\U0001f600" * 5000  # four bytes each
    items = "".join(f"<rdf:li>{chr(0x1F600 + number)}{long[:100]}</rdf:li>" for number in range(70))
    texts = "".join(
        f"<dc:{name}>{long}</dc:{name}>" for name in ("title", "description", "creator", "rights")
    )
    packet = xmp(f"{texts}<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>")
    found = derive(encoded(picture(60, 40), "WEBP", xmp=packet), "image/webp", recipe=NOTHING).exif
    assert len(found["caption"]) == 2000
    assert len(found["keywords"]) == 64
    assert len(msgspec.json.encode(found)) < MAX_EVENT_BYTES * 3 // 4


@pytest.mark.parametrize(("kind", "mime_type"), [("WEBP", "image/webp"), ("HEIF", "image/heic")])
def test_a_block_of_more_than_a_mebibyte_is_left_alone_and_told(
    derive: Derive, kind: str, mime_type: str
) -> None:
    long = xmp(f"<dc:title>{' ' * MOST_BYTES}Alps</dc:title>")
    result = derive(encoded(picture(64, 48), kind, xmp=long), mime_type, recipe=NOTHING)
    assert "title" not in result.exif
    assert result.warnings == ("The XMP data could not be read: it lies in more than 1 MiB.",)


def test_the_colours_of_a_long_profile_are_applied_and_only_its_name_is_not_told(derive: Derive) -> None:
    data = encoded(picture(64, 48), "WEBP", icc_profile=ADOBE_RGB.profile() + b"\0" * MOST_BYTES)
    result = derive(data, "image/webp", recipe=NOTHING)
    assert "icc_profile" not in result.exif
    assert result.warnings == (
        "The name of the colour profile could not be read: it lies in more than 1 MiB.",
    )
