"""What a document of the old kind tells of itself (MS-OLEPS): the values of a property set by their numbers."""

import codecs
import struct

_NUMBER = struct.Struct("<L")
_PAIR = struct.Struct("<2L")
_SECTION_AT = 44  # where it is said where the first section begins
_CODE_PAGE, _NARROW, _WIDE, _SHORT, _LONG = 1, 30, 31, 2, 3
_UTF16 = 1200
_MOST_VALUES = 256


def values(data: bytes) -> dict[int, str | int]:
    """Texts and whole numbers of the first section; nothing of what is damaged."""
    found: dict[int, str | int] = {}
    try:
        (begin,) = _NUMBER.unpack_from(data, _SECTION_AT)
        _, count = _PAIR.unpack_from(data, begin)
        places = [
            _PAIR.unpack_from(data, begin + 8 * number) for number in range(1, min(count, _MOST_VALUES) + 1)
        ]
    except struct.error:
        return found
    encoding = _encoding(
        next((_value(data, begin + at, "") for kind, at in places if kind == _CODE_PAGE), None)
    )
    for kind, at in places:
        value = _value(data, begin + at, encoding)
        if value is not None:
            found[kind] = value
    return found


def _encoding(page: str | int | None) -> str:
    """Of narrow texts, by the number that Windows has for it."""
    number = page & 0xFFFF if isinstance(page, int) else 1252
    name = {_UTF16: "utf-16-le", 65001: "utf-8", 10000: "mac-roman"}.get(number, f"cp{number}")
    try:
        codecs.lookup(name)
    except LookupError:
        return "cp1252"
    return name


def _value(data: bytes, at: int, encoding: str) -> str | int | None:
    try:
        kind, first = _PAIR.unpack_from(data, at)
    except struct.error:
        return None
    if kind & 0xFFFF in {_SHORT, _LONG}:
        return int(first) & (0xFFFF if kind & 0xFFFF == _SHORT else 0xFFFFFFFF)
    if kind & 0xFFFF not in {_NARROW, _WIDE} or not encoding:
        return None
    is_wide = kind & 0xFFFF == _WIDE
    raw = data[at + 8 : at + 8 + first * (2 if is_wide else 1)]
    return raw.decode("utf-16-le" if is_wide else encoding, "replace").split("\0")[0]
