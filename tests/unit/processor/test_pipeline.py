import io
import struct
import zlib

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from services.processor.failures import JobFailed
from services.processor.frames import Limits, Result, StepDone, Variant
from shared.recipes import Recipe, VariantSpec
from tests.fixtures.pictures import bomb_png, encoded, photo, picture
from tests.fixtures.recipes import STANDARD
from tests.unit.processor.conftest import Derive


def opened(variant: Variant) -> Image.Image:
    return Image.open(io.BytesIO(variant.body))


def named(result: Result, name: str) -> Variant:
    return next(variant for variant in result.variants if variant.name == name)


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures of the same size, in levels of 256."""
    return float(np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int)).mean())


def recipe(*specs: VariantSpec) -> Recipe:
    return Recipe(name="test", version=1, variants=specs)


def test_the_standard_variants_have_the_promised_sizes(derive: Derive) -> None:
    result = derive(encoded(picture(2000, 1500)))
    assert [(v.name, v.width, v.height, v.mime_type) for v in result.variants] == [
        ("thumbnail", 150, 150, "image/jpeg"),
        ("small", 320, 240, "image/jpeg"),
        ("medium", 640, 480, "image/jpeg"),
        ("large", 1080, 810, "image/jpeg"),
        ("xlarge", 1600, 1200, "image/jpeg"),
        ("webp", 640, 480, "image/webp"),
    ]
    for variant in result.variants:
        assert opened(variant).size == (variant.width, variant.height)
    assert [v.spec for v in result.variants] == [
        spec.hash for spec in STANDARD.asked_of("image/jpeg", animated=False)
    ]


@pytest.mark.parametrize(
    ("kind", "mime_type", "size"),
    [
        ("JPEG", "image/jpeg", (2000, 1500)),
        pytest.param("JPEG", "image/jpeg", (3333, 2499), marks=pytest.mark.long),
        ("WEBP", "image/webp", (2222, 1666)),
        ("PNG", "image/png", (2000, 1500)),
    ],
)
def test_variants_look_like_the_original(
    derive: Derive, kind: str, mime_type: str, size: tuple[int, int]
) -> None:
    original = picture(*size)
    result = derive(encoded(original, kind, **({} if kind == "PNG" else {"quality": 95})), mime_type)
    for name, most in (("small", 3.5), ("xlarge", 2.5), ("webp", 3.5)):
        variant = opened(named(result, name))
        assert difference(variant, original.resize(variant.size, Image.Resampling.LANCZOS)) < most, name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(derive: Derive, orientation: int) -> None:
    # An asymmetric picture: each quarter has a colour of its own.
    upright = Image.new("RGB", (400, 300), "white")
    for box, colour in (
        ((0, 0, 200, 150), "red"),
        ((200, 0, 400, 150), "green"),
        ((0, 150, 200, 300), "blue"),
    ):
        upright.paste(colour, box)
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, quality=95, exif=exif.tobytes())
    assert difference(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), upright) < 1
    result = derive(data)
    assert (result.width, result.height) == (400, 300)
    assert result.exif["orientation"] == orientation
    assert difference(opened(named(result, "xlarge")), upright) < 1.5


def test_a_turned_picture_has_the_fingerprints_of_the_upright_one(derive: Derive) -> None:
    upright = picture(1200, 900)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    one, other = derive(encoded(upright)), derive(turned)
    assert distance(one.phash, other.phash) <= 2
    assert distance(one.dhash, other.dhash) <= 2


def test_nothing_is_enlarged_and_every_variant_exists(derive: Derive) -> None:
    result = derive(encoded(picture(100, 60)))
    assert {(v.name, v.width, v.height) for v in result.variants} == {
        ("thumbnail", 60, 60),
        *((name, 100, 60) for name in ("small", "medium", "large", "xlarge", "webp")),
    }


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (3, 2), (151, 150)])
def test_extreme_shapes_work(derive: Derive, size: tuple[int, int]) -> None:
    result = derive(encoded(Image.new("RGB", size, "teal"), "PNG"), "image/png")
    assert (result.width, result.height) == size
    assert all(
        v.width <= size[0] and v.height <= size[1] and min(v.width, v.height) >= 1 for v in result.variants
    )


def test_variants_carry_no_metadata(derive: Derive) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = photo(800, 600)
    with Image.open(io.BytesIO(data)) as image:
        data = encoded(
            image,
            exif=image.info["exif"],
            icc_profile=profile,
            xmp=b"<x:xmpmeta>SECRET</x:xmpmeta>",
            comment=b"SECRET",
        )
    assert b"SECRET" in data
    assert b"Tripod Works" in data
    for variant in derive(data).variants:
        assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(opened(variant).info)
        for secret in (b"SECRET", b"Tripod Works", b"Exif", b"xmp", b"ICC_PROFILE", b"Photoshop"):
            assert secret not in variant.body, variant.name


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
        ("AVIF", "image/avif"),
        ("HEIF", "image/heic"),
    ],
)
def test_every_format_gives_the_same_picture_and_fingerprints(
    derive: Derive, kind: str, mime_type: str
) -> None:
    original = picture(640, 480)
    reference = derive(encoded(original, "PNG"), "image/png")
    result = derive(encoded(original, kind), mime_type)
    assert (result.width, result.height) == (640, 480)
    assert distance(result.phash, reference.phash) <= 4
    assert distance(result.dhash, reference.dhash) <= 4
    assert difference(opened(named(result, "medium")), opened(named(reference, "medium"))) < 8


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0])
def test_fingerprints_survive_another_size(derive: Derive, scale: float) -> None:
    original = picture(1200, 900)
    resized = original.resize((int(1200 * scale), int(900 * scale)), Image.Resampling.LANCZOS)
    one, other = derive(encoded(original)), derive(encoded(resized, quality=80))
    assert distance(one.phash, other.phash) <= 4
    assert distance(one.dhash, other.dhash) <= 4


def test_fingerprints_of_different_pictures_are_far_apart(derive: Derive) -> None:
    hashes = [derive(encoded(picture(400, 300, seed=seed))).phash for seed in range(5)]
    assert min(distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 10


def test_fingerprints_are_64_bits_in_hex(derive: Derive) -> None:
    result = derive(photo(400, 300))
    assert len(result.phash) == len(result.dhash) == 16
    assert int(result.phash, 16) != 0
    assert result.degenerate is False


@pytest.mark.parametrize(
    "image",
    [Image.new("RGB", (400, 300), "navy"), Image.new("L", (400, 300), 3), picture(15, 400), picture(8, 8)],
)
def test_flat_and_tiny_pictures_are_flagged(derive: Derive, image: Image.Image) -> None:
    assert derive(encoded(image, "PNG"), "image/png").degenerate is True


def test_transparency_is_white_in_jpeg_and_kept_in_webp(derive: Derive) -> None:
    image = Image.new("RGBA", (800, 600), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 400, 600))
    result = derive(encoded(image, "PNG"), "image/png")
    jpeg, webp = opened(named(result, "medium")).convert("RGB"), opened(named(result, "webp")).convert("RGBA")
    assert min(jpeg.getpixel((600, 200))) > 250  # type: ignore[arg-type]
    assert jpeg.getpixel((100, 200))[2] > 240  # type: ignore[index]
    assert webp.getpixel((600, 200))[3] == 0  # type: ignore[index]
    assert webp.getpixel((100, 200))[3] == 255  # type: ignore[index]


def test_colours_of_transparent_pixels_do_not_bleed(derive: Derive) -> None:
    image = Image.new("RGBA", (1001, 1001), (255, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 501, 1001))
    small = opened(named(derive(encoded(image, "PNG"), "image/png"), "small"))
    assert np.asarray(small.convert("RGB")).min() > 245


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGBA", "CMYK"])
def test_every_pixel_layout_becomes_8_bit_rgb_or_grey(derive: Derive, mode: str) -> None:
    grey = picture(500, 400).convert("L")
    if mode == "I;16":
        image = Image.fromarray((np.asarray(grey, np.uint16) * 257).astype(np.uint16))
    else:
        image = picture(500, 400).convert(mode)
    kind, mime_type = ("TIFF", "image/tiff") if mode == "CMYK" else ("PNG", "image/png")
    small = opened(named(derive(encoded(image, kind), mime_type), "small"))
    assert small.mode in {"L", "RGB"}
    if mode not in {"1", "CMYK"}:
        expected = image.convert("RGB") if mode != "I;16" else grey.convert("RGB")
        assert difference(small, expected.resize(small.size, Image.Resampling.LANCZOS)) < 6


def test_a_wide_profile_is_converted_and_srgb_is_left_alone(derive: Derive) -> None:
    srgb = ImageCms.createProfile("sRGB")
    swapped = wide_profile()
    image = Image.new("RGB", (200, 200), (200, 60, 60))
    plain = opened(derive(encoded(image, "PNG"), "image/png").variants[1]).getpixel((50, 50))
    tagged = derive(encoded(image, "PNG", icc_profile=ImageCms.ImageCmsProfile(srgb).tobytes()), "image/png")
    wide = derive(encoded(image, "PNG", icc_profile=swapped), "image/png")
    assert opened(tagged.variants[1]).getpixel((50, 50)) == plain
    red = opened(wide.variants[1]).getpixel((50, 50))
    assert red[0] > plain[0] + 10  # type: ignore[index]


def wide_profile() -> bytes:
    """An RGB matrix profile with the primaries of Adobe RGB (1998) and gamma 2.2, built by hand."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*values)

    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 78
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    tags = {
        b"desc": text + b"\0" * (-len(text) % 4),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.6097, 0.3111, 0.0195),
        b"gXYZ": xyz(0.2053, 0.6257, 0.0609),
        b"bXYZ": xyz(0.1492, 0.0632, 0.7446),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(value))
        body += value
    size = offset + len(body)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", size, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"", b"acsp"
    )
    header = header.ljust(68, b"\0") + fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def test_a_broken_profile_costs_a_warning_and_not_the_picture(derive: Derive) -> None:
    result = derive(encoded(picture(200, 150), "PNG", icc_profile=b"not a profile" * 20), "image/png")
    assert len(result.variants) == 6


