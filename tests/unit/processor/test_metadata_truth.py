"""Our reading of metadata beside exiftool's, for originals of many cameras and editors.

Needs exiftool (Debian: libimage-exiftool-perl) and the corpus; neither is part of the project.
"""

import io
import json
import math
import os
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from PIL import Image

from services.processor.failures import JobFailed
from services.processor.steps.described import BOILERPLATE
from shared.recipes import Recipe
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.recipes import STANDARD
from tests.unit.processor.conftest import Derive

PROJECT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("TRIPOD_CORPUS", PROJECT.parent / "shared" / "corpus"))
FOLDERS = (CORPUS / "images" / "exif", CORPUS / "images" / "orientation")
TYPES = {"image/jpeg", "image/tiff", "image/heic", "image/heif", "image/png", "image/webp"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not FOLDERS[0].is_dir(), reason=f"there is no corpus at {CORPUS}"),
    pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed"),
]

Truth = dict[str, Any]


class Written(float):
    """A number as exiftool wrote it: a version "1.00" is a text that only looks like one."""

    def __new__(cls, digits: str) -> Self:
        found = super().__new__(cls, digits)
        found.digits = digits
        return found

    digits: str

    def __str__(self) -> str:
        return self.digits


@cache
def truths() -> dict[Path, Truth]:
    """What exiftool says, by file: numbers raw, each tag with its place, and the MWG's own view beside it."""
    said = subprocess.run(
        ["exiftool", "-json", "-n", "-G1", "-a", "-struct", "-use", "MWG", *map(str, FOLDERS)],
        capture_output=True,
        check=False,  # it exits with 1 where a single file is odd
    ).stdout
    return {Path(found["SourceFile"]): found for found in json.loads(said, parse_float=Written)}


def text(*names: str) -> Callable[[Truth], Any]:
    def read(truth: Truth) -> str | None:
        told = [shown(truth[name]) for name in names if name in truth]
        return next((one for one in told if one), None)

    return read


def shown(value: Any) -> str:
    """A text as we would show it. JSON has lost the NULs; invalid bytes are question marks there."""
    printable = (c if unicodedata.category(c)[0] != "C" else " " for c in str(value))
    return unicodedata.normalize("NFC", " ".join("".join(printable).split())[:255].strip())


def caption(truth: Truth) -> str | None:
    told = truth.get("IFD0:ImageDescription")
    if told is not None and shown(told).lower() in BOILERPLATE | {""}:
        told = truth.get("XMP-dc:Description") or truth.get("IPTC:Caption-Abstract")
    else:
        told = truth.get("MWG:Description")
    if isinstance(told, dict):
        told = told.get("x-default") or next(iter(told.values()))
    return " ".join(str(told).split()) or None if told is not None else None


def joined(name: str) -> Callable[[Truth], Any]:
    def read(truth: Truth) -> Any:
        value = truth.get(name)
        if isinstance(value, dict):
            value = value.get("x-default") or next(iter(value.values()))
        return shown("; ".join(map(str, value)) if isinstance(value, list) else value or "") or None

    return read


def keywords(truth: Truth) -> Any:
    value = truth.get("MWG:Keywords")
    told = [shown(one)[:64] for one in (value if isinstance(value, list) else [value] if value else [])]
    return list(dict.fromkeys(one for one in told if one)) or None


def number(name: str, *, least: float = -math.inf, whole: bool = False) -> Callable[[Truth], Any]:
    def read(truth: Truth) -> float | None:
        value = truth.get(name)
        if isinstance(value, str):
            value = value.split()[0] if value.split() else None
        try:
            found = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
        if not math.isfinite(found) or found <= least:
            return None
        return int(found) if whole else found

    return read


def flash(truth: Truth) -> bool | None:
    value = truth.get("ExifIFD:Flash")
    return bool(value & 1) if isinstance(value, int) else None


