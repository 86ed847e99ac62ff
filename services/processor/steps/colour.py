"""Colours: whatever the file uses becomes 8-bit sRGB that looks the same."""

import struct

from services.processor.vips import Image, VipsError

PROFILE = "icc-profile-data"
_SIGNATURE = b"acsp"


def to_srgb(image: Image, warnings: list[str]) -> Image:
    """An image of 1 or 3 bands (plus alpha) of 8 bits. A profile is applied only where it is not sRGB already:
    the transform costs more than everything else together."""
    profile = _profile(image)
    if profile and profile[36:40] != _SIGNATURE:
        warnings.append("The colour profile could not be used: it is no ICC profile.")
    elif profile and not is_srgb(profile):
        try:
            image = image.icc_transform(
                "srgb", embedded=True, intent="relative", black_point_compensation=True
            )
        except VipsError as error:
            warnings.append(f"The colour profile could not be used: {str(error).strip()[:200]}")
    if image.interpretation == "cmyk":
        image = image.icc_transform(
            "srgb", input_profile="cmyk", intent="relative", black_point_compensation=True
        )
    if image.interpretation not in {"srgb", "b-w"}:
        image = image.colourspace("b-w" if image.bands < 3 else "srgb")
    if image.bands > 4:
        image = image.extract_band(0, n=3)
    return image if image.format == "uchar" else image.cast("uchar")


def _profile(image: Image) -> bytes:
    return bytes(image.get(PROFILE)) if image.get_typeof(PROFILE) else b""


def is_srgb(profile: bytes) -> bool:
    """Whether the profile's own description says sRGB (ICC.1:2022: tag table at byte 128, `desc` holds the text)."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for index in range(min(count, 100)):
            signature, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            if signature == b"desc":
                text = profile[offset : offset + min(size, 400)].replace(b"\0", b"")
                return b"sRGB IEC61966-2" in text or b"sRGB built-in" in text
    except struct.error:
        return False
    return False