def test_only_the_first_frame_of_an_animation_counts(derive: Derive) -> None:
    first, second = Image.new("RGB", (60, 40), "red"), Image.new("RGB", (60, 40), "blue")
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=[second], duration=100)
    result = derive(out.getvalue(), "image/gif")
    assert (result.width, result.height) == (60, 40)
    assert opened(named(result, "small")).convert("RGB").getpixel((30, 20))[0] > 200  # type: ignore[index]


def test_the_square_crop_follows_what_draws_attention(derive: Derive) -> None:
    image = Image.new("RGB", (1200, 300), (90, 90, 90))
    image.paste(picture(200, 200), (950, 50))
    thumbnail = opened(named(derive(encoded(image)), "thumbnail"))
    assert np.asarray(thumbnail.convert("L"), float).std() > 15


def test_a_small_recipe_still_has_good_fingerprints(derive: Derive) -> None:
    tiny = recipe(VariantSpec(name="dot", width=4, height=4))
    original = encoded(picture(1200, 900))
    assert derive(original, recipe=tiny).phash == derive(original, recipe=recipe()).phash
    assert distance(derive(original, recipe=tiny).phash, derive(original).phash) <= 4


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp", "avif"])
def test_a_recipe_may_ask_for_any_format(derive: Derive, format_: str) -> None:
    asked = msgspec.structs.replace(VariantSpec(name="v", width=64, height=64), format=format_)
    (variant,) = derive(encoded(picture(200, 100)), recipe=recipe(asked)).variants
    assert opened(variant).format == format_.upper()
    assert variant.mime_type == f"image/{format_}"


