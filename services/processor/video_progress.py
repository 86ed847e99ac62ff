"""How far a video's job is, told often enough that whoever watches sees it move."""

import time
from collections.abc import Callable

from services.processor.frames import Ahead

EVERY = 0.5  # seconds


class Course:
    """The whole job from 0 to 100 percent, of which each part has its share."""

    def __init__(self, report: Callable[[Ahead], None]) -> None:
        self._report = report
        self._began = self._told = time.monotonic()
        self._step, self._from, self._to, self._furthest = "start", 0.0, 0.0, 0.0

    def enter(self, step: str, until: float) -> None:
        """From here on `step`, which ends at `until` percent."""
        self._step, self._from, self._to = step, self._to, until
        self.at(0.0, now=True)

    def at(self, share: float, *, now: bool = False) -> None:
        """So much of this step is done, from 0 to 1. What is begun again after all does not go back."""
        moment = time.monotonic()
        if not now and moment - self._told < EVERY:
            return
        self._told = moment
        percent = self._from + (self._to - self._from) * min(1.0, max(0.0, share))
        self._furthest = percent = max(self._furthest, percent)
        passed = moment - self._began
        eta = round(passed * (100 - percent) / percent, 1) if percent >= 1 and passed > EVERY else None
        self._report(Ahead(step=self._step, percent=int(percent), eta=eta))
