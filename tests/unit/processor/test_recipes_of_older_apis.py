"""What the recipes of the older APIs make of real files."""

import io
import mmap
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from services.processor.animation import is_animated
from services.processor.frames import Result
from services.processor.vips import Image as VipsImage
from shared.recipes import Recipe, VariantSpec
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.recipes import CONTENT, ENTITY, MEDIAFILES
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import difference, distance, named, opened, wide_profile

OLDER = (CONTENT, MEDIAFILES, ENTITY)


def sizes(result: Result) -> dict[str, tuple[int, int, str]]:
    for variant in result.variants:
        with opened(variant) as image:
            assert image.size == (variant.width, variant.height)
            assert image.get_format_mimetype() == variant.mime_type  # type: ignore[attr-defined]
    return {v.name: (v.width, v.height, v.mime_type) for v in result.variants}


def quantisation(result: Result, name: str) -> int:
    """How coarsely a JPEG variant was written: the sum of its luminance table, which falls as quality rises."""
    with opened(named(result, name)) as image:
        return sum(image.quantization[0])  # type: ignore[attr-defined]


def quality_of(data: bytes, original: Image.Image) -> int:
    """With which of these qualities a JPEG, or a WebP of this very picture, was written: the one has the tables of it,
    the other is about as long."""
    steps = range(50, 96, 5)
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "JPEG":
            return next(
                quality
                for quality in steps
                if tables_of(encoded(original, quality=quality)) == tables_of(data)
            )
    return min(steps, key=lambda quality: abs(len(encoded(original, "WEBP", quality=quality)) - len(data)))


def tables_of(data: bytes) -> dict[int, list[int]]:
    with Image.open(io.BytesIO(data)) as image:
        return image.quantization  # type: ignore[attr-defined, no-any-return]


def without_optimising(spec: VariantSpec) -> VariantSpec:
    return msgspec.structs.replace(spec, optimise=False)


def animation(kind: str, frames: int = 3, size: tuple[int, int] = (500, 400)) -> bytes:
    first, *others = [picture(*size, seed=seed) for seed in range(1, frames + 1)]
    out = io.BytesIO()
    first.save(out, kind, save_all=True, append_images=others, duration=100, loop=0)
    return out.getvalue()


def test_entity_variants_have_the_promised_sizes_and_qualities(derive: Derive) -> None:
    result = derive(encoded(picture(2000, 1500)), recipe=ENTITY)
    assert sizes(result) == {
        "thumbnail": (150, 150, "image/jpeg"),
        "small": (400, 300, "image/jpeg"),
        "medium": (800, 600, "image/jpeg"),
        "large": (1600, 1200, "image/jpeg"),
    }
    small, medium = quantisation(result, "small"), quantisation(result, "medium")
    assert quantisation(result, "thumbnail") > small == medium > quantisation(result, "large")


def test_mediafiles_variants_have_the_promised_sizes_and_one_quality(derive: Derive) -> None:
    result = derive(encoded(picture(1500, 2000)), recipe=MEDIAFILES)
    assert sizes(result) == {
        "thumbnail": (150, 150, "image/jpeg"),
        "small": (240, 320, "image/jpeg"),
        "medium": (480, 640, "image/jpeg"),
        "large": (810, 1080, "image/jpeg"),
        "webp": (480, 640, "image/webp"),
    }
    tables = {quantisation(result, name) for name in ("thumbnail", "small", "medium", "large")}
    assert len(tables) == 1


@pytest.mark.parametrize(
    ("recipe", "kind", "qualities"),
    [
        (CONTENT, "JPEG", {"optimised": 85, "thumbnail": 85}),
        (CONTENT, "WEBP", {"optimised": 85}),
        (MEDIAFILES, "JPEG", {"thumbnail": 85, "small": 85, "medium": 85, "large": 85, "webp": 80}),
        (ENTITY, "JPEG", {"thumbnail": 80, "small": 85, "medium": 85, "large": 90}),
    ],
)
def test_files_are_written_with_the_promised_quality(
    derive: Derive, recipe: Recipe, kind: str, qualities: dict[str, int]
) -> None:
    original = picture(600, 450)
    data = encoded(original, kind, quality=100)
    result = derive(data, f"image/{kind.lower()}", recipe=recipe)
    found = {name: quality_of(named(result, name).body, original) for name in qualities}
    assert found == qualities


@pytest.mark.parametrize(
    ("kind", "mime_type", "written"),
    [
        ("JPEG", "image/jpeg", "image/jpeg"),
        ("PNG", "image/png", "image/png"),
        ("WEBP", "image/webp", "image/webp"),
        ("TIFF", "image/tiff", "image/jpeg"),
        ("BMP", "image/bmp", "image/jpeg"),
    ],
)
def test_content_variants_keep_the_format_where_it_can_be_written(
    derive: Derive, kind: str, mime_type: str, written: str
) -> None:
    result = derive(encoded(picture(2400, 1200), kind), mime_type, recipe=CONTENT)
    assert sizes(result) == {"optimised": (2048, 1024, written), "thumbnail": (300, 150, written)}
    assert [v.spec for v in result.variants] == [
        spec.hash for spec in CONTENT.asked_of(mime_type, animated=False)
    ]


