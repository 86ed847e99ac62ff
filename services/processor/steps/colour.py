"""Colours: whatever the file uses becomes 8-bit sRGB that looks the same."""

from services.processor.srgb import is_srgb
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
