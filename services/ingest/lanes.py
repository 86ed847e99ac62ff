"""Which lane an event takes: who uploads very much, or what takes very long, must not delay another's single file."""

import time
from collections import OrderedDict
from collections.abc import Callable

from shared.events.topology import SLOW
from shared.jpeg_frame import jpeg_frame

_WINDOW_SECONDS = 60.0
_OWNERS_KEPT = 10_000


class Lanes:
    """Counts uploads per owner and minute, in this process; the owners last heard of are kept.

    Who has used up a minute's fresh ones is in the bulk lane until a whole minute had no more than that: a flood
    has its fresh ones once, not every minute anew.
    """

    def __init__(self, bulk_above: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bulk_above = bulk_above
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int, bool]] = OrderedDict()

    def of(self, owner: str, head: bytes = b"") -> str:
        """`fresh`, or `bulk` for an owner who uploads more than the fresh ones of a minute. `slow` where the file's
        first bytes show a large progressive JPEG; where they do not, the processor will see."""
        now = self._clock()
        began, count, flooding = self._windows.pop(owner, (now, 0, False))
        if now - began >= _WINDOW_SECONDS:
            # What was counted is of the minute before this one only where the owner has not paused since.
            flooding = count > self._bulk_above and now - began < 2 * _WINDOW_SECONDS
            began, count = now, 0
        count += 1
        self._windows[owner] = (began, count, flooding)
        if len(self._windows) > _OWNERS_KEPT:
            self._windows.popitem(last=False)
        frame = jpeg_frame(head)
        if frame is not None and frame.is_heavy:
            return SLOW
        return "bulk" if flooding or count > self._bulk_above else "fresh"