def moment(truth: Truth) -> str | None:
    names = (
        "MWG:DateTimeOriginal",
        "XMP-exif:DateTimeOriginal",
        "Composite:SubSecCreateDate",
        "ExifIFD:CreateDate",
    )
    for name in names:
        found = re.fullmatch(
            r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d(?::\d\d)?)(\.\d+)?(Z|[+-]\d\d:\d\d)?", str(truth.get(name, ""))
        )
        if found and found[1] != "0000":
            year, month, day, time, fraction, offset = found.groups(default="")
            time += ":00" if time.count(":") == 1 else ""
            fraction = fraction[:7].rstrip("0.")
            return f"{year}-{month}-{day}T{time}{fraction}{offset.replace('Z', '+00:00')}"
    return None


def place(truth: Truth) -> tuple[float, float] | None:
    latitude, longitude = truth.get("Composite:GPSLatitude"), truth.get("Composite:GPSLongitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    return latitude, longitude


def height(truth: Truth) -> float | None:
    value = truth.get("Composite:GPSAltitude", truth.get("GPS:GPSAltitude"))
    return value if isinstance(value, int | float) and place(truth) else None


def satellite_time(truth: Truth) -> str | None:
    found = re.fullmatch(
        r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)(\.\d+)?Z", str(truth.get("Composite:GPSDateTime", ""))
    )
    return "{}-{}-{}T{}Z".format(*found.groups()) if found and place(truth) else None


FIELDS: dict[str, Callable[[Truth], Any]] = {
    "camera_make": text("IFD0:Make"),
    "camera_model": text("IFD0:Model"),
    "software": text("IFD0:Software", "XMP-xmp:CreatorTool"),
    "orientation": number("IFD0:Orientation", least=0, whole=True),
    "lens": text("ExifIFD:LensModel"),
    "exposure_time": number("ExifIFD:ExposureTime", least=0),
    "exposure_bias": number("ExifIFD:ExposureCompensation"),
    "f_number": number("ExifIFD:FNumber", least=0),
    "iso": number("ExifIFD:ISO", least=0, whole=True),
    "focal_length": number("ExifIFD:FocalLength", least=0),
    "focal_length_35mm": number("ExifIFD:FocalLengthIn35mmFormat", least=0, whole=True),
    "flash": flash,
    "title": joined("XMP-dc:Title"),
    "caption": caption,
    "keywords": keywords,
    "creator": joined("MWG:Creator"),
    "copyright": joined("MWG:Copyright"),
    "rating": number("XMP-xmp:Rating"),
    "icc_profile": text("ICC_Profile:ProfileDescription"),
    "taken_at": moment,
    "place": place,
    "altitude": height,
    "satellite_time": satellite_time,
}


def ours(exif: dict[str, Any]) -> dict[str, Any]:
    flat = dict(exif)
    gps = flat.pop("gps", None)
    if gps:
        flat["place"] = (gps["latitude"], gps["longitude"])
        flat["altitude"] = gps.get("altitude")
        flat["satellite_time"] = gps.get("time")
    if "caption" in flat:
        flat["caption"] = " ".join(flat["caption"].split())
    return flat


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)
    return bool(one == other)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_field_is_what_exiftool_reads(derive: Derive, folder: Path) -> None:
    nothing = Recipe(name="none", version=1, variants=())
    differences, compared, unreadable = [], 0, []
    for path, truth in truths().items():
        if path.parent != folder or truth["File:MIMEType"] not in TYPES:
            continue
        try:
            result = derive(path.read_bytes(), truth["File:MIMEType"], recipe=nothing)
        except JobFailed as error:
            unreadable.append(f"{path.name}: {error.failure.code}")
            continue
        found = ours(result.exif)
        for name, read in FIELDS.items():
            expected = read(truth)
            compared += expected is not None
            if not same(found.get(name), expected):
                differences.append(f"{path.name}: {name} is {found.get(name)!r}, exiftool has {expected!r}")
    assert (differences, unreadable) == ([], [])
    assert compared > (600 if folder.name == "exif" else 15)


