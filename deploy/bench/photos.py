"""Pictures like a camera's, made from noise: detail at every scale and grain, so that sizes are realistic."""

import io

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_OCTAVES = 8
_GRAIN = 5.0  # grey levels
_SEED = 20260621


class Photo(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it would be uploaded."""

    name: str
    mime_type: str
    data: bytes


def photos(*, quick: bool) -> list[Photo]:
    """The sources of the pixel rows; in quick mode the larger JPEG is left out."""
    small = pixels(4000, 3000)
    found = [
        Photo(name="12 MP JPEG", mime_type="image/jpeg", data=encoded(small, "JPEG", quality=90)),
        Photo(name="12 MP PNG", mime_type="image/png", data=encoded(small, "PNG", compress_level=6)),
        Photo(name="12 MP WebP", mime_type="image/webp", data=encoded(small, "WEBP", quality=85, method=2)),
    ]
    if not quick:
        large = encoded(pixels(6000, 4000), "JPEG", quality=90, orientation=6)
        found.insert(1, Photo(name="24 MP JPEG, turned", mime_type="image/jpeg", data=large))
    return found


def pixels(width: int, height: int) -> Image.Image:
    """Clouds upon clouds: each octave has half the size and some 60 % of the strength of the one before."""
    dice = np.random.default_rng(_SEED)
    total: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
    for octave in range(_OCTAVES):
        columns, rows = 4 * 2**octave, 3 * 2**octave
        for band in range(3):
            small = Image.fromarray(dice.normal(0, 40 * 0.6**octave, (rows, columns)).astype(np.float32))
            total[:, :, band] += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    total += dice.normal(128, _GRAIN, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, orientation: int = 1, **options: int) -> bytes:
    """The picture as a file of that kind, with a camera's EXIF."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Tripod", "Bench One", orientation
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0x829A], details[0x829D], details[0x8827] = (
        "2026:06:21 19:42:07",
        1 / 320,
        5.6,
        100,
    )
    out = io.BytesIO()
    image.save(out, kind, exif=exif.tobytes(), **options)
    return out.getvalue()
