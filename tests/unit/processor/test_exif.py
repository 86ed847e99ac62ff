import io
import math
from typing import Any

import msgspec
import pytest
from PIL import Image, TiffImagePlugin

from services.processor.steps.exif import read_fields, read_number, read_text
from services.processor.steps.gps import read_gps
from services.processor.steps.iptc import Iptc
from services.processor.steps.taken import taken_at
from tests.fixtures.pictures import encoded, photo, picture
from tests.unit.processor.conftest import Derive

Rational = TiffImagePlugin.IFDRational


def test_fields_of_a_camera_come_out_typed(derive: Derive) -> None:
    result = derive(photo(400, 300))
    assert result.exif == {
        "camera_make": "Tripod Works",
        "camera_model": "Model 3",
        "software": "firmware 1.0",
        "orientation": 1,
        "lens": "35mm f/2.8",
        "exposure_time": 0.004,
        "f_number": 2.8,
        "iso": 400,
        "focal_length": 35.0,
        "taken_at": "2024-05-17T14:03:22+02:00",
        "gps": {"latitude": 48.8582222, "longitude": -2.2945, "altitude": 35.5},
    }
    assert result.taken_at == "2024-05-17T14:03:22+02:00"


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("HEIF", "image/heic"),
        ("AVIF", "image/avif"),
    ],
)
def test_exif_is_found_in_every_format_that_holds_it(derive: Derive, kind: str, mime_type: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Tripod Works"
    exif.get_ifd(0x8769)[0x829D] = 2.8
    result = derive(encoded(picture(200, 150), kind, exif=exif.tobytes()), mime_type)
    assert result.exif["camera_make"] == "Tripod Works"
    assert result.exif["f_number"] == 2.8


def test_a_picture_without_exif_has_no_fields(derive: Derive) -> None:
    result = derive(encoded(picture(200, 150)))
    assert (result.exif, result.taken_at, result.warnings) == ({}, None, ())


def test_broken_exif_costs_a_warning_and_not_the_picture(derive: Derive) -> None:
    result = derive(encoded(picture(200, 150), exif=b"Exif\0\0XX\x2a\0\xff\xff\xff\xff"))
    assert result.exif == {}
    assert result.warnings == ("The EXIF data could not be read: SyntaxError",)
    assert len(result.variants) == 6


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Canon\0garbage", "Canon"),
        ("  two \t\r\n words ", "two words"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\u202egnp.exe", "gnp.exe"),
        ("x" * 5000, "x" * 255),
        ("Zo\u00c3\u00ab", "Zoë"),
        ("Zo\u00eb", "Zoë"),
        (b"bytes\0", "bytes"),
        ("\0\0", None),
        ("   ", None),
        (17, None),
        (None, None),
    ],
)
def test_text_of_a_camera_is_made_safe(raw: Any, clean: str | None) -> None:
    assert read_text(raw) == clean


@pytest.mark.parametrize(
    "raw", [math.nan, math.inf, -math.inf, Rational(0, 0), Rational(1, 0), (), "x", None, 1e300, b"\1"]
)
def test_what_is_no_finite_number_is_left_out(raw: Any) -> None:
    assert read_number(raw) is None


def test_numbers_that_cannot_be_are_left_out() -> None:
    camera = {0x829A: Rational(0, 1), 0x829D: Rational(-1, 1), 0x8827: (0, 0), 0x920A: Rational(0, 0)}
    assert read_fields({0x0112: 99}, camera) == {}


def test_the_first_of_several_iso_values_counts() -> None:
    assert read_fields({}, {0x8827: (200, 0)}) == {"iso": 200}


@pytest.mark.parametrize(
    ("camera", "moment"),
    [
        ({0x9003: "2008:10:22 16:28:39"}, "2008-10-22T16:28:39"),
        ({0x9003: "2008:10:22 16:28:39", 0x9011: "-05:30"}, "2008-10-22T16:28:39-05:30"),
        ({0x9003: "2008:10:22 16:28:39", 0x9011: "nonsense"}, "2008-10-22T16:28:39"),
        ({0x9003: "0000:00:00 00:00:00", 0x9004: "2001:01:02 03:04:05"}, "2001-01-02T03:04:05"),
        ({0x9003: "    :  :     :  :  "}, None),
        ({0x9003: "2008-10-22"}, None),
        ({}, None),
    ],
)
def test_the_time_is_iso_8601_with_an_offset_only_when_known(
    camera: dict[int, Any], moment: str | None
) -> None:
    assert taken_at(camera, {}, Iptc()) == moment


def place(latitude: Any, longitude: Any, north: Any = "N", east: Any = "E", **more: Any) -> dict[int, Any]:
    return {1: north, 2: latitude, 3: east, 4: longitude} | {int(k[1:]): v for k, v in more.items()}


def test_the_time_of_the_satellites_is_utc_or_absent() -> None:
    here = place((1, 0, 0), (2, 0, 0))
    assert read_gps({**here, 29: "2008:10:23", 7: (14, 27, 7.24)})["time"] == "2008-10-23T14:27:07Z"
    for date, clock in (
        ("2008:13:01", (1, 2, 3)),
        (None, (1, 2, 3)),
        ("2008:10:23", (25, 0, 0)),
        ("x", None),
    ):
        assert "time" not in read_gps({**here, 29: date, 7: clock})


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (place((43, 28, 2.814), (11, 53, 6.456)), {"latitude": 43.4674483, "longitude": 11.8851267}),
        (place((33, 30, 0), (70, 0, 0), "S", "W"), {"latitude": -33.5, "longitude": -70.0}),
        (place((1.5,), (2.25,)), {"latitude": 1.5, "longitude": 2.25}),
        (
            place((1, 0, 0), (2, 0, 0), t5=b"\1", t6=12.5),
            {"latitude": 1.0, "longitude": 2.0, "altitude": -12.5},
        ),
        (place((1, 0, 0), (2, 0, 0), t6=Rational(0, 0)), {"latitude": 1.0, "longitude": 2.0}),
        (place((91, 0, 0), (2, 0, 0)), {}),
        (place((1, 0, 0), (181, 0, 0)), {}),
        (place((Rational(0, 0), 0, 0), (2, 0, 0)), {}),
        (place((1, 0, -3), (2, 0, 0)), {}),
        (place("43.5", (2, 0, 0)), {}),
        (place((1, 0, 0), None), {}),
        ({}, {}),
    ],
)
def test_positions_are_decimal_degrees_or_absent(tags: dict[int, Any], found: dict[str, float | str]) -> None:
    assert read_gps(tags) == found


def test_everything_found_can_be_written_as_json(derive: Derive) -> None:
    exif = Image.Exif()
    exif[0x010F] = "\0\1\2" + "é" * 300
    camera = exif.get_ifd(0x8769)
    camera[0x829A], camera[0x829D] = Rational(1, 0), Rational(28, 10)
    out = io.BytesIO()
    picture(64, 64).save(out, "JPEG", exif=exif.tobytes())
    result = derive(out.getvalue())
    assert b"NaN" not in msgspec.json.encode(result.exif)
    assert msgspec.json.decode(msgspec.json.encode(result.exif)) == {"f_number": 2.8}
