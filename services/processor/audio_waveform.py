"""Peaks of sound: as JSON in the format of audiowaveform (version 2, 8 bits, one channel), and as a picture."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.processor.frames import Variant
from services.processor.vips import Image
from shared.sound_recipes import Waveform

JSON = "application/json"
_PNG = "image/png"
_Levels = NDArray[np.int8]
_MOST, _STEPS = 32767 / 32768, 128


class Peaks:
    """The lowest and the highest sample of each span. However long the sound, no more of them are held than the
    recipe's `most`: when there are more, two become one."""

    def __init__(self, asked: Waveform) -> None:
        self._asked = asked
        self._rest = np.empty(0, np.float32)
        # Spans of `samples_per_pixel` that wait to be `_factor` of them; then those that are.
        self._factor = 1
        self._waiting = np.empty((0, 2), np.int8)
        self._found = [np.empty((0, 2), np.int8)]
        self._count = 0

    @property
    def samples_per_pixel(self) -> int:
        return self._asked.samples_per_pixel * self._factor

    def take(self, samples: NDArray[np.float32]) -> None:
        """Of shape (samples, channels); those are mixed to one."""
        # Floats may be anything, and no numbers.
        mixed = np.nan_to_num(np.clip(samples, -1, 1)).mean(axis=1)
        mixed = np.concatenate([self._rest, mixed])
        whole = len(mixed) // self._asked.samples_per_pixel * self._asked.samples_per_pixel
        self._rest = mixed[whole:]
        if whole:
            self._gather(_levels(mixed[:whole].reshape(-1, self._asked.samples_per_pixel)))

    def end(self) -> None:
        """What is left is a shorter span."""
        if len(self._rest):
            self._gather(_levels(self._rest.reshape(1, -1)))
        if len(self._waiting):
            self._found.append(_joined(self._waiting, len(self._waiting)))

    def levels(self) -> _Levels:
        """Of shape (spans, 2): lowest, highest."""
        return np.concatenate(self._found)

    def _gather(self, spans: _Levels) -> None:
        spans = np.concatenate([self._waiting, spans])
        whole = len(spans) // self._factor * self._factor
        self._waiting = spans[whole:]
        self._found.append(_joined(spans[:whole], self._factor))
        self._count += whole // self._factor
        while self._count > self._asked.most:
            self._fold()

    def _fold(self) -> None:
        found = self.levels()
        even = len(found) // 2 * 2
        # One that is over waits for its second half.
        self._waiting = np.concatenate([found[even:].repeat(self._factor, axis=0), self._waiting])
        self._found = [_joined(found[:even], 2)]
        self._factor, self._count = self._factor * 2, even // 2


def _levels(samples: NDArray[np.float32]) -> _Levels:
    """Of shape (spans, 2) from (spans, samples), as 8 bits."""
    found = np.stack([samples.min(axis=1), samples.max(axis=1)], axis=1)
    levels: _Levels = np.trunc(np.clip(found, -1, _MOST) * _STEPS).astype(np.int8)
    return levels


def _joined(spans: _Levels, count: int) -> _Levels:
    """Each `count` spans as one."""
    if count == 1:
        return spans
    grouped = spans.reshape(-1, count, 2)
    return np.stack([grouped[:, :, 0].min(axis=1), grouped[:, :, 1].max(axis=1)], axis=1)


def written(asked: Waveform, peaks: Peaks, rate: int) -> tuple[Variant, Variant]:
    """The JSON and the picture. `rate`: samples a second of the original."""
    levels = peaks.levels()
    told = {
        "version": 2,
        "channels": 1,
        "sample_rate": rate,
        "samples_per_pixel": peaks.samples_per_pixel,
        "bits": 8,
        "length": len(levels),
        "data": levels.ravel().tolist(),
    }
    return (
        Variant(
            name=asked.name,
            mime_type=JSON,
            width=0,
            height=0,
            spec=asked.hash,
            body=msgspec.json.encode(told),
        ),
        Variant(
            name=f"{asked.name}_png",
            mime_type=_PNG,
            width=asked.width,
            height=asked.height,
            spec=asked.hash,
            body=drawn(asked, levels),
        ),
    )


def drawn(asked: Waveform, levels: _Levels) -> bytes:
    """A PNG: one column of pixels from the lowest to the highest of its part, on nothing."""
    width, height = asked.width, asked.height
    if not len(levels):
        levels = np.zeros((1, 2), np.int8)
    starts = np.arange(width) * len(levels) // width
    low, high = np.minimum.reduceat(levels[:, 0], starts), np.maximum.reduceat(levels[:, 1], starts)
    top = np.round((127 - high.astype(int)) * (height - 1) / 255)
    bottom = np.round((127 - low.astype(int)) * (height - 1) / 255)
    rows = np.arange(height)[:, None]
    is_drawn = (rows >= np.minimum(top, bottom)) & (rows <= bottom)
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[is_drawn] = (*asked.colour, 255)
    image = Image.new_from_memory(pixels.tobytes(), width, height, 4, "uchar").copy(interpretation="srgb")
    return bytes(image.pngsave_buffer(keep="none"))
