"""What people wrote about a picture: EXIF, XMP and IPTC made one, as the Metadata Working Group's guidelines 2.0 say.

EXIF where it has the field, then XMP; IPTC before XMP only where its digest tells that it was changed last.
"""

from collections.abc import Mapping
from typing import Any

from services.processor.clean_text import decoded, exif_bytes, line, paragraph
from services.processor.steps.iptc import Iptc
from services.processor.steps.xmp import Texts

_DESCRIPTION, _ARTIST, _COPYRIGHT, _RATING = 0x010E, 0x013B, 0x8298, 0x4746
_MOST_KEYWORDS = 64
_KEYWORD_CHARS = 64
# What cameras write into every picture says nothing about this one.
BOILERPLATE = frozenset(
    {
        "dcim",
        "digital camera",
        "exif jpeg",
        "exif_jpeg_picture",
        "jpeg",
        "konica minolta digital camera",
        "minolta digital camera",
        "olympus digital camera",
        "samsung",
        "sony dsc",
    }
)


def described(main: Mapping[int, Any], xmp: Texts, iptc: Iptc) -> dict[str, Any]:
    """`title`, `caption`, `keywords`, `creator`, `copyright` and `rating`, those that are there; `main` is IFD0."""
    found: dict[str, Any] = {
        "title": _line(_edited("title", xmp, iptc)),
        "caption": paragraph(exif_caption(main) or "\n".join(_edited("caption", xmp, iptc)[:1])),
        "keywords": _keywords(_edited("keywords", xmp, iptc)),
        "creator": line(_exif_text(main, _ARTIST) or "; ".join(_edited("creator", xmp, iptc))),
        "copyright": line(_copyright(main) or "".join(_edited("copyright", xmp, iptc)[:1])),
        "rating": _rating(xmp, main),
    }
    return {name: value for name, value in found.items() if value is not None and value != []}


def _edited(name: str, xmp: Texts, iptc: Iptc) -> list[str]:
    newer, older = xmp.get(name, []), iptc.texts.get(name, [])
    if not iptc.is_current:
        newer, older = older, newer
    return newer or older


def exif_caption(main: Mapping[int, Any]) -> str:
    text = _exif_text(main, _DESCRIPTION)
    return "" if text.strip().lower() in BOILERPLATE else text


def _exif_text(main: Mapping[int, Any], tag: int, *, part: int = 0) -> str:
    """The text of a tag; its `part` where NULs divide it."""
    parts = exif_bytes(main.get(tag)).split(b"\0")
    text = decoded(parts[part]) if part < len(parts) else ""
    return text if text.strip() else ""


def _copyright(main: Mapping[int, Any]) -> str:
    """The photographer's and the editor's, which a NUL divides (EXIF 2.32, 4.6.4)."""
    told = (_exif_text(main, _COPYRIGHT, part=part) for part in (0, 1))
    return "; ".join(text.strip() for text in told if text)


def _line(texts: list[str]) -> str | None:
    return line(texts[0]) if texts else None


def _keywords(texts: list[str]) -> list[str]:
    """Each once, in the order of the file."""
    clean = (line(text, _KEYWORD_CHARS) for text in texts)
    return list(dict.fromkeys(text for text in clean if text))[:_MOST_KEYWORDS]


def _rating(xmp: Texts, main: Mapping[int, Any]) -> float | None:
    """Stars from 0 to 5; -1 is what was rejected."""
    told: Any = next(iter(xmp.get("rating", ())), main.get(_RATING))
    try:
        stars = float(told)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not -1 <= stars <= 5:
        return None
    return int(stars) if stars.is_integer() else round(stars, 2)
