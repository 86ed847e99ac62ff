"""Step 3: every variant of the recipe, largest first, each from the next larger; no metadata goes along."""

from collections.abc import Callable
from typing import TypeAlias

from services.processor import failures
from services.processor.frames import Variant
from services.processor.ladder import Ladder
from services.processor.moving import moving
from services.processor.vips import Image
from services.processor.work import Work
from shared.recipes import MIME_TYPES, Format, VariantSpec

_NO_METADATA = "none"


def _jpeg(image: Image, spec: VariantSpec) -> bytes:
    return bytes(image.jpegsave_buffer(Q=spec.quality, optimize_coding=spec.optimise, keep=_NO_METADATA))


def _png(image: Image, spec: VariantSpec) -> bytes:  # noqa: ARG001 - PNG loses nothing, so it has no quality
    return bytes(image.pngsave_buffer(keep=_NO_METADATA))


def _webp(image: Image, spec: VariantSpec) -> bytes:
    # Effort 2 takes half the time of 4 and its files are about 3 % longer.
    return bytes(image.webpsave_buffer(Q=spec.quality, effort=2, keep=_NO_METADATA))


def _avif(image: Image, spec: VariantSpec) -> bytes:
    return bytes(image.heifsave_buffer(Q=spec.quality, compression="av1", effort=1, keep=_NO_METADATA))


_ENCODERS: dict[Format, Callable[[Image, VariantSpec], bytes]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
}
_Encoded: TypeAlias = dict[tuple[int, Format, int, bool], bytes]
_OPAQUE: frozenset[Format] = frozenset({"jpeg"})


def variants(work: Work) -> None:
    """Make `variants` in the order of the recipe, without those of `there`, which are `kept`."""
    specs = work.job.recipe.asked_of(work.job.mime_type, animated=work.animated)
    largest_first = sorted(specs, key=lambda spec: -spec.scale(work.width, work.height))
    made: dict[str, Variant] = {}
    encoded: _Encoded = {}
    total = 0
    for spec in largest_first:
        if spec.code in work.job.there:
            if not spec.moving:
                # Whatever is made from this one's size becomes what it was when this one was made.
                scaled(work.ladder, spec, spec.written_as(work.job.mime_type))
            continue
        made[spec.name] = (
            _make_moving(work, spec) if spec.moving else make(work.ladder, spec, work.job.mime_type, encoded)
        )
        total += made[spec.name].size
        if total > work.job.limits.output_bytes:
            raise failures.JobFailed(failures.too_much_output(total, work.job.limits.output_bytes))
    work.variants = tuple(made[spec.name] for spec in specs if spec.name in made)
    work.kept = tuple(spec.code for spec in specs if spec.name not in made)


def make(ladder: Ladder, asked: VariantSpec, mime_type: str, encoded: _Encoded) -> Variant:
    """One variant of an original of `mime_type`, standing still; never larger than it. A small one is several, encoded
    once."""
    spec, format_ = asked.resolved(mime_type), asked.written_as(mime_type)
    image = scaled(ladder, spec, format_)
    box = spec.box(ladder.width, ladder.height)
    if box is not None:
        sides = min(box[0], image.width), min(box[1], image.height)
        image = image.smartcrop(*sides, interesting="attention").copy_memory()
    return Variant(
        name=spec.name,
        mime_type=MIME_TYPES[format_],
        width=image.width,
        height=image.height,
        spec=spec.hash,
        body=_encode(image, spec, format_, encoded),
    )


def scaled(ladder: Ladder, spec: VariantSpec, format_: Format) -> Image:
    """The picture at the variant's scale, before it is cropped; on its background where the format needs that."""
    source = ladder.on(spec.background) if spec.flatten or format_ in _OPAQUE else ladder
    return source.at(spec.scale(ladder.width, ladder.height))


def _make_moving(work: Work, spec: VariantSpec) -> Variant:
    image = moving(work, spec)
    height = image.get("page-height")
    return Variant(
        name=spec.name,
        mime_type=MIME_TYPES["webp"],
        width=image.width,
        height=height,
        spec=spec.hash,
        body=_webp(image, spec),
    )


def _encode(image: Image, spec: VariantSpec, format_: Format, encoded: _Encoded) -> bytes:
    if spec.fit != "inside":
        return _ENCODERS[format_](image, spec)
    # The ladder keeps its images, so one that is the same is the same object.
    key = (id(image), format_, spec.quality, spec.optimise)
    if key not in encoded:
        encoded[key] = _ENCODERS[format_](image, spec)
    return encoded[key]
