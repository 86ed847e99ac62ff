"""EXIF positions as decimal degrees (EXIF 2.32, 4.6.6)."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.processor.clean_text import exif_bytes
from services.processor.steps.xmp import Texts

_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE = range(1, 7)
_TIME, _DATE = 7, 29


def read_gps(tags: Mapping[int, Any]) -> dict[str, float | str]:
    """Latitude and longitude in degrees, north and east positive, both or neither; altitude in metres, and the time
    of the satellites, ISO 8601 in UTC."""
    latitude = _degrees(tags.get(_LATITUDE), tags.get(_LATITUDE_REF), negative="S", most=90)
    longitude = _degrees(tags.get(_LONGITUDE), tags.get(_LONGITUDE_REF), negative="W", most=180)
    if latitude is None or longitude is None:
        return {}
    found: dict[str, float | str] = {"latitude": latitude, "longitude": longitude}
    altitude = _number(tags.get(_ALTITUDE))
    if altitude is not None and abs(altitude) < 100_000:
        below = tags.get(_ALTITUDE_REF) in {1, b"\x01"}
        found["altitude"] = round(-altitude if below else altitude, 3)
    time = _time(tags.get(_DATE), tags.get(_TIME))
    return found | {"time": time} if time else found


def _time(date: Any, clock: Any) -> str | None:
    """To the second: what a receiver says behind it is not when the picture was taken."""
    parts = [_number(part) for part in clock] if isinstance(clock, tuple | list) else []
    day = re.fullmatch(r"(\d{4}):(\d\d):(\d\d)", exif_bytes(date).decode("latin-1").strip("\0 "))
    if day is None or len(parts) != 3 or None in parts:
        return None
    try:
        year, month, date_, hour, minute, second = map(int, (*day.groups(), *(part or 0 for part in parts)))
        moment = datetime(year, month, date_, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return moment.isoformat().replace("+00:00", "Z")


def read_gps_of_xmp(xmp: Texts) -> dict[str, float | str]:
    """The same from XMP, which editors write where there is no room for EXIF: `48,51.4933N` or `48,51,29.6N`."""
    latitude = _of_xmp("".join(xmp.get("latitude", ())[:1]), "NS", most=90)
    longitude = _of_xmp("".join(xmp.get("longitude", ())[:1]), "EW", most=180)
    if latitude is None or longitude is None:
        return {}
    return {"latitude": latitude, "longitude": longitude}


def _of_xmp(text: str, references: str, *, most: int) -> float | None:
    found = re.fullmatch(rf"\s*([0-9.,]{{1,40}})([{references}])\s*", text)
    if found is None:
        return None
    return _degrees(tuple(found[1].split(",")), found[2], negative=references[1], most=most)


def _degrees(value: Any, reference: Any, *, negative: str, most: int) -> float | None:
    """Degrees, minutes and seconds as one number; None where a part is missing, not a number or out of range."""
    if not isinstance(value, tuple | list) or not 1 <= len(value) <= 3:
        return None
    parts = [_number(part) for part in value]
    degrees = 0.0
    for part, unit in zip(parts, (1, 60, 3600), strict=False):
        if part is None or part < 0:
            return None
        degrees += part / unit
    if degrees > most:
        return None
    sign = -1 if str(reference or "").strip().upper().startswith(negative) else 1
    return round(sign * degrees, 7)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None
