"""Step 1: bytes become pixels, once, and no more of them than the largest variant needs."""

import mmap
import warnings
from collections.abc import Callable
from typing import IO, cast

from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from services.processor import embedded, failures, symptoms
from services.processor.animation import is_animated
from services.processor.cut_short import is_cut_short
from services.processor.jpeg_scans import MOST_SCANS, has_too_many_scans
from services.processor.ladder import fit_inside, shrink
from services.processor.nclx import nclx_profile
from services.processor.plain import is_plain
from services.processor.steps.colour import PROFILE, to_srgb
from services.processor.vips import BLOB, LOADERS, Image, Operation, Source
from services.processor.work import Work
from shared.recipes import Recipe

# What the packaged libvips has no codec for; pillow-heif answers for HEIF.
PILLOW_FORMATS = {"image/bmp": "BMP", "image/heic": "HEIF", "image/heif": "HEIF"}
SUPPORTED = (*LOADERS, *PILLOW_FORMATS)
FINGERPRINT_SIDE = 320
_BY_NUMBERS = frozenset({"image/avif", "image/heic", "image/heif"})
# Of others nobody knows what is black and what is white. Lab says so itself, in 16 bits or floats.
_SAMPLES = frozenset({"uchar", "ushort"})
_LAB = frozenset({"lab", "labs"})
# How to ask a decoder for every 2nd, 4th or 8th pixel, where it can leave out the work for the others.
_SHRINKING: dict[str, Callable[[int], dict[str, float]]] = {
    "image/jpeg": lambda factor: {"shrink": factor},
    "image/webp": lambda factor: {"scale": 1 / factor},
}


def decode(work: Work) -> None:
    """Fill in image, sides, orientation and the raw EXIF. Pixels are counted from the header, before any is read."""
    mime_type = work.job.mime_type
    if mime_type == "image/jpeg" and has_too_many_scans(work.view):
        raise failures.too_many_scans(MOST_SCANS)
    if mime_type in LOADERS:
        image = _open_with_vips(work)
    elif mime_type in PILLOW_FORMATS:
        image = _open_with_pillow(work)
    else:
        raise failures.unsupported(mime_type, SUPPORTED)
    width, height = fit_inside(
        work.width, work.height, working_scale(work.job.recipe, work.width, work.height)
    )
    image = to_srgb(shrink(_told_by_numbers(image, work), width, height), work.warnings)
    work.image = _without_idle_alpha(image.copy_memory())


def _told_by_numbers(image: Image, work: Work) -> Image:
    """The same with a profile, where the file has none and tells its colours otherwise."""
    if work.job.mime_type not in _BY_NUMBERS or image.get_typeof(PROFILE):
        return image
    profile = nclx_profile(work.view)
    if profile:
        image = image.copy()
        image.set_type(BLOB, PROFILE, profile)
    return image


def working_scale(recipe: Recipe, width: int, height: int) -> float:
    """The scale of the largest thing that will be asked for; sides may be swapped later, boxes are asked both ways."""
    fingerprint = min(1.0, FINGERPRINT_SIDE / max(width, height))
    asked = (max(spec.scale(width, height), spec.scale(height, width)) for spec in recipe.variants)
    return max(fingerprint, *asked, 0.0)


def _open_with_vips(work: Work) -> Image:
    header = _load(work)
    work.width, work.height = header.width, header.height
    _check_sides(work)
    if header.format not in _SAMPLES and header.interpretation not in _LAB:
        raise failures.unsupported_samples(work.job.mime_type, header.format)
    work.animated = is_animated(work.job.mime_type, header, work.view)
    if (work.animated or work.job.mime_type == "image/gif") and is_cut_short(work.job.mime_type, work.view):
        raise failures.truncated("the first picture may be there, others are not")
    work.orientation = _orientation(header)
    work.embedded = embedded.of_vips(header)
    work.plain = is_plain(work.job.mime_type, header, work.embedded, work.view)
    shrinking = _SHRINKING.get(work.job.mime_type)
    scale = working_scale(work.job.recipe, work.width, work.height)
    factor = next(factor for factor in (8, 4, 2, 1) if factor * scale <= 1)
    return _load(work, **shrinking(factor)) if shrinking and factor > 1 else header


def _load(work: Work, **options: float) -> Image:
    source = Source.new_from_descriptor(work.descriptor)
    # `error` is stricter than `truncated`: it also refuses what the codec could only guess at.
    return Operation.call(
        LOADERS[work.job.mime_type], source, access="sequential", fail_on="error", **options
    )


def _orientation(header: Image) -> int:
    value = header.get("orientation") if header.get_typeof("orientation") else 1
    return value if value in range(1, 9) else 1


def _check_sides(work: Work) -> None:
    limits = work.job.limits
    if work.width < 1 or work.height < 1:
        raise failures.no_pixels(work.width, work.height)
    if work.width * work.height > limits.pixels:
        raise failures.too_many_pixels(work.width, work.height, limits.pixels)
    # The same for both sides, so it does not matter which way up the picture is stored.
    least, most = limits.least_side, limits.most_side or max(work.width, work.height)
    if min(work.width, work.height) < least or max(work.width, work.height) > most:
        raise failures.side_out_of_bounds(work.width, work.height, least, most)


def _open_with_pillow(work: Work) -> Image:
    mime_type = work.job.mime_type
    PillowImage.MAX_IMAGE_PIXELS = None  # _check_sides counts, with our limit and our words
    try:
        with warnings.catch_warnings(action="error"), _pillow(work.view, mime_type) as picture:
            work.width, work.height = picture.size
            _check_sides(work)
            work.embedded = embedded.of_pillow(picture.info)
            profile = bytes(picture.info.get("icc_profile") or b"")
            has_alpha = "A" in picture.getbands() or "transparency" in picture.info
            pixels = picture.convert("RGBA" if has_alpha else "RGB")
    # RuntimeError is what libheif's own limits become.
    except (
        UnidentifiedImageError,
        SyntaxError,
        ValueError,
        OSError,
        EOFError,
        RuntimeError,
        Warning,
    ) as error:
        raise _pillow_verdict(error, work) from error
    image = Image.new_from_memory(pixels.tobytes(), work.width, work.height, len(pixels.getbands()), "uchar")
    image = image.copy(interpretation="srgb")
    if profile:
        image.set_type(BLOB, PROFILE, profile)
    return image


def _pillow_verdict(error: Exception, work: Work) -> failures.JobFailed:
    log, mime_type = str(error), work.job.mime_type
    if symptoms.says_starved(log):
        return failures.JobFailed(failures.out_of_memory(work.job.limits.memory_bytes, log))
    if isinstance(error, EOFError) or symptoms.says_cut_short(log):
        return failures.truncated(log)
    if symptoms.says_unsupported(log):
        return failures.unsupported_feature(mime_type, log)
    return failures.corrupt(mime_type, log)


def _pillow(view: mmap.mmap, mime_type: str) -> PillowImage.Image:
    view.seek(0)
    return PillowImage.open(cast("IO[bytes]", view), formats=[PILLOW_FORMATS[mime_type]])


def _without_idle_alpha(image: Image) -> Image:
    """Many pictures carry an alpha channel that hides nothing; without it every later step is cheaper."""
    if not image.hasalpha():
        return image
    alpha = image.extract_band(image.bands - 1)
    return image.extract_band(0, n=image.bands - 1).copy_memory() if alpha.min() == 255 else image
