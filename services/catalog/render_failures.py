"""Pictures that could not be made, remembered for a minute: whoever asks again would cost a processor the same once
more, which may be all that a file is allowed to cost."""

import time

from shared.events.rendering import NotRendered

KEPT_SECONDS = 60.0
MOST_KEPT = 1000
# What the file did to its child. Other reasons to come back later say nothing about the file.
_OF_THE_FILE = frozenset({"crash", "memory", "timeout"})


class Failures:
    """By name of the rendering; of this process only."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, NotRendered]] = {}

    def note(self, name: str, answer: NotRendered) -> float:
        """Keep it where it says something about the file; the oldest goes where there are too many. How many seconds it
        is kept: 0 where it is not."""
        if answer.retryable and answer.code not in _OF_THE_FILE:
            return 0.0
        self._kept.pop(name, None)
        self._kept[name] = (time.monotonic() + KEPT_SECONDS, answer)
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return KEPT_SECONDS

    def find(self, name: str) -> tuple[NotRendered, float] | None:
        """The answer of less than a minute ago, and for how many seconds it is kept still."""
        if name not in self._kept:
            return None
        until, answer = self._kept[name]
        left = until - time.monotonic()
        if left <= 0:
            del self._kept[name]
            return None
        return answer, left