def test_each_step_reports_its_time_and_the_trace(derive: Derive, steps: list[StepDone]) -> None:
    result = derive(photo(400, 300))
    assert [step.step for step in steps] == ["decode", "orient", "variants", "fingerprint", "exif"]
    assert [step.percent for step in steps] == [20, 40, 60, 80, 100]
    assert {step.trace_id for step in steps} == {"t"}
    assert {step.step: step.milliseconds for step in steps} == result.timings


def failure_code(derive: Derive, data: bytes, mime_type: str, limits: Limits | None = None) -> str:
    with pytest.raises(JobFailed) as caught:
        derive(data, mime_type, limits=limits)
    assert caught.value.failure.detail.endswith(".")
    assert not caught.value.failure.retryable
    return caught.value.failure.code


def test_a_gigapixel_header_is_refused_before_a_pixel_is_read(derive: Derive) -> None:
    assert failure_code(derive, bomb_png(), "image/png") == "dimensions"


def test_the_pixel_limit_counts_exactly(derive: Derive) -> None:
    data = encoded(picture(100, 100), "BMP")
    assert derive(data, "image/bmp", limits=Limits(pixels=10_000)).width == 100
    assert failure_code(derive, data, "image/bmp", Limits(pixels=9_999)) == "dimensions"


@pytest.mark.parametrize(
    "mime_type", ["image/svg+xml", "image/x-portable-pixmap", "application/pdf", "image/jxl"]
)
def test_types_without_a_named_loader_are_unsupported(derive: Derive, mime_type: str) -> None:
    assert failure_code(derive, b"<svg xmlns='http://www.w3.org/2000/svg'/>", mime_type) == "unsupported"


def test_too_much_output_is_a_verdict(derive: Derive) -> None:
    assert (
        failure_code(derive, encoded(picture(400, 300)), "image/jpeg", Limits(output_bytes=100)) == "output"
    )


def test_a_deadline_between_steps_ends_the_job(derive: Derive) -> None:
    with pytest.raises(JobFailed) as caught:
        derive(photo(400, 300), limits=Limits(wall_seconds=0))
    assert caught.value.failure.code == "timeout"
    assert caught.value.failure.retryable


def test_a_deflate_bomb_within_a_profile_costs_little(derive: Derive) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    png = encoded(picture(64, 64), "PNG")
    bomb = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"\0" * 200_000_000, 9))
    result = derive(png[:33] + bomb + png[33:], "image/png")
    assert result.width == 64
