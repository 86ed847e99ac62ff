"""Step 3: every variant of the recipe, largest first, each from the next larger; no metadata goes along."""

from collections.abc import Callable
from typing import TypeAlias

from services.processor import failures
from services.processor.frames import Variant
from services.processor.gain_map import GainMap, gain_map
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
_Encoded: TypeAlias = dict[tuple[int, Format, int, bool, bool], bytes]
_OPAQUE: frozenset[Format] = frozenset({"jpeg"})


def variants(work: Work) -> None:
    """Make `variants` in the order of the recipe, without those of `there`, which are `kept`, and without what is to be
    smaller than the original and is not."""
    gains = gain_map(work)
    specs = work.job.recipe.asked_of(work.job.mime_type, animated=work.animated, gain_map=gains is not None)
    largest_first = sorted(specs, key=lambda spec: -spec.scale(work.width, work.height))
    made: dict[str, Variant] = {}
    press = Press(work.ladder, work.job.mime_type, gains)
    total = 0
    for spec in largest_first:
        if spec.code in work.job.there:
            if not spec.moving:
                # Whatever is made from this one's size becomes what it was when this one was made.
                scaled(work.ladder, spec, spec.written_as(work.job.mime_type))
            continue
        variant = _make_moving(work, spec) if spec.moving else press.make_resolved(spec)
        if spec.smaller_only and _is_as_good(work, variant):
            continue
        made[spec.name] = variant
        total += variant.size
        if total > work.job.limits.output_bytes:
            raise failures.JobFailed(failures.too_much_output(total, work.job.limits.output_bytes))
    work.variants = tuple(made[spec.name] for spec in specs if spec.name in made)
    work.kept = tuple(spec.code for spec in specs if spec.code in work.job.there)


def _is_as_good(work: Work, variant: Variant) -> bool:
    """Whether the original shows what the variant does, as it lies there, in no more bytes."""
    alike = (variant.width, variant.height, variant.mime_type) == (
        work.width,
        work.height,
        work.job.mime_type,
    )
    return alike and work.plain and not work.ladder.has_alpha and len(work.view) <= variant.size


class Press:
    """Makes variants that stand still, of an original of `mime_type`. What several of them have in common, because the
    picture is small, is encoded once."""

    def __init__(self, ladder: Ladder, mime_type: str, gains: GainMap | None = None) -> None:
        self._ladder = ladder
        self._mime_type = mime_type
        self._gains = gains
        self._encoded: _Encoded = {}

    def make(self, asked: VariantSpec) -> Variant:
        """One variant, never larger than the original, of a spec as recipes have it."""
        return self.make_resolved(asked.resolved(self._mime_type, gain_map=self._gains is not None))

    def make_resolved(self, spec: VariantSpec) -> Variant:
        """The same of a resolved spec. To resolve it once more would give it the gain map that it was to leave out."""
        format_ = spec.written_as(self._mime_type)
        image = scaled(self._ladder, spec, format_)
        box = spec.box(self._ladder.width, self._ladder.height)
        if box is not None:
            sides = min(box[0], image.width), min(box[1], image.height)
            image = image.smartcrop(*sides, interesting="attention").copy_memory()
        return Variant(
            name=spec.name,
            mime_type=MIME_TYPES[format_],
            width=image.width,
            height=image.height,
            spec=spec.hash,
            body=self._body(image, spec, format_),
        )

    def _body(self, image: Image, spec: VariantSpec, format_: Format) -> bytes:
        if spec.fit != "inside":
            return _ENCODERS[format_](image, spec)
        # The ladder keeps its images, so one that is the same is the same object.
        key = (id(image), format_, spec.quality, spec.optimise, bool(spec.gain_map))
        if key not in self._encoded:
            body = _ENCODERS[format_](image, spec)
            if self._gains is not None and spec.gain_map:
                body = self._gains.beside(body, spec.scale(self._ladder.width, self._ladder.height))
            self._encoded[key] = body
        return self._encoded[key]


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
