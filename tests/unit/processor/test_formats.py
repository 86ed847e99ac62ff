"""Every format that is taken, in the kinds that programs write: the right colours in the right corners."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
import pytest
import pyvips
from PIL import Image, ImageOps

from services.processor.frames import Result
from shared.recipes import Recipe, VariantSpec
from tests.fixtures.pictures import encoded
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import opened

AS_IT_IS = Recipe(name="t", variants=(VariantSpec(name="v", width=20_000, height=20_000, format="png"),))
CORNERS = ((220, 30, 30), (30, 200, 40), (40, 60, 210), (240, 220, 60))
SIDES = (96, 64)
EXIF_ORIENTATION = 0x0112
_UNDO = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def quarters() -> Image.Image:
    """Each quarter has a colour of its own, so that no turn or flip goes unseen."""
    image = Image.new("RGB", SIDES)
    for place, colour in enumerate(CORNERS):
        image.paste(colour, (place % 2 * 48, place // 2 * 32, place % 2 * 48 + 48, place // 2 * 32 + 32))
    return image


def other() -> Image.Image:
    return quarters().transpose(Image.Transpose.ROTATE_180)


def grey() -> Image.Image:
    return quarters().convert("L")


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)


def by_vips(kind: str, bits: int = 8, **options: Any) -> Callable[[], bytes]:
    """A writer of what Pillow does not write; its saver is let through for this one file."""

    def write() -> bytes:
        pixels = np.asarray(quarters())
        image = pyvips.Image.new_from_array(pixels if bits == 8 else pixels.astype(np.uint16) * 257)
        image = image.copy(interpretation="srgb" if bits == 8 else "rgb16")
        pyvips.operation_block_set("VipsForeignSave", state=False)
        try:
            return bytes(image.write_to_buffer(f".{kind}", **options))
        finally:
            pyvips.operation_block_set("VipsForeignSave", state=True)
            for kept in ("Jpeg", "Png", "Webp", "Heif"):
                pyvips.operation_block_set(f"VipsForeignSave{kept}Buffer", state=False)

    return write


def by_pillow(kind: str, image: Callable[[], Image.Image] = quarters, **options: Any) -> Callable[[], bytes]:
    return lambda: encoded(image(), kind, **options)


def pages(kind: str, **options: Any) -> Callable[[], bytes]:
    return lambda: encoded(quarters(), kind, save_all=True, append_images=[other()], **options)


def heic_of_ten_bits() -> bytes:
    out = io.BytesIO()
    pillow_heif.encode(
        "RGB;16", SIDES, (np.asarray(quarters()).astype(np.uint16) * 257).tobytes(), out, quality=95
    )
    return out.getvalue()


COLOURFUL: dict[str, tuple[str, Callable[[], bytes]]] = {
    "baseline JPEG": ("image/jpeg", by_pillow("JPEG", quality=95)),
    "progressive JPEG": ("image/jpeg", by_pillow("JPEG", quality=95, progressive=True)),
    "JPEG of a third of the colours": ("image/jpeg", by_pillow("JPEG", quality=95, subsampling="4:2:0")),
    "RGB PNG": ("image/png", by_pillow("PNG")),
    "16-bit PNG": ("image/png", by_vips("png", 16)),
    "interlaced PNG": ("image/png", by_vips("png", interlace=True)),
    "palette PNG": ("image/png", by_pillow("PNG", lambda: quarters().quantize(256))),
    "palette PNG of 2 bits": ("image/png", by_pillow("PNG", lambda: quarters().quantize(4), bits=2)),
    "APNG": ("image/png", pages("PNG")),
    "GIF": ("image/gif", by_pillow("GIF")),
    "animated GIF": ("image/gif", pages("GIF")),
    "lossy WebP": ("image/webp", by_pillow("WEBP", quality=95)),
    "lossless WebP": ("image/webp", by_pillow("WEBP", lossless=True)),
    "animated WebP": ("image/webp", pages("WEBP", quality=95)),
    "TIFF": ("image/tiff", by_pillow("TIFF")),
    "LZW TIFF": ("image/tiff", by_pillow("TIFF", compression="tiff_lzw")),
    "deflated TIFF": ("image/tiff", by_pillow("TIFF", compression="tiff_adobe_deflate")),
    "JPEG in TIFF": ("image/tiff", by_pillow("TIFF", compression="jpeg", quality=95)),
    "TIFF of pages": ("image/tiff", pages("TIFF")),
    "palette TIFF": ("image/tiff", by_pillow("TIFF", lambda: quarters().quantize(256))),
    "tiled TIFF": ("image/tiff", by_vips("tif", tile=True, tile_width=16, tile_height=16, compression="lzw")),
    "16-bit TIFF": ("image/tiff", by_vips("tif", 16)),
    "BigTIFF": ("image/tiff", by_vips("tif", bigtiff=True)),
    "BMP": ("image/bmp", by_pillow("BMP")),
    "BMP with transparency": ("image/bmp", by_pillow("BMP", lambda: quarters().convert("RGBA"))),
    "palette BMP": ("image/bmp", by_pillow("BMP", lambda: quarters().quantize(256))),
    "AVIF": ("image/avif", by_pillow("AVIF", quality=95)),
    "10-bit AVIF": ("image/avif", by_vips("avif", 16, Q=95, bitdepth=10)),
    "HEIC": ("image/heic", by_pillow("HEIF", quality=95)),
    "HEIF with transparency": (
        "image/heif",
        by_pillow("HEIF", lambda: quarters().convert("RGBA"), quality=95),
    ),
    "10-bit HEIC": ("image/heic", heic_of_ten_bits),
}
GREY: dict[str, tuple[str, Callable[[], bytes]]] = {
    "grey JPEG": ("image/jpeg", by_pillow("JPEG", grey, quality=95)),
    "grey PNG": ("image/png", by_pillow("PNG", grey)),
    "grey PNG with alpha": ("image/png", by_pillow("PNG", lambda: grey().convert("LA"))),
    "16-bit grey PNG": ("image/png", by_pillow("PNG", lambda: deep(grey()))),
    "grey TIFF": ("image/tiff", by_pillow("TIFF", grey)),
    "16-bit grey TIFF": ("image/tiff", by_pillow("TIFF", lambda: deep(grey()))),
    "grey BMP": ("image/bmp", by_pillow("BMP", grey)),
    "grey HEIC": ("image/heic", by_pillow("HEIF", grey, quality=95)),
}


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    found = np.asarray(image.convert("RGB"), int)
    return [tuple(found[y, x]) for y in (16, 48) for x in (24, 72)]


def looks_like(result: Result, expected: Image.Image) -> bool:
    picture = opened(result.variants[0])
    off = np.abs(np.array(corners(picture)) - np.array(corners(expected))).max()
    return picture.size == expected.size == (result.width, result.height) and bool(off <= 4)


@pytest.mark.parametrize("name", COLOURFUL)
def test_a_file_of_each_kind_shows_its_first_picture(derive: Derive, name: str) -> None:
    mime_type, write = COLOURFUL[name]
    assert looks_like(derive(write(), mime_type, recipe=AS_IT_IS), quarters())


@pytest.mark.parametrize("name", GREY)
def test_a_grey_file_of_each_kind_stays_grey(derive: Derive, name: str) -> None:
    mime_type, write = GREY[name]
    result = derive(write(), mime_type, recipe=AS_IT_IS)
    assert looks_like(result, grey())


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {"compression": "group4"}), ("BMP", {}), ("GIF", {})]
)
def test_a_file_of_one_bit_is_black_and_white(derive: Derive, kind: str, options: dict[str, Any]) -> None:
    halves = Image.new("1", SIDES)
    halves.paste(1, (48, 0, 96, 64))
    result = derive(encoded(halves, kind, **options), f"image/{kind.lower()}", recipe=AS_IT_IS)
    assert looks_like(result, halves)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "mime_type", "options"),
    [
        ("JPEG", "image/jpeg", {"quality": 95}),
        ("PNG", "image/png", {}),
        ("WEBP", "image/webp", {"quality": 95}),
        ("TIFF", "image/tiff", {}),
        ("AVIF", "image/avif", {"quality": 95}),
        ("HEIF", "image/heic", {"quality": 95}),
    ],
)
def test_every_orientation_is_turned_once_whether_exif_or_the_container_tells_it(
    derive: Derive, kind: str, mime_type: str, options: dict[str, Any], orientation: int
) -> None:
    undo = _UNDO[orientation]
    stored = quarters() if undo is None else quarters().transpose(undo)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    data = encoded(stored, kind, exif=exif if kind == "TIFF" else exif.tobytes(), **options)
    if kind in {"AVIF", "HEIF"} and orientation != 1:
        assert b"irot" in data or b"imir" in data  # which the decoders apply
    else:
        with Image.open(io.BytesIO(data)) as picture:
            turned = ImageOps.exif_transpose(picture)
        assert np.abs(np.array(corners(turned)) - np.array(CORNERS)).max() <= 4
    assert looks_like(derive(data, mime_type, recipe=AS_IT_IS), quarters())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("format_", ["webp", "png", "avif", "jpeg"])
def test_transparency_is_kept_where_the_format_has_it_and_is_white_in_jpeg(
    derive: Derive, kind: str, format_: Any
) -> None:
    picture = quarters().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 48, 64))
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    mime_type = "image/heic" if kind == "HEIF" else f"image/{kind.lower()}"
    spec = VariantSpec(name="v", width=48, height=32, format=format_, quality=95)
    result = derive(encoded(picture, kind, **options), mime_type, recipe=Recipe(name="t", variants=(spec,)))
    found = np.asarray(opened(result.variants[0]).convert("RGBA"), int)
    hidden, plain = found[4:28, 2:20], found[4:12, 28:46]
    assert hidden[..., 3].max() == (255 if format_ == "jpeg" else 0)
    assert format_ != "jpeg" or hidden.min() >= 250
    assert np.abs(plain - (*CORNERS[1], 255)).max() <= 12  # no black has come across the edge


def test_what_one_colour_of_a_png_hides_is_hidden(derive: Derive) -> None:
    for image, transparent in ((quarters(), CORNERS[0]), (quarters().quantize(4), 0), (grey(), 87)):
        data = encoded(image, "PNG", transparency=transparent)
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3]
        assert expected.min() == 0
        result = derive(data, "image/png", recipe=AS_IT_IS)
        assert np.array_equal(np.asarray(opened(result.variants[0]).convert("RGBA"))[..., 3], expected)


@pytest.mark.parametrize(
    ("fit", "sides", "expected"),
    [("cover", (60, 20), (60, 20)), ("cover", (20, 60), (20, 60)), ("cover", (960, 320), (96, 32))],
)
def test_cover_fills_its_box_or_what_the_picture_has_of_its_shape(
    derive: Derive, fit: Any, sides: tuple[int, int], expected: tuple[int, int]
) -> None:
    spec = VariantSpec(name="v", width=sides[0], height=sides[1], fit=fit, format="png")
    result = derive(encoded(quarters(), "PNG"), "image/png", recipe=Recipe(name="t", variants=(spec,)))
    (made,) = result.variants
    assert (made.width, made.height) == opened(made).size == expected


@pytest.mark.long
@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_of_a_hundred_million_pixels_is_processed(derive: Derive, *, progressive: bool) -> None:
    big = quarters().resize((10_000, 10_000), Image.Resampling.NEAREST)
    spec = VariantSpec(name="v", width=96, height=96, format="png")
    data = encoded(big, quality=80, progressive=progressive)
    result = derive(data, recipe=Recipe(name="t", variants=(spec,)))
    assert (result.width, result.height) == (10_000, 10_000)
    found = corners(opened(result.variants[0]).resize(SIDES))
    assert np.abs(np.array(found) - np.array(CORNERS)).max() <= 4
