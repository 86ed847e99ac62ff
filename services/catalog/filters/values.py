"""Values of filters: of the type of their field, within what the database can hold."""

import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.catalog.filters.fields import Field, Kind, Operator
from shared.ids import parse_ref

MOST_VALUES = 200
MOST_CHARACTERS = 1000
METRES = (1, 20_000_000)
_MOST_WHOLE = 2**63 - 1
_LOCAL_TIME = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?", re.ASCII)


class Box(msgspec.Struct, frozen=True):
    """Degrees. `west` above `east` is a box over the 180th meridian."""

    south: float
    west: float
    north: float
    east: float


class Circle(msgspec.Struct, frozen=True):
    """Degrees, and metres along the earth."""

    latitude: float
    longitude: float
    radius: float


def read_value(field: Field, operator: Operator, said: Any) -> Any:
    """The value as its field and operator want it. Raises ValueError with what is allowed, as the end of a sentence."""
    if operator == "is_null":
        return _flag(said)
    one = _reader(field)
    if operator in {"in", "nin"}:
        return _several(one, said, 1, MOST_VALUES)
    if operator == "between":
        return _several(one, said, 2, 2)
    if field.kind == "tags":
        return (_text(said),) if isinstance(said, str) else _several(_text, said, 1, MOST_VALUES)
    return one(said)


def _reader(field: Field) -> Callable[[Any], Any]:
    return _choice(field.choices) if field.kind == "choice" else _READERS[field.kind]


def _several(one: Callable[[Any], Any], said: Any, least: int, most: int) -> tuple[Any, ...]:
    if not isinstance(said, list) or not least <= len(said) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"takes a list of {wanted} values")
    return tuple(one(value) for value in said)


def _text(said: Any) -> str:
    if not isinstance(said, str) or len(said) > MOST_CHARACTERS or "\0" in said or not _whole_text(said):
        raise ValueError(f"takes a text of at most {MOST_CHARACTERS} characters, without NUL")
    return said


def _whole_text(said: str) -> bool:
    """JSON can name halves of a character, which no database keeps."""
    return not any("\ud800" <= character <= "\udfff" for character in said)


def _choice(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def read(said: Any) -> str:
        if said not in choices:
            raise ValueError(f"takes {', '.join(choices)}")
        return str(said)

    return read


def _whole(said: Any) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or abs(said) > _MOST_WHOLE:
        raise ValueError("takes a whole number of at most 63 bits")
    return said


def _number(said: Any) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not _finite(said):
        raise ValueError("takes a finite number")
    return float(said)


def _finite(said: float) -> bool:
    try:
        return math.isfinite(float(said))
    except OverflowError:
        return False


def _flag(said: Any) -> bool:
    if not isinstance(said, bool):
        raise ValueError("takes true or false")  # noqa: TRY004 -- all faults of values are told alike
    return said


def _id(said: Any) -> uuid.UUID:
    found = parse_ref(said) if isinstance(said, str) else None
    if found is None:
        raise ValueError("takes a UUID or MED-...")
    return found


def _moment(said: Any) -> datetime:
    try:
        found = msgspec.convert(said, datetime) if isinstance(said, str) else None
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("takes a time with its zone, as 2026-01-31T12:00:00Z")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError("takes a time of the years 1 to 9999 in UTC") from None


def _local_time(said: Any) -> str:
    if not isinstance(said, str) or not _LOCAL_TIME.fullmatch(said):
        raise ValueError("takes a time without a zone, or its beginning, as 2026-01-31T12:00:00 or 2026-01")
    return said.replace(" ", "T")


def _object(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict) or not said:
        raise ValueError("takes an object with the members that must be there")
    if len(msgspec.json.encode(said).decode(errors="replace")) > MOST_CHARACTERS or _has_nul(said):
        raise ValueError(f"takes an object of at most {MOST_CHARACTERS} characters as JSON, without NUL")
    return said


def _has_nul(said: Any) -> bool:
    """Whether a name or a text within is one that no database keeps."""
    if isinstance(said, Mapping):
        return any(_has_nul(part) for pair in said.items() for part in pair)
    if isinstance(said, list):
        return any(map(_has_nul, said))
    return isinstance(said, str) and "\0" in said


def _place(said: Any) -> Box | Circle:
    wanted = (
        'takes {"box": [south, west, north, east]} or {"near": [latitude, longitude], "radius": metres}, in degrees '
        f"and {METRES[0]} to {METRES[1]} metres"
    )
    try:
        if isinstance(said, dict) and set(said) == {"box"}:
            box = Box(*_several(_number, said["box"], 4, 4))
            corners = (box.south, box.west), (box.north, box.east)
            if box.south <= box.north and all(map(_on_earth, corners)):
                return box
        if isinstance(said, dict) and set(said) == {"near", "radius"}:
            latitude, longitude = _several(_number, said["near"], 2, 2)
            radius = _number(said["radius"])
            if _on_earth((latitude, longitude)) and METRES[0] <= radius <= METRES[1]:
                return Circle(latitude, longitude, radius)
    except ValueError:
        pass
    raise ValueError(wanted)


def _on_earth(point: tuple[float, float]) -> bool:
    return abs(point[0]) <= 90 and abs(point[1]) <= 180


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "word": _text,
    "text": _text,
    "whole": _whole,
    "number": _number,
    "moment": _moment,
    "local_time": _local_time,
    "flag": _flag,
    "id": _id,
    "tags": _text,
    "object": _object,
    "place": _place,
}
