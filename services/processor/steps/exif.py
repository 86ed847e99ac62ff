"""Step 5: what camera and people wrote into the file, as typed and bounded fields. All of it is hostile text until it
was here."""

import math
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeAlias, cast

from PIL import Image as PillowImage

from services.processor.clean_text import decoded, exif_bytes, line
from services.processor.embedded import MOST_BYTES
from services.processor.steps.described import described
from services.processor.steps.gps import read_gps, read_gps_of_xmp
from services.processor.steps.icc import profile_name
from services.processor.steps.iptc import read_iptc
from services.processor.steps.taken import taken_at
from services.processor.steps.xmp import Texts, UnreadableXmp, read_xmp
from services.processor.work import Work

_EXIF_IFD = 0x8769
_GPS_IFD = 0x8825
# Of a profile only its name is read here; its colours are applied, however long it is.
_NAMES = {"exif": "EXIF data", "xmp": "XMP data", "iptc": "IPTC data", "icc": "name of the colour profile"}
_Tags: TypeAlias = dict[int, Any]


def exif(work: Work) -> None:
    """Fill in `exif` and `taken_at`. Metadata nobody can read costs a warning, never the picture."""
    work.warnings += [
        f"The {_NAMES[name]} could not be read: it lies in more than {MOST_BYTES // 2**20} MiB."
        for name in work.embedded.too_long
    ]
    main, camera, gps_tags = _tags(work)
    xmp = _xmp(work)
    iptc = read_iptc(work.embedded.iptc)
    work.taken_at = taken_at(camera, xmp, iptc)
    found: dict[str, Any] = read_fields(main, camera)
    found |= described(main, xmp, iptc)
    found |= {
        "software": found.get("software") or line("".join(xmp.get("software", ())[:1])),
        "icc_profile": profile_name(work.embedded.icc),
        "gps": read_gps(gps_tags) or read_gps_of_xmp(xmp) or None,
        "taken_at": work.taken_at,
    }
    work.exif = {name: value for name, value in found.items() if value is not None}


def _xmp(work: Work) -> Texts:
    try:
        return read_xmp(work.embedded.xmp) if work.embedded.xmp else {}
    except UnreadableXmp as error:
        work.warnings.append(f"The XMP data could not be read: {error}")
        return {}


def _tags(work: Work) -> tuple[_Tags, _Tags, _Tags]:
    try:
        return _read_tags(work)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen kinds for hostile EXIF; none may cost the picture
        work.warnings.append(f"The EXIF data could not be read: {type(error).__name__}")
        return {}, {}, {}


def _read_tags(work: Work) -> tuple[_Tags, _Tags, _Tags]:
    """IFD0, the Exif IFD and the GPS IFD. TIFF files are their own; others carry a block that decode has found."""
    if work.job.mime_type == "image/tiff":
        work.view.seek(0)
        with PillowImage.open(cast("IO[bytes]", work.view), formats=["TIFF"]) as picture:
            return _all_tags(picture.getexif())
    exif = PillowImage.Exif()
    if work.embedded.exif:
        exif.load(work.embedded.exif)
    return _all_tags(exif)


def _all_tags(exif: PillowImage.Exif) -> tuple[_Tags, _Tags, _Tags]:
    return dict(exif), dict(exif.get_ifd(_EXIF_IFD)), dict(exif.get_ifd(_GPS_IFD))


def read_fields(main: Mapping[int, Any], camera: Mapping[int, Any]) -> dict[str, Any]:
    """The fields that are there and make sense; `main` is IFD0, `camera` the Exif IFD."""
    found: dict[str, Any] = {}
    for name, tags, tag, read in _FIELDS(main, camera):
        value = read(tags[tag]) if tag in tags else None
        if value is not None:
            found[name] = value
    return found


def read_text(value: Any) -> str | None:
    """One line of at most 255 characters, without control characters; None when nothing is left."""
    return line(decoded(exif_bytes(value).split(b"\0", 1)[0]))


def read_number(value: Any) -> float | None:
    """A finite number of at most 6 decimals; the first where there are several."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return round(number, 6) if math.isfinite(number) and abs(number) < 1e9 else None


def read_positive(value: Any) -> float | None:
    number = read_number(value)
    return number if number is not None and number > 0 else None


def read_whole(value: Any) -> int | None:
    number = read_positive(value)
    return int(number) if number is not None else None


def read_orientation(value: Any) -> int | None:
    number = read_whole(value)
    return number if number in range(1, 9) else None


def read_flash(value: Any) -> bool | None:
    """Whether it fired: the lowest bit."""
    number = read_number(value)
    return bool(int(number) & 1) if number is not None else None


_Row = tuple[str, Mapping[int, Any], int, Callable[[Any], Any]]


def _FIELDS(main: Mapping[int, Any], camera: Mapping[int, Any]) -> tuple[_Row, ...]:  # noqa: N802 - a table
    return (
        ("camera_make", main, 0x010F, read_text),
        ("camera_model", main, 0x0110, read_text),
        ("software", main, 0x0131, read_text),
        ("orientation", main, 0x0112, read_orientation),
        ("lens", camera, 0xA434, read_text),
        ("exposure_time", camera, 0x829A, read_positive),
        ("f_number", camera, 0x829D, read_positive),
        ("iso", camera, 0x8827, read_whole),
        ("focal_length", camera, 0x920A, read_positive),
        ("focal_length_35mm", camera, 0xA405, read_whole),
        ("exposure_bias", camera, 0x9204, read_number),
        ("flash", camera, 0x9209, read_flash),
    )