@pytest.mark.parametrize("recipe", OLDER, ids=lambda recipe: recipe.name)
def test_a_small_original_is_every_variant_at_its_own_size(derive: Derive, recipe: Recipe) -> None:
    result = derive(encoded(picture(100, 60)), recipe=recipe)
    assert [v.name for v in result.variants] == [spec.name for spec in recipe.variants]
    for spec, variant in zip(recipe.variants, result.variants, strict=True):
        expected = (60, 60) if spec.fit == "square" else (100, 60)
        assert (variant.width, variant.height) == expected, spec.name


@pytest.mark.parametrize(("kind", "mime_type"), [("PNG", "image/png"), ("WEBP", "image/webp")])
def test_content_puts_transparency_on_white_whatever_the_format(
    derive: Derive, kind: str, mime_type: str
) -> None:
    image = Image.new("RGBA", (800, 600), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 400, 600))
    result = derive(encoded(image, kind, lossless=True), mime_type, recipe=CONTENT)
    for variant in result.variants:
        found = opened(variant)
        assert not found.has_transparency_data, variant.name
        pixels = np.asarray(found.convert("RGB"), int)
        assert pixels[:, -50:].min() > 250, variant.name
        assert np.abs(pixels[:, :50] - (0, 0, 255)).max() < 12, variant.name


def test_mediafiles_keep_transparency_in_webp_only(derive: Derive) -> None:
    image = Image.new("RGBA", (400, 300), (255, 0, 0, 0))
    result = derive(encoded(image, "PNG"), "image/png", recipe=MEDIAFILES)
    assert np.asarray(opened(named(result, "webp")).convert("RGBA"))[:, :, 3].max() == 0
    assert np.asarray(opened(named(result, "large")).convert("RGB")).min() > 250


