"""Step 5: what the camera wrote, as typed and bounded fields. All of it is hostile text until it was here."""

import contextlib
import math
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import IO, Any, TypeAlias, cast

from PIL import Image as PillowImage

from services.processor.steps.gps import read_gps
from services.processor.work import Work

_EXIF_IFD = 0x8769
_GPS_IFD = 0x8825
_MOST_CHARACTERS = 255
_Tags: TypeAlias = dict[int, Any]


def exif(work: Work) -> None:
    """Fill in `exif` and `taken_at`. Metadata nobody can read costs a warning, never the picture."""
    try:
        main, camera, gps_tags = _read_tags(work)
        work.exif = read_fields(main, camera)
        gps = read_gps(gps_tags)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen kinds for hostile EXIF; none may cost the picture
        work.warnings.append(f"The EXIF data could not be read: {type(error).__name__}")
        return
    if gps:
        work.exif["gps"] = gps
    taken_at = read_time(camera)
    if taken_at:
        work.taken_at = work.exif["taken_at"] = taken_at


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
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    text = value.split("\0", 1)[0][: 4 * _MOST_CHARACTERS]
    with contextlib.suppress(UnicodeError):
        # Pillow reads EXIF text as Latin-1; cameras write UTF-8 as often.
        text = text.encode("latin-1").decode("utf-8")
    clean = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(clean.split())[:_MOST_CHARACTERS].strip() or None


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


def read_time(camera: Mapping[int, Any]) -> str | None:
    """When the picture was taken, ISO 8601, with an offset only where the camera wrote one."""
    for time_tag, offset_tag in ((0x9003, 0x9011), (0x9004, 0x9012)):
        text = read_text(camera.get(time_tag))
        if text is None:
            continue
        try:
            moment = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - the zone is unknown or follows
        except ValueError:
            continue
        return moment.isoformat() + _offset(read_text(camera.get(offset_tag)))
    return None


def _offset(text: str | None) -> str:
    try:
        return datetime.strptime(text or "", "%z").strftime("%z")[:3] + ":" + (text or "")[-2:]
    except ValueError:
        return ""


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
    )
