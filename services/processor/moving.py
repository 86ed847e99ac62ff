"""Animations that keep moving: every picture of a GIF or WebP through the same steps, and out as animated WebP."""

from collections.abc import Iterator

import msgspec

from services.processor.ladder import fit_inside, shrink
from services.processor.steps.colour import PROFILE, to_srgb
from services.processor.steps.orient import upright
from services.processor.vips import BLOB, INTEGER, INTEGERS, LOADERS, Image, Operation, Region, Source
from services.processor.work import Work
from shared.recipes import VariantSpec

MOST_KEPT = 300
MOST_KEPT_PIXELS = 60_000_000
MOST_READ = 10_000
MOST_READ_PIXELS = 500_000_000
MOST_READ_PIXELS_ON_REQUEST = 100_000_000  # some 2 s of work, for somebody who waits before others who do
MOST_LINES = 50_000_000  # all pictures are one below the other for libvips, and its coordinates end
LARGEST = 16_000_000  # pixels of one picture: several copies of it are in memory at a time
_HUNDREDTH = 10  # milliseconds
_SHOWN = 100  # milliseconds, where a file does not say


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`read` of the pictures are decoded; every `step`-th of those stays."""

    read: int
    step: int


def budget(pictures: int, *, pixels: int, kept_pixels: int, most_pixels: int = MOST_READ_PIXELS) -> Budget:
    """What is affordable of an animation whose pictures have so many pixels, and so many in the variant."""
    if pixels > LARGEST:
        return Budget(read=1, step=1)
    read = max(1, min(pictures, MOST_READ, most_pixels // pixels))
    keep = max(1, min(MOST_KEPT, MOST_KEPT_PIXELS // kept_pixels))
    return Budget(read=read, step=-(-read // keep))


def thinned(delays: list[int], step: int) -> list[int]:
    """How long each picture that stays is shown, in milliseconds: as long as those that it stands for."""
    return [sum(delays[first : first + step]) for first in range(0, len(delays), step)]


def moving(work: Work, spec: VariantSpec) -> Image:
    """The variant as libvips holds animations, its pictures one below the other. Raises VipsError."""
    scale = spec.scale(work.width, work.height)
    header = _load(work, pictures=1)
    pictures, height = header.get("n-pages"), header.height
    kept = fit_inside(work.width, work.height, scale)
    allowed = budget(
        pictures,
        pixels=header.width * height,
        kept_pixels=kept[0] * kept[1],
        most_pixels=MOST_READ_PIXELS_ON_REQUEST if work.job.rendering else MOST_READ_PIXELS,
    )
    read = max(1, min(allowed.read, MOST_LINES // height))
    if read < pictures:
        work.warnings.append(_cut(pictures, read, pixels=header.width * height))
    source = _load(work, pictures=read)
    frames = list(_frames(work, source, spec, allowed.step, height))
    joined = Image.arrayjoin(frames, across=1).copy()
    joined.set_type(INTEGER, "page-height", frames[0].height)
    joined.set_type(INTEGERS, "delay", thinned(_delays(source, read), allowed.step))
    joined.set_type(INTEGER, "loop", source.get("loop") if source.get_typeof("loop") else 0)
    return joined


def _cut(pictures: int, read: int, *, pixels: int) -> str:
    if pixels > LARGEST:
        return (
            f"The animation stands still: its pictures have {pixels / 1e6:.1f} million pixels each, "
            f"and only those of at most {LARGEST / 1e6:g} million move."
        )
    return f"Of {pictures} pictures of the animation the first {read} are kept; it is too long."


def _load(work: Work, *, pictures: int) -> Image:
    source = Source.new_from_descriptor(work.descriptor)
    loader = LOADERS[work.job.mime_type]
    return Operation.call(loader, source, access="sequential", fail_on="error", n=pictures)


def _delays(source: Image, read: int) -> list[int]:
    found = list(source.get("delay"))[:read] if source.get_typeof("delay") else []
    found += [_SHOWN] * (read - len(found))
    # Less than a hundredth of a second is shown by browsers as a tenth.
    return [delay if delay >= _HUNDREDTH else _SHOWN for delay in found]


def _frames(work: Work, source: Image, spec: VariantSpec, step: int, height: int) -> Iterator[Image]:
    """Each picture that stays, in memory: shrunk, coloured, upright, and cropped where the first one is."""
    region = Region.new(source)
    profile = source.get(PROFILE) if source.get_typeof(PROFILE) else None
    corner: tuple[int, int] | None = None
    warnings: list[str] = []
    for top in range(0, source.height, height * step):
        pixels = region.fetch(0, top, source.width, height)
        frame = Image.new_from_memory(pixels, source.width, height, source.bands, source.format)
        frame = frame.copy(interpretation=source.interpretation)
        if profile is not None:
            frame.set_type(BLOB, PROFILE, profile)
        frame = _made(work, frame, spec, warnings)
        if (box := spec.box(work.width, work.height)) is not None:
            sides = min(box[0], frame.width), min(box[1], frame.height)
            if corner is None:
                cropped = frame.smartcrop(*sides, interesting="attention").copy_memory()
                corner = (-cropped.xoffset, -cropped.yoffset)
            frame = frame.extract_area(*corner, *sides)
        yield frame.copy_memory()
    work.warnings += dict.fromkeys(warnings)


def _made(work: Work, frame: Image, spec: VariantSpec, warnings: list[str]) -> Image:
    sides = fit_inside(work.width, work.height, spec.scale(work.width, work.height))
    stored = sides if work.orientation < 5 else sides[::-1]
    frame = to_srgb(shrink(frame, *stored), warnings)
    if spec.flatten and frame.hasalpha():
        frame = frame.flatten(background=list(spec.background))
    return upright(frame.copy_memory(), work.orientation)
