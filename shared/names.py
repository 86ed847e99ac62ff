"""The name under which a file is shown: the client's, without what could do harm."""

import unicodedata

from shared.errors import Invalid

MAX_BYTES = 255
_JOINERS = {"\u200c", "\u200d"}  # zero-width, but part of emoji and of several scripts
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # control, bidi and format, surrogates, private, separators


def display_name(given: str | None) -> str:
    """The last component of a given name in NFC: no control, bidi or path characters, no leading dots, at most
    255 bytes of UTF-8 with the extension kept. `file` where nothing is left."""
    name = unicodedata.normalize("NFC", given or "")
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c in _JOINERS or unicodedata.category(c) not in _DROPPED)
    name = " ".join(name.split()).lstrip(". ").rstrip()
    return _shortened(name) or "file"


def check_name(given: str) -> str:
    """A name that somebody chose on purpose: spaces and NFC are put right, all else that `display_name` would
    change raises Invalid."""
    name = display_name(given)
    if name != " ".join(filter(None, unicodedata.normalize("NFC", given).split(" "))):
        raise Invalid(
            f"The filename {given[:80]!r} is not acceptable; allowed are 1 to {MAX_BYTES} bytes without control and "
            "invisible characters, slashes, direction marks and a leading dot.",
            field="filename",
        )
    return name


def extension(name: str) -> str:
    """What follows the last dot, in small letters; empty where a name has none."""
    stem, dot, found = name.rpartition(".")
    return found.lower() if dot and stem else ""


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, kind = name.rpartition(".")
    if not dot or len(kind.encode()) > 16:
        return _cut(name, MAX_BYTES)
    tail = dot + kind
    return _cut(stem, MAX_BYTES - len(tail.encode())) + tail


def _cut(text: str, limit: int) -> str:
    """The longest start of `text` within `limit` bytes that ends between characters."""
    return text.encode()[:limit].decode(errors="ignore").rstrip()