@pytest.mark.parametrize("recipe", OLDER, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_photo_comes_out_upright(derive: Derive, recipe: Recipe, orientation: int) -> None:
    upright = picture(400, 300)
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = derive(encoded(upright.transpose(turn), quality=95, exif=exif.tobytes()), recipe=recipe)
    assert (result.width, result.height) == (400, 300)
    largest = opened(max(result.variants, key=lambda variant: variant.width))
    assert largest.size == (400, 300)
    assert difference(largest, upright) < 3.5


@pytest.mark.parametrize("recipe", OLDER, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(
    ("kind", "mime_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")]
)
def test_no_variant_tells_camera_place_or_profile(
    derive: Derive, recipe: Recipe, kind: str, mime_type: str
) -> None:
    with Image.open(io.BytesIO(photo(800, 600))) as image:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = encoded(image, kind, exif=image.info["exif"], icc_profile=profile)
    assert b"Tripod Works" in data
    result = derive(data, mime_type, recipe=recipe)
    assert result.exif["camera_model"] == "Model 3"
    for variant in result.variants:
        assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(opened(variant).info)
        for secret in (b"Tripod Works", b"Exif", b"eXIf", b"ICC_PROFILE", b"iCCP", b"ICCP", b"tEXt"):
            assert secret not in variant.body, (variant.name, secret)


@pytest.mark.parametrize("recipe", OLDER, ids=lambda recipe: recipe.name)
def test_colours_of_a_wide_profile_are_converted(derive: Derive, recipe: Recipe) -> None:
    image = Image.new("RGB", (200, 200), (200, 60, 60))
    plain = derive(encoded(image, "PNG"), "image/png", recipe=recipe)
    wide = derive(encoded(image, "PNG", icc_profile=wide_profile()), "image/png", recipe=recipe)
    for other in wide.variants:
        one = named(plain, "thumbnail" if other.name == "optimised" else other.name)  # the plain one stays
        before, after = (opened(v).convert("RGB").getpixel((30, 30)) for v in (one, other))
        assert after[0] > before[0] + 10, other.name  # type: ignore[index]


def test_an_optimised_photo_looks_like_the_original_and_is_smaller(derive: Derive) -> None:
    original = picture(2600, 1950)
    data = encoded(original, quality=97)
    optimised = named(derive(data, recipe=CONTENT), "optimised")
    assert optimised.size < len(data) / 2
    assert difference(opened(optimised), original.resize((2048, 1536), Image.Resampling.LANCZOS)) < 2.5


def noted(kind: str, **options: Any) -> bytes:
    return encoded(picture(320, 240), kind, **options)


PLAIN = {
    "a JPEG of less quality": (noted("JPEG", quality=50), "image/jpeg"),
    "a grey JPEG of less quality": (encoded(picture(320, 240).convert("L"), quality=50), "image/jpeg"),
    "a PNG made with more effort": (noted("PNG", optimize=True), "image/png"),
    "a WebP of less quality": (noted("WEBP", quality=50), "image/webp"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_an_original_that_is_as_good_and_no_larger_is_not_replaced(derive: Derive, case: str) -> None:
    data, mime_type = PLAIN[case]
    assert [v.name for v in derive(data, mime_type, recipe=CONTENT).variants] == ["thumbnail"]
    always = msgspec.structs.replace(CONTENT.variants[0], smaller_only=False)
    made = derive(data, mime_type, recipe=msgspec.structs.replace(CONTENT, variants=(always,)))
    assert made.variants[0].size >= len(data), "it would have been larger"
    assert made.variants[0].spec == CONTENT.variants[0].resolved(mime_type).hash


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010F] = "A camera"
    return found


def text() -> PngInfo:
    found = PngInfo()
    found.add_text("Author", "somebody")
    return found


REPLACED = {
    "to be shrunk": (encoded(picture(2100, 100), quality=30), "image/jpeg"),
    "with metadata": (noted("JPEG", quality=50, exif=exif()), "image/jpeg"),
    "to be turned": (noted("JPEG", quality=50, exif=exif(3)), "image/jpeg"),
    "with a comment": (noted("JPEG", quality=50, comment=b"by somebody"), "image/jpeg"),
    "with a profile": (noted("JPEG", quality=50, icc_profile=wide_profile()), "image/jpeg"),
    "for printers": (encoded(picture(320, 240).convert("CMYK"), quality=50), "image/jpeg"),
    "with a text": (noted("PNG", pnginfo=text()), "image/png"),
    "a transparent WebP": (
        encoded(Image.new("RGBA", (320, 240), (9, 9, 9, 9)), "WEBP", quality=1),
        "image/webp",
    ),
    "WebP with metadata": (noted("WEBP", quality=50, exif=exif()), "image/webp"),
    "another format": (encoded(picture(320, 240), "TIFF"), "image/tiff"),
    "larger than it need be": (noted("JPEG", quality=98), "image/jpeg"),
}


@pytest.mark.parametrize("case", REPLACED)
def test_an_original_with_something_to_change_or_to_leave_out_is_replaced(derive: Derive, case: str) -> None:
    data, mime_type = REPLACED[case]
    assert [v.name for v in derive(data, mime_type, recipe=CONTENT).variants] == ["optimised", "thumbnail"]


def test_huffman_tables_of_its_own_make_a_jpeg_smaller_and_change_no_pixel(derive: Derive) -> None:
    plain, *_ = CONTENT.asked_of("image/jpeg", animated=False)
    data = encoded(picture(1600, 1200))
    found = [
        derive(data, recipe=Recipe(name="t", version=1, variants=(spec,))).variants[0]
        for spec in (plain, without_optimising(plain))
    ]
    assert found[0].size < found[1].size
    assert np.array_equal(np.asarray(opened(found[0])), np.asarray(opened(found[1])))


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [("GIF", "image/gif"), ("WEBP", "image/webp"), ("PNG", "image/png"), ("AVIF", "image/avif")],
)
def test_an_animation_is_never_called_optimised_as_one_still(
    derive: Derive, kind: str, mime_type: str
) -> None:
    variants = tuple(msgspec.structs.replace(spec, smaller_only=False) for spec in CONTENT.variants)
    recipe = msgspec.structs.replace(CONTENT, variants=variants)
    result = derive(animation(kind), mime_type, recipe=recipe)
    assert [v.name for v in result.variants] == ["thumbnail"]
    still = derive(animation(kind, frames=1), mime_type, recipe=recipe)
    optimised = [] if kind == "GIF" else ["optimised"]
    assert [v.name for v in still.variants] == [*optimised, "thumbnail"]
    assert distance(result.phash, still.phash) <= 6


@pytest.mark.parametrize("recipe", [MEDIAFILES, ENTITY], ids=lambda recipe: recipe.name)
def test_other_recipes_make_all_their_variants_of_the_first_frame(derive: Derive, recipe: Recipe) -> None:
    result = derive(animation("GIF"), "image/gif", recipe=recipe)
    assert [v.name for v in result.variants] == [spec.name for spec in recipe.variants]


def test_the_pages_of_a_document_are_no_animation(derive: Derive) -> None:
    result = derive(animation("TIFF"), "image/tiff", recipe=CONTENT)
    assert [v.name for v in result.variants] == ["optimised", "thumbnail"]


def test_a_mark_of_animation_counts_only_before_the_pixels() -> None:
    png = encoded(picture(40, 30), "PNG")
    moving = animation("PNG", size=(40, 30))
    mark = moving[33 : 33 + 20]
    assert mark[4:8] == b"acTL"
    for data, expected in ((moving, True), (png, False), (png[:-12] + mark + png[-12:], False)):
        with mmap.mmap(-1, len(data)) as view:
            view[:] = data
            assert is_animated("image/png", VipsImage.black(1, 1), view) is expected
