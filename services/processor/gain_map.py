"""The gain map of an Ultra HDR photo: decoded by the same loader as the picture, turned and shrunk with it."""

import mmap

import msgspec

from services.processor.jpeg_scans import has_too_many_scans
from services.processor.ladder import Ladder, fit_inside, shrink
from services.processor.second_picture import NoGainMap, Second, second_picture
from services.processor.steps.orient import upright
from services.processor.vips import LOADERS, Operation, Source, VipsError
from services.processor.work import Work
from shared.jpeg_frame import jpeg_frame
from shared.recipes import VariantSpec
from shared.ultra_hdr import Gains, written

_QUALITY = 85
_STRAY = (
    0.05  # by how much its shape may differ from the picture's: its sides are rounded, and may be few pixels
)
_SPACES = frozenset({"b-w", "srgb"})


class GainMap(msgspec.Struct, frozen=True, kw_only=True):
    """Upright and in memory, and what its levels mean."""

    ladder: Ladder
    gains: Gains

    def beside(self, picture: bytes, scale: float) -> bytes:
        """The JPEG of a variant at `scale` of the original, with the map at the same scale behind it."""
        body = self.ladder.at(scale).jpegsave_buffer(Q=_QUALITY, keep="none")
        return written(picture, bytes(body), self.gains)


def gain_map(work: Work) -> GainMap | None:
    """That of the original where a variant can hold it. One that cannot be used costs a warning and nothing else."""
    asked = work.job.recipe.asked_of(work.job.mime_type, animated=work.animated, gain_map=True)
    holding = [spec for spec in asked if spec.gain_map]
    if work.job.mime_type != "image/jpeg" or not holding:
        return None
    try:
        second = second_picture(work.view)
        return None if second is None else _decoded(work, second, holding)
    except (NoGainMap, VipsError) as error:
        reason = str(error).strip().rpartition("\n")[2][:200]
        work.warnings.append(f"The picture is shown without its gain map, which cannot be used: {reason}.")
        return None


def _decoded(work: Work, second: Second, holding: list[VariantSpec]) -> GainMap:
    width, height = _sides(work, second.data)
    scale = max(spec.scale(work.width, work.height) for spec in holding)
    factor = next(factor for factor in (8, 4, 2, 1) if factor * scale <= 1)
    image = Operation.call(
        LOADERS["image/jpeg"],
        Source.new_from_memory(second.data),
        access="sequential",
        fail_on="error",
        shrink=factor,
    )
    if image.interpretation not in _SPACES or image.format != "uchar":
        raise NoGainMap(f"its colours are {image.interpretation}")
    image = upright(shrink(image, *fit_inside(width, height, scale)).copy_memory(), work.orientation)
    if work.orientation >= 5:
        width, height = height, width
    return GainMap(ladder=Ladder(image, width=width, height=height), gains=second.gains)


def _sides(work: Work, data: bytes | mmap.mmap) -> tuple[int, int]:
    """As stored, like the picture's, which may not be smaller. Raises NoGainMap."""
    frame = jpeg_frame(data)
    if frame is None or not (frame.width and frame.height):
        raise NoGainMap("it has no sides")
    picture = (work.width, work.height) if work.orientation < 5 else (work.height, work.width)
    if frame.width > picture[0] or frame.height > picture[1]:
        raise NoGainMap(f"its {frame.width} x {frame.height} pixels are more than the picture's")
    # In pixels of the map: a whole one more or less is what rounding makes of any shape.
    stray = abs(frame.width * picture[1] - frame.height * picture[0]) / max(picture)
    if stray > 1 + _STRAY * min(frame.width, frame.height):
        raise NoGainMap(f"its {frame.width} x {frame.height} pixels have another shape than the picture")
    if frame.is_heavy or has_too_many_scans(data):
        raise NoGainMap("it takes too much time or memory")
    return frame.width, frame.height
