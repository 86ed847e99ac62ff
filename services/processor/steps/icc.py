"""The name of a colour profile (ICC.1:2022: a table of tags at byte 128, of which `desc` holds it)."""

import struct

from services.processor.clean_text import line

_MOST_TAGS = 100


def profile_name(profile: bytes) -> str | None:
    """As the profile calls itself, in English where it has several languages; None where it does not say."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for index in range(min(count, _MOST_TAGS)):
            signature, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            if signature == b"desc":
                return _text(profile[offset : offset + size])
    except (struct.error, UnicodeError):
        return None
    return None


def _text(tag: bytes) -> str | None:
    if tag[:4] == b"desc":  # version 2: ASCII, its length before it
        (length,) = struct.unpack_from(">I", tag, 8)
        return line(tag[12 : 12 + length].split(b"\0", 1)[0].decode("latin-1"))
    if tag[:4] == b"mluc":  # version 4: UTF-16 in several languages
        count, width = struct.unpack_from(">II", tag, 8)
        names = {}
        for index in range(min(count, _MOST_TAGS)):
            language, length, offset = struct.unpack_from(">2s2xII", tag, 16 + width * index)
            names[language] = tag[offset : offset + length].decode("utf-16-be", "replace").split("\0", 1)[0]
        return line(names.get(b"en") or next(iter(names.values()), ""))
    if tag[:4] == b"text":
        return line(tag[8:].split(b"\0", 1)[0].decode("latin-1"))
    return None
