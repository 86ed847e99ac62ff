"""The blocks of metadata that a file carries beside its pixels, as bytes that nobody has looked into yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.processor.vips import Image

MOST_BYTES = 1024 * 1024
"""A longer block is left alone: the longest honest ones have some 100 kB."""


@dataclass(slots=True, frozen=True)
class Embedded:
    """Each is empty where the file has none, or one longer than MOST_BYTES, which is then named in `too_long`. `iptc`:
    Photoshop's resources as JPEG holds them, or the records alone as TIFF does."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    icc: bytes = b""
    too_long: tuple[str, ...] = ()


def of_vips(header: Image) -> Embedded:
    """What libvips has found in any of its formats."""
    return _embedded(
        exif=_field(header, "exif-data"),
        xmp=_field(header, "xmp-data"),
        iptc=_field(header, "iptc-data"),
        icc=_field(header, "icc-profile-data"),
    )


def of_pillow(info: Mapping[Any, Any]) -> Embedded:
    """What Pillow has found, by `Image.info`."""
    return _embedded(exif=info.get("exif"), xmp=info.get("xmp"), iptc=None, icc=info.get("icc_profile"))


def _field(header: Image, name: str) -> object:
    return bytes(header.get(name)) if header.get_typeof(name) else b""


def _embedded(**found: object) -> Embedded:
    blocks = {name: block for name, block in found.items() if isinstance(block, bytes)}
    short = {name: block for name, block in blocks.items() if len(block) <= MOST_BYTES}
    return Embedded(**short, too_long=tuple(name for name in blocks if name not in short))
