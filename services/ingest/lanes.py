"""Which lane an owner's event takes: one who uploads very much must not delay another's single file."""

import time
from collections import OrderedDict

_WINDOW_SECONDS = 60.0
_OWNERS_KEPT = 10_000


class Lanes:
    """Counts uploads per owner and minute, in this process; the owners last heard of are kept."""

    def __init__(self, bulk_above: int) -> None:
        self._bulk_above = bulk_above
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def of(self, owner: str) -> str:
        """`fresh`, or `bulk` for an owner who has used up this minute's fresh ones."""
        now = time.monotonic()
        began, count = self._windows.pop(owner, (now, 0))
        if now - began >= _WINDOW_SECONDS:
            began, count = now, 0
        self._windows[owner] = (began, count + 1)
        if len(self._windows) > _OWNERS_KEPT:
            self._windows.popitem(last=False)
        return "bulk" if count >= self._bulk_above else "fresh"
