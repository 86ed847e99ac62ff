"""The name under which a file is shown: the client's, without what could do harm."""

import unicodedata

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


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        return _cut(name, MAX_BYTES)
    tail = dot + extension
    return _cut(stem, MAX_BYTES - len(tail.encode())) + tail


def _cut(text: str, limit: int) -> str:
    """The longest start of `text` within `limit` bytes that ends between characters."""
    return text.encode()[:limit].decode(errors="ignore").rstrip()
