"""The blocks of metadata that a file carries beside its pixels, as bytes that nobody has looked into yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.processor.vips import Image

MOST_BYTES = 1024 * 1024
"""A longer block is left alone: the longest honest ones have some 100 kB."""


@dataclass(slots=True, frozen=True)
class Embedded:
    """Each is empty where the file has none, or one longer than MOST_BYTES. `iptc`: Photoshop's resources as JPEG
    holds them, or the records alone as TIFF does."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    icc: bytes = b""


def of_vips(header: Image) -> Embedded:
    """What libvips has found in any of its formats."""
    return Embedded(
        exif=_block(_field(header, "exif-data")),
        xmp=_block(_field(header, "xmp-data")),
        iptc=_block(_field(header, "iptc-data")),
        icc=_block(_field(header, "icc-profile-data")),
    )


def of_pillow(info: Mapping[Any, Any]) -> Embedded:
    """What Pillow has found, by `Image.info`."""
    return Embedded(
        exif=_block(info.get("exif")), xmp=_block(info.get("xmp")), icc=_block(info.get("icc_profile"))
    )


def _field(header: Image, name: str) -> object:
    return bytes(header.get(name)) if header.get_typeof(name) else b""


def _block(value: object) -> bytes:
    return value if isinstance(value, bytes) and len(value) <= MOST_BYTES else b""
