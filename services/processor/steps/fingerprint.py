"""Step 4: what makes a picture findable and what stands in for it while it loads, from one small image."""

import imagehash
import numpy as np
from PIL import Image as PillowImage

from services.processor.ladder import Ladder
from services.processor.steps.decode import FINGERPRINT_SIDE
from services.processor.steps.placeholder import placeholder
from services.processor.vips import Image
from services.processor.work import Fingerprint, Work
from shared.recipes import WHITE

# ThumbHash keeps at most 7 x 7 frequencies, so 32 pixels hold all that it can say.
_PLACEHOLDER_SIDE = 32
# Below these the hashes are made of noise and would match anything.
_LEAST_SIDE = 16
_LEAST_DEVIATION = 2.0  # of 256 grey levels


def fingerprint(work: Work) -> None:
    """Fill in `fingerprint`. The hashes see the picture on white, so that format and transparency do not matter."""
    small = to_pillow(_within(work.ladder.on(WHITE), FINGERPRINT_SIDE))
    tiny = to_pillow(_within(work.ladder, _PLACEHOLDER_SIDE)).convert("RGBA")
    work.fingerprint = Fingerprint(
        phash=str(imagehash.phash(small)),
        dhash=str(imagehash.dhash(small)),
        degenerate=is_degenerate(small, work.width, work.height),
        placeholder=placeholder(np.asarray(tiny)),
    )


def _within(ladder: Ladder, side: int) -> Image:
    return ladder.at(min(1.0, side / max(ladder.width, ladder.height)))


def to_pillow(image: Image) -> PillowImage.Image:
    """An 8-bit image, grey or RGB, with or without alpha."""
    pixels = np.frombuffer(image.write_to_memory(), np.uint8)
    if image.bands == 1:
        return PillowImage.fromarray(pixels.reshape(image.height, image.width))
    return PillowImage.fromarray(pixels.reshape(image.height, image.width, image.bands))


def is_degenerate(small: PillowImage.Image, width: int, height: int) -> bool:
    """Flat or tiny: there is nothing in it by which to tell it from others."""
    grey = np.asarray(small.convert("L").resize((32, 32)), np.float32)
    return min(width, height) < _LEAST_SIDE or float(grey.std()) < _LEAST_DEVIATION
