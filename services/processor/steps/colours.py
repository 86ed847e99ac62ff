"""The colours that make up most of a picture, as a person would name them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from shared.events.messages import Colour

_MOST = 5
_FIRST = 16  # boxes of the median cut, of which those that look alike are then put together
_LEAST_SHARE = 0.02
_ALIKE = 12.0  # distance in CIE Lab below which two patches are called the same colour
_OPAQUE = 128
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, as sRGB means it
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_Rows = NDArray[np.float64]


def dominant_colours(rgba: NDArray[np.uint8]) -> tuple[Colour, ...]:
    """Up to 5, the largest share first, of pixels of shape (height, width, 4). Transparent ones do not count; shares
    are of the others. The same pixels give the same colours."""
    pixels = rgba.reshape(-1, 4)
    seen = np.ascontiguousarray(pixels[pixels[:, 3] >= _OPAQUE][:, :3])
    if not len(seen):
        return ()
    boxes = PillowImage.fromarray(seen.reshape(1, -1, 3)).quantize(
        _FIRST, method=PillowImage.Quantize.MEDIANCUT, kmeans=1, dither=PillowImage.Dither.NONE
    )
    labels = np.asarray(boxes).reshape(-1)
    counts = np.bincount(labels, minlength=_FIRST)
    means = np.array(
        [seen[labels == box].mean(axis=0) if count else np.zeros(3) for box, count in enumerate(counts)]
    )
    return tuple(
        Colour(hex="#" + bytes(np.rint(colour).astype(np.uint8)).hex(), share=round(share, 3))
        for colour, share in _put_together(means, counts / len(seen))
        if share >= _LEAST_SHARE
    )[:_MOST]


def _put_together(colours: _Rows, shares: _Rows) -> list[tuple[_Rows, float]]:
    """Each with all smaller ones that look like it; the largest first."""
    places = lab(colours)
    rest = [int(box) for box in np.argsort(-shares, kind="stable") if shares[box] > 0]
    found = []
    while rest:
        near = [box for box in rest if float(np.linalg.norm(places[box] - places[rest[0]])) < _ALIKE]
        share = float(shares[near].sum())
        found.append(((colours[near] * shares[near, None]).sum(axis=0) / share, share))
        rest = [box for box in rest if box not in near]
    return sorted(found, key=lambda one: -one[1])


def lab(rgb: _Rows) -> _Rows:
    """CIE Lab of sRGB rows of 0 to 255."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1
    )