WRITTEN = {
    "EXIF:Make": "Tripod Works",
    "EXIF:DateTimeOriginal": "2024:05:17 14:03:22",
    "EXIF:SubSecTimeOriginal": "250",
    "EXIF:OffsetTimeOriginal": "+02:00",
    "EXIF:GPSLatitude": "48.8582222",
    "EXIF:GPSLatitudeRef": "N",
    "EXIF:GPSLongitude": "2.2945",
    "EXIF:GPSLongitudeRef": "W",
    "XMP-dc:Title": "Über allen Gipfeln",
    "XMP-dc:Description": "Zwei Zeilen, 东京",
    "XMP-dc:Subject": "eins",
    "XMP-dc:Creator": "Ada",
    "XMP-dc:Rights": "© Ada",
    "XMP-xmp:Rating": "4",
}


@pytest.mark.parametrize(
    ("kind", "suffix", "mime_type"),
    [
        ("JPEG", "jpg", "image/jpeg"),
        ("PNG", "png", "image/png"),
        ("WEBP", "webp", "image/webp"),
        ("TIFF", "tif", "image/tiff"),
        ("HEIF", "heic", "image/heic"),
        ("AVIF", "avif", "image/avif"),
    ],
)
def test_what_exiftool_writes_into_any_format_is_read(
    derive: Derive, tmp_path: Path, kind: str, suffix: str, mime_type: str
) -> None:
    file = tmp_path / f"picture.{suffix}"
    file.write_bytes(encoded(picture(120, 80), kind))
    asked = [f"-{name}={value}" for name, value in WRITTEN.items()]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *asked, str(file)], check=True)
    assert derive(file.read_bytes(), mime_type).exif | {"orientation": 1} == {
        "camera_make": "Tripod Works",
        "orientation": 1,
        "title": "Über allen Gipfeln",
        "caption": "Zwei Zeilen, 东京",
        "keywords": ["eins"],
        "creator": "Ada",
        "copyright": "© Ada",
        "rating": 4,
        "taken_at": "2024-05-17T14:03:22.25+02:00",
        "gps": {"latitude": 48.8582222, "longitude": -2.2945},
    }


def test_iptc_counts_before_xmp_only_when_it_was_changed_last(derive: Derive, tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(encoded(picture(120, 80)))

    def write(*asked: str) -> dict[str, Any]:
        subprocess.run(["exiftool", "-q", "-overwrite_original", *asked, str(file)], check=True)
        return derive(file.read_bytes()).exif

    both = write(
        "-XMP-dc:Title=new", "-IPTC:ObjectName=old", "-IPTC:Keywords=ja", "-Photoshop:IPTCDigest=new"
    )
    assert (both["title"], both["keywords"]) == ("new", ["ja"])
    changed = write("-XMP-dc:Title=older", "-Photoshop:IPTCDigest=00112233445566778899aabbccddeeff")
    assert changed["title"] == "old"


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_all_orientations_of_the_corpus_come_out_as_the_same_picture(derive: Derive, shape: str) -> None:
    def upright(orientation: int) -> Image.Image:
        result = derive((FOLDERS[1] / f"{shape}_{orientation}.jpg").read_bytes(), recipe=STANDARD)
        assert (result.width > result.height) == (shape == "Landscape")
        (small,) = (made.body for made in result.variants if made.name == "small")
        return Image.open(io.BytesIO(small)).convert("RGB")

    expected = np.asarray(upright(1), float)
    for orientation in range(2, 9):
        found = np.asarray(upright(orientation), float)
        # Each file has its number painted into it, and was compressed by itself.
        assert np.abs(found - expected).mean() < 6, orientation
        for turn in (np.rot90(found, 2), found[::-1], found[:, ::-1]):
            assert np.abs(turn - expected).mean() > 20
