"""Step 4: what makes a picture findable and what stands in for it while it loads, from one small image."""

from typing import TypeAlias

import imagehash
import numpy as np
from PIL import Image as PillowImage

from services.processor.ladder import Ladder
from services.processor.steps.colours import dominant_colours
from services.processor.steps.decode import FINGERPRINT_SIDE
from services.processor.steps.placeholder import placeholder
from services.processor.vips import Image
from services.processor.work import Fingerprint, Work
from shared.recipes import WHITE
from shared.turns import TURNS, Turn

Frequencies: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

# ThumbHash keeps at most 7 x 7 frequencies, so 32 pixels hold all that it can say; and they show all colours of weight.
_TINY_SIDE = 32
# What phash looks at: the 8 x 8 lowest frequencies of 32 x 32 grey pixels.
_HASH_SIDE = 32
_KEPT = 8
_WAVES = np.cos(np.pi / _HASH_SIDE * np.outer(np.arange(_KEPT), np.arange(_HASH_SIDE) + 0.5))
# Below these a hash is made of noise and would match anything.
_LEAST_SIDE = 16
_LEAST_BITS = 32  # of 64; photos have 58 and more, gradients and single shapes 5 to 20
_ODD = (-1.0) ** np.arange(_KEPT)  # a mirror turns the sign of every other wave along its axis
_NOISE = 64.0  # how far rounding and JPEG move a frequency: it sums 1,024 pixels times 4


def fingerprint(work: Work) -> None:
    """Fill in `fingerprint`. The hashes see the picture on white, so that format and transparency do not matter."""
    opaque = work.ladder.on(WHITE)
    grey = to_pillow(_within(opaque, FINGERPRINT_SIDE)).convert("L")
    squeezed = grey.resize((_HASH_SIDE, _HASH_SIDE), PillowImage.Resampling.LANCZOS)
    frequencies = low_frequencies(squeezed)
    coloured = to_pillow(_within(opaque, _TINY_SIDE)).convert("RGB")
    tiny = np.asarray(to_pillow(_within(work.ladder, _TINY_SIDE)).convert("RGBA"))
    work.fingerprint = Fingerprint(
        phash=str(imagehash.phash(squeezed)),
        phash_turned=turned_hashes(frequencies),
        dhash=str(imagehash.dhash(grey)),
        ahash=str(imagehash.average_hash(grey)),
        colour_hash=str(imagehash.colorhash(coloured)),
        colours=dominant_colours(tiny),
        degenerate=min(work.width, work.height) < _LEAST_SIDE or telling_bits(frequencies) < _LEAST_BITS,
        placeholder=placeholder(tiny),
    )


def _within(ladder: Ladder, side: int) -> Image:
    return ladder.at(min(1.0, side / max(ladder.width, ladder.height)))


def to_pillow(image: Image) -> PillowImage.Image:
    """An 8-bit image, grey or RGB, with or without alpha."""
    pixels = np.frombuffer(image.write_to_memory(), np.uint8)
    if image.bands == 1:
        return PillowImage.fromarray(pixels.reshape(image.height, image.width))
    return PillowImage.fromarray(pixels.reshape(image.height, image.width, image.bands))


def low_frequencies(squeezed: PillowImage.Image) -> Frequencies:
    """The 8 x 8 lowest of 32 x 32 grey pixels, as the perceptual hash has them."""
    return 4 * _WAVES @ np.asarray(squeezed, np.float64) @ _WAVES.T


def telling_bits(frequencies: Frequencies) -> int:
    """How many bits of the perceptual hash noise could not have turned over.

    Each bit says on which side of the median a frequency lies. Where there is one colour, a gradient or a single
    shape, most frequencies are nothing, and so is the median: their bits are chance.
    """
    return int((np.abs(frequencies - np.median(frequencies)) > _NOISE).sum())


def turned_hashes(frequencies: Frequencies) -> tuple[str, ...]:
    """The perceptual hashes of the picture turned and mirrored, in the order of TURNS.

    They cannot be told from the hash: a mirror changes signs and so the median. Of the frequencies it changes nothing
    else, and a quarter turn swaps the axes.
    """
    right, down = _ODD[None, :], _ODD[:, None]
    across = frequencies.T
    turned: dict[Turn, Frequencies] = {
        "rotated_90": across * right,
        "rotated_180": frequencies * right * down,
        "rotated_270": across * down,
        "mirrored": frequencies * right,
        "mirrored_rotated_90": across * right * down,
        "mirrored_rotated_180": frequencies * down,
        "mirrored_rotated_270": across,
    }
    return tuple(_hash(turned[turn]) for turn in TURNS)


def _hash(frequencies: Frequencies) -> str:
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()
