"""When a picture was taken: ISO 8601, with a fraction and an offset only where the file has them."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.processor.clean_text import decoded, exif_bytes
from services.processor.steps.iptc import Iptc
from services.processor.steps.xmp import Texts

# The tags of a moment, its fraction of a second and its offset from UTC (EXIF 2.32, 4.6.5).
_ORIGINAL, _DIGITISED = (0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012)
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d)(?P<seconds>:\d\d)?(?:\.(?P<fraction>\d{1,9})\d*)?"
    r"(?P<offset>Z|[+-]\d\d:\d\d)?"
)


def taken_at(camera: Mapping[int, Any], xmp: Texts, iptc: Iptc) -> str | None:
    """The camera's word first, then the editor's, and when the picture was scanned or stored last.

    A date without a time of day is not told: it would have to be made up.
    """
    edited = [
        _of_iptc(iptc),
        *(_of_xmp(text) for name in ("date", "exif_date") for text in xmp.get(name, ())),
    ]
    if iptc.is_current:
        edited = [*edited[1:], edited[0]]
    told = (of_camera(camera, _ORIGINAL), *edited, of_camera(camera, _DIGITISED))
    return next((moment for moment in told if moment), None)


def of_camera(camera: Mapping[int, Any], tags: tuple[int, int, int] = _ORIGINAL) -> str | None:
    """A moment of the Exif IFD."""
    time, fraction, offset = (_text(camera.get(tag)) for tag in tags)
    if not re.match(r"\d{4}:\d\d:\d\d[ T]\d\d:\d\d:\d\d", time):
        return None
    fraction = "." + fraction if fraction.isdecimal() else ""
    return _of_xmp(time[:10].replace(":", "-") + "T" + time[11:19] + fraction + offset) or _of_xmp(
        time[:10].replace(":", "-") + "T" + time[11:19] + fraction
    )


def _text(value: Any) -> str:
    return decoded(exif_bytes(value).split(b"\0", 1)[0]).strip()


def _of_iptc(iptc: Iptc) -> str | None:
    date, time = iptc.first("date") or "", iptc.first("time") or ""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d) (\d\d)(\d\d)(\d\d)(?:([+-]\d\d)(\d\d))?", f"{date} {time}")
    if found is None:
        return None
    year, month, day, hour, minute, second, *offset = found.groups(default="")
    return _of_xmp(f"{year}-{month}-{day}T{hour}:{minute}:{second}" + ":".join(offset if any(offset) else ()))


def _of_xmp(text: str) -> str | None:
    found = _MOMENT.fullmatch(text.strip()[:64])
    if found is None:
        return None
    moment = f"{found['date']}T{found['time']}{found['seconds'] or ':00'}"
    offset = "+00:00" if found["offset"] == "Z" else found["offset"] or ""
    try:
        datetime.fromisoformat(moment + offset)
    except ValueError:  # the 31st of February, 25 o'clock
        return None
    fraction = (found["fraction"] or "")[:6].rstrip("0")
    return moment + (f".{fraction}" if fraction else "") + offset
