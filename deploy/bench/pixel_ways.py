"""The same work done otherwise: classic Pillow, and the floor below which nobody gets.

Run as `python -m deploy.bench.pixel_ways WAY TYPE FILE`: prints CPU milliseconds and peak KiB of a forked child.
"""

import io
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path

import imagehash
import pyvips
from PIL import Image, ImageOps

SQUARE = 150
LARGEST = 1600
# Name of the encoder, longest side, quality: the standard recipe beside its square thumbnail.
SIZES = (("JPEG", LARGEST, 85), ("JPEG", 1080, 85), ("JPEG", 640, 85), ("JPEG", 320, 85), ("WEBP", 640, 80))


def classic(data: bytes, _mime_type: str) -> Callable[[], None]:
    """Open the whole picture, then each variant from it by LANCZOS; EXIF and both hashes along with it."""

    def work() -> None:
        with Image.open(io.BytesIO(data)) as opened:
            dict(opened.getexif().get_ifd(0x8769))
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        ImageOps.fit(picture, (SQUARE, SQUARE), Image.Resampling.LANCZOS).save(
            io.BytesIO(), "JPEG", quality=85
        )
        for kind, side, quality in SIZES:
            smaller = picture.resize(_inside(picture.size, side), Image.Resampling.LANCZOS)
            smaller.save(io.BytesIO(), kind, quality=quality)
        imagehash.phash(picture)
        imagehash.dhash(picture)

    return work


def floor(data: bytes, mime_type: str) -> Callable[[], None]:
    """Decode, shrunk by the decoder where it can, and encode what is there already: no resize, no colours, no hash,
    no EXIF. JPEG is decoded by libvips' jpegload with `shrink`, which is libjpeg-turbo's scaled decode, WebP by
    webpload with `scale`, which is libwebp's."""
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        opened.draft("RGB", (LARGEST, LARGEST))
        picture = opened.convert("RGB")
    made = [(picture.resize((SQUARE, SQUARE)), "JPEG", 85)]
    made += [(picture.resize(_inside((width, height), side)), kind, quality) for kind, side, quality in SIZES]
    ready = [(image.tobytes(), image.size, kind, quality) for image, kind, quality in made]
    decode = _decoder(data, mime_type, max(width, height))

    def work() -> None:
        decode().copy_memory()
        for body, (across, down), kind, quality in ready:
            image = pyvips.Image.new_from_memory(body, across, down, 3, "uchar")
            if kind == "WEBP":
                image.copy(interpretation="srgb").webpsave_buffer(Q=quality, effort=2, keep="none")
            else:
                image.copy(interpretation="srgb").jpegsave_buffer(Q=quality, keep="none")

    return work


def _decoder(data: bytes, mime_type: str, side: int) -> Callable[[], pyvips.Image]:
    if mime_type == "image/jpeg":
        shrink = next(factor for factor in (8, 4, 2, 1) if side // factor >= LARGEST)
        return lambda: pyvips.Image.jpegload_buffer(data, shrink=shrink)
    if mime_type == "image/webp":
        return lambda: pyvips.Image.webpload_buffer(data, scale=LARGEST / side)
    return lambda: pyvips.Image.pngload_buffer(data)


def _inside(sides: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(sides))
    return round(sides[0] * scale), round(sides[1] * scale)


WAYS = {"classic": classic, "floor": floor}


def main(way: str, mime_type: str, file: str) -> None:
    """Fork, because a process that has run libvips once cannot be forked any more; and the child's start is paid in
    the same coin as that of the sandbox."""
    with Path(file).open("rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    work = WAYS[way](bytes(data), mime_type)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{way} of {file} failed")
    sys.stdout.write(f"{(usage.ru_utime + usage.ru_stime) * 1000} {usage.ru_maxrss}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
