"""A picture for the demo when none is given: a landscape as a camera would write it, with a place and a time."""

import io
import math

from PIL import Image, ImageDraw, ImageFilter, ImageOps

SIZE = (3000, 2000)
EXIF_IFD, GPS_IFD = 0x8769, 0x8825


def make() -> bytes:
    """A JPEG of six megapixels with camera, exposure, time and GPS in its EXIF."""
    width, height = SIZE
    picture = Image.composite(
        Image.new("RGB", SIZE, (250, 214, 165)),
        Image.new("RGB", SIZE, (70, 110, 170)),
        Image.linear_gradient("L").resize(SIZE),
    )
    draw = ImageDraw.Draw(picture)
    draw.ellipse((2050, 420, 2450, 820), fill=(255, 243, 214))
    for layer in range(5):
        base = height * (0.50 + 0.09 * layer)
        ridge = [(x, base - ridge_height(x / width, layer) * height) for x in range(0, width + 1, 10)]
        shade = 150 - 26 * layer
        draw.polygon([(0, height), *ridge, (width, height)], fill=(shade // 2, shade * 3 // 4, shade))
    picture = picture.filter(ImageFilter.GaussianBlur(1.5))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, exif=exif().tobytes())
    return out.getvalue()


def ridge_height(x: float, layer: int) -> float:
    """Height of a mountain line above its base, as a share of the picture's height."""
    waves = ((2.3, 0.055), (5.1, 0.035), (11.7, 0.012), (31.0, 0.004))
    return sum(
        share * math.sin(2 * math.pi * (count * x + 0.37 * layer * (n + 1)))
        for n, (count, share) in enumerate(waves)
    )


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010F], found[0x0110], found[0x0131] = "Tripod", "Demo One", "make demo"
    details = found.get_ifd(EXIF_IFD)
    details[0x9003], details[0x9011] = "2026:06:21 19:42:07", "+02:00"
    details[0x829A], details[0x829D], details[0x8827], details[0x920A] = 1 / 320, 5.6, 100, 35.0
    details[0xA434] = "Tripod 35mm f/1.8"
    place = found.get_ifd(GPS_IFD)
    place[1], place[2] = "N", (46.0, 32.0, 14.6)
    place[3], place[4] = "E", (7.0, 57.0, 45.2)
    place[5], place[6] = b"\x00", 2061.0
    return found


def smaller_copy(original: bytes) -> bytes | None:
    """The picture upright at a third of its size as another JPEG without metadata; None where it is no picture."""
    try:
        with Image.open(io.BytesIO(original)) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except OSError:
        return None
    upright.thumbnail((max(upright.width // 3, 64), max(upright.height // 3, 64)))
    out = io.BytesIO()
    upright.save(out, "JPEG", quality=80)
    return out.getvalue()
