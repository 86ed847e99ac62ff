"""The colours that make up most of a picture, as a person would name them."""

import numpy as np
from numpy.typing import NDArray

from shared.events.messages import Colour

_MOST = 5
_LEAST_SHARE = 0.02
_ALIKE = 15.0  # distance in CIE Lab below which two patches are called the same colour
_OPAQUE = 128
_BITS = 3  # per channel: 512 boxes, whose contents are taken for one colour
_CHANNELS = np.array([1 << 2 * _BITS, 1 << _BITS, 1])
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, as sRGB means it
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_Rows = NDArray[np.float64]


def dominant_colours(rgba: NDArray[np.uint8]) -> tuple[Colour, ...]:
    """Up to 5, the largest share first, of pixels of shape (height, width, 4). Transparent ones do not count; shares
    are of the others. The same pixels give the same colours."""
    pixels = rgba.reshape(-1, 4)
    colours, shares = _boxes(pixels[pixels[:, 3] >= _OPAQUE][:, :3])
    places = lab(colours)
    lengths = (places**2).sum(axis=1)
    alike = lengths[:, None] + lengths - 2 * places @ places.T < _ALIKE**2
    found: list[Colour] = []
    while len(found) < _MOST and shares.any():
        # The box with the most of the picture near it: a colour may be spread over several.
        near = alike[int(np.argmax(alike @ shares))]
        share = float(shares[near].sum())
        if share < _LEAST_SHARE:
            break
        mean = (colours[near] * shares[near, None]).sum(axis=0) / share
        found.append(Colour(hex="#" + bytes(np.rint(mean).astype(np.uint8)).hex(), share=round(share, 3)))
        shares = np.where(near, 0.0, shares)
    return tuple(found)


def _boxes(pixels: NDArray[np.uint8]) -> tuple[_Rows, _Rows]:
    """The mean colours of the boxes that are not empty, and the share of the pixels that each holds."""
    box = (pixels >> (8 - _BITS)) @ _CHANNELS
    counts = np.bincount(box, minlength=1)
    used = np.flatnonzero(counts)
    sums = np.stack([np.bincount(box, weights=pixels[:, channel]) for channel in range(3)], axis=1)
    return sums[used] / counts[used, None], counts[used] / max(1, len(pixels))


def lab(rgb: _Rows) -> _Rows:
    """CIE Lab of sRGB rows of 0 to 255."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1
    )
