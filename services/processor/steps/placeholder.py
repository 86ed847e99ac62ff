"""ThumbHash: some 25 bytes that stand in for a picture while it loads (format: https://evanw.github.io/thumbhash/).

The `thumbhash` package walks the pixels in Python, ten times slower, and fails on transparency; the tests hold
this file to it where it works.
"""

import base64

import numpy as np
from numpy.typing import NDArray

_Channel = NDArray[np.float64]


def placeholder(rgba: NDArray[np.uint8]) -> str:
    """The ThumbHash, in base64, of pixels of shape (height, width, 4), at most 100 x 100."""
    height, width = rgba.shape[:2]
    red, green, blue, alpha = np.moveaxis(_on_average(rgba / 255.0), 2, 0)
    has_alpha = bool(alpha.sum() < width * height)
    most = 5 if has_alpha else 7  # frequencies of the longer side
    across, down = (max(1, round(most * side / max(width, height))) for side in (width, height))
    light = _Frequencies((red + green + blue) / 3, max(3, across), max(3, down))
    yellow_blue = _Frequencies((red + green) / 2 - blue, 3, 3)
    red_green = _Frequencies(red - green, 3, 3)
    channels = [light, yellow_blue, red_green]
    landscape = width > height
    head = (
        round(63 * light.mean)
        | round(31.5 + 31.5 * yellow_blue.mean) << 6
        | round(31.5 + 31.5 * red_green.mean) << 12
        | round(31 * light.scale) << 18
        | has_alpha << 23
    )
    shape = (
        (down if landscape else across)
        | round(63 * yellow_blue.scale) << 3
        | round(63 * red_green.scale) << 9
        | landscape << 15
    )
    found = head.to_bytes(3, "little") + shape.to_bytes(2, "little")
    if has_alpha:
        opacity = _Frequencies(alpha, 5, 5)
        found += bytes([round(15 * opacity.mean) | round(15 * opacity.scale) << 4])
        channels.append(opacity)
    return base64.b64encode(found + _nibbles([n for channel in channels for n in channel.nibbles])).decode()


def _on_average(pixels: _Channel) -> _Channel:
    """Transparent parts in the average colour of the others, so that an edge of opacity is none of colour."""
    alpha = pixels[:, :, 3:]
    total = alpha.sum()
    average = (pixels[:, :, :3] * alpha).sum(axis=(0, 1)) / total if total else np.zeros(3)
    return np.dstack([average * (1 - alpha) + pixels[:, :, :3] * alpha, alpha])


class _Frequencies:
    """The lowest `across` x `down` frequencies of a channel, those below the diagonal, each in 4 bits."""

    def __init__(self, channel: _Channel, across: int, down: int) -> None:
        waves = _waves(channel.shape[0], down) @ channel @ _waves(channel.shape[1], across).T / channel.size
        rest = [
            float(waves[y, x])
            for y in range(down)
            for x in range(across)
            if (x or y) and x * down < across * (down - y)
        ]
        self.mean = float(waves[0, 0])
        self.scale = max(map(abs, rest), default=0.0)
        self.nibbles = [round(15 * (0.5 + 0.5 * f / self.scale)) if self.scale else 0 for f in rest]


def _waves(length: int, count: int) -> _Channel:
    """Cosines of 0 to `count` - 1 half turns along `length` samples, one per row."""
    waves: _Channel = np.cos(np.pi / length * np.outer(np.arange(count), np.arange(length) + 0.5))
    return waves


def _nibbles(values: list[int]) -> bytes:
    padded = [*values, 0]
    return bytes(padded[i] | padded[i + 1] << 4 for i in range(0, len(values), 2))
