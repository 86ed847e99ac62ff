"""Which lane an event takes: who uploads very much, or what takes very long, must not delay another's single file."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from shared.events.topology import SLOW
from shared.jpeg_frame import jpeg_frame

_WINDOW_SECONDS = 60.0
_OWNERS_KEPT = 10_000
_PIXELS_A_WEIGHT = 4_000_000
_BYTES_A_WEIGHT = 4 * 1024 * 1024
_UNKNOWN_WEIGHT = 8  # of 32 megapixels: a compressed TIFF or a JPEG behind much metadata, honest ones mostly
_MOST_WEIGHT = 25  # of 100 megapixels, which is the most that a processor takes unless it is told otherwise
_MOST_MOVING_WEIGHT = 125  # of 500 megapixels, which is the most that a processor decodes of an animation


def weight(media_type: str, sides: tuple[int, int] | None, size: int, *, moving: int = 0) -> int:
    """How many small uploads a file counts for: one for every started 4 megapixels of a picture, or for every 4 MiB
    where that is more. A picture whose sides are not known yet may be any. `moving`: the pixels of all pictures of an
    animation, of which a megabyte may have hundreds of millions. 1 for other types: nothing is computed from them."""
    if media_type != "image":
        return 1
    by_pixels = _UNKNOWN_WEIGHT if sides is None else math.ceil(sides[0] * sides[1] / _PIXELS_A_WEIGHT)
    still = min(max(1, by_pixels, math.ceil(size / _BYTES_A_WEIGHT)), _MOST_WEIGHT)
    return max(still, min(math.ceil(moving / _PIXELS_A_WEIGHT), _MOST_MOVING_WEIGHT))


@dataclass(slots=True)
class _Minute:
    """Of one owner. `used`: the weights so far. `above`: some came when all fresh ones were used up, `flooding`: some
    did in the minute before."""

    began: float
    used: int = 0
    above: bool = False
    flooding: bool = False


class Lanes:
    """Weighs uploads per owner and minute, in this process; the owners last heard of are kept.

    Who has used up a minute's fresh ones is in the bulk lane until a whole minute had no more than that: a flood
    has its fresh ones once, not every minute anew. The first file of who is no flood is fresh, however heavy.
    """

    def __init__(self, bulk_above: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bulk_above = bulk_above
        self._clock = clock
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()

    def of(self, owner: str, head: bytes = b"", *, weight: int = 1) -> str:
        """`fresh`, or `bulk` for an owner who uploads more than the fresh ones of a minute. `slow` where the file's
        first bytes show a large progressive JPEG; where they do not, the processor will see."""
        minute = self._minute(owner)
        minute.above |= minute.used >= self._bulk_above
        minute.used += weight
        frame = jpeg_frame(head)
        if frame is not None and frame.is_heavy:
            return SLOW
        return "bulk" if minute.flooding or minute.above else "fresh"

    def _minute(self, owner: str) -> _Minute:
        now = self._clock()
        minute = self._minutes.pop(owner, None) or _Minute(now)
        since = now - minute.began
        if since >= _WINDOW_SECONDS:
            # What was counted is of the minute before this one only where the owner has not paused since.
            minute = _Minute(now, flooding=minute.above and since < 2 * _WINDOW_SECONDS)
        self._minutes[owner] = minute
        if len(self._minutes) > _OWNERS_KEPT:
            self._minutes.popitem(last=False)
        return minute
