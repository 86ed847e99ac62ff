"""Text that a stranger wrote into a file, made fit to be kept and shown: bounded, and of printable characters only."""

import unicodedata

LINE_CHARS = 255
PARAGRAPH_CHARS = 2000
# What joins emoji and Persian letters; of all invisible characters only these are kept.
_JOINERS = "\u200c\u200d"


def decoded(raw: bytes) -> str:
    """Bytes whose encoding nobody names: UTF-8 where they are that, else Windows-1252, which is never wrong."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def exif_bytes(value: object) -> bytes:
    """The bytes of a text that Pillow has read as Latin-1, whatever it was; none for what is no text."""
    if isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            return value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) else b""


def line(text: str, most: int = LINE_CHARS) -> str | None:
    """One line of at most `most` characters in NFC; no control, bidi, private or lone surrogate characters.

    None where nothing is left.
    """
    # Normalising may shorten a text but hardly; what is far beyond the limit is not worth the time.
    shown = unicodedata.normalize("NFC", text[: 4 * most])
    printable = "".join(c if _is_printable(c) else " " for c in shown)
    return " ".join(printable.split())[:most].strip(" " + _JOINERS) or None


def paragraph(text: str, most: int = PARAGRAPH_CHARS) -> str | None:
    """As `line`, but line breaks stay."""
    lines = text[: 4 * most].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    whole = "\n".join(line(part, most) or "" for part in lines)
    return whole.strip()[:most].strip() or None


def _is_printable(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" or character in _JOINERS
