"""Step 2: turn the picture the right way up, as EXIF says, while it is small."""

from services.processor.ladder import Ladder
from services.processor.vips import Image
from services.processor.work import Work

_ORIENTATION = "orientation"
# EXIF orientation: first mirrored left to right, then turned clockwise.
_TURNS = {
    1: (False, None),
    2: (True, None),
    3: (False, "d180"),
    4: (True, "d180"),
    5: (True, "d270"),
    6: (False, "d90"),
    7: (True, "d90"),
    8: (False, "d270"),
}


def orient(work: Work) -> None:
    """Make `image`, `width` and `height` those that a person sees."""
    work.image = upright(work.image, work.orientation)
    if work.orientation >= 5:
        work.width, work.height = work.height, work.width
    work.ladder = Ladder(work.image, width=work.width, height=work.height)


def upright(image: Image, orientation: int) -> Image:
    """The image, which is in memory, turned as EXIF says, in memory. It says so no more, else AVIF would tell viewers
    to turn it once again."""
    mirrored, angle = _TURNS[orientation]
    if mirrored:
        image = image.flip("horizontal")
    if angle is not None:
        image = image.rot(angle)
    if orientation == 1:
        return image
    turned = image.copy_memory()
    turned.remove(_ORIENTATION)
    return turned
