"""How fast one caller may upload, by this replica: uploads a minute, and bytes a minute.

Each is a bucket that fills evenly and holds one minute's worth. Bytes may be overdrawn, because the length of a body
is often not known before its end: whoever has overdrawn waits until that is filled up. (`limits`, the library for
this, has no such bucket, and its windows of exact hits keep an entry for every byte.)
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from services.ingest.limits import bytes_text
from shared.errors import TooMany

_MINUTE = 60.0
_CALLERS_KEPT = 10_000


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The most in a minute; 0 is no limit."""

    uploads: int = 0
    bytes: int = 0


class RateExceeded(TooMany):
    """Too fast; `Retry-After` says when the next upload is taken."""

    code = "rate_exceeded"
    title = "Too many uploads"


class Bucket:
    """By caller, how much of one minute's worth is used up; it wanes evenly. Those last heard of are kept."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._clock = clock
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def used(self, caller: str) -> float:
        used, at = self._used.get(caller, (0.0, 0.0))
        return max(0.0, used - (self._clock() - at) * self.most / _MINUTE)

    def wait(self, caller: str, room: float) -> float:
        """Seconds until there is so much room."""
        return max(0.0, (self.used(caller) + room - self.most) * _MINUTE / self.most)

    def take(self, caller: str, amount: float) -> None:
        """A negative amount is given back."""
        used = max(0.0, self.used(caller) + amount)
        self._used.pop(caller, None)
        if used:
            self._used[caller] = (used, self._clock())
        if len(self._used) > _CALLERS_KEPT:
            self._used.popitem(last=False)


class Rates:
    """Both buckets; each replica has its own."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._uploads = Bucket(limits.uploads, clock) if limits.uploads else None
        self._bytes = Bucket(limits.bytes, clock) if limits.bytes else None

    def begin(self, caller: str) -> "Flow | None":
        """Count an upload; what its bytes are told to, None where they are not counted. Raises RateExceeded; then
        nothing is counted."""
        self.check(caller)
        if self._uploads:
            self._uploads.take(caller, 1)
        return Flow(self._bytes, caller) if self._bytes else None

    def check(self, caller: str) -> None:
        """Raises RateExceeded where an upload would not be taken now."""
        if self._uploads and (wait := self._uploads.wait(caller, 1)) > 0:
            raise _exceeded(f"at most {self._uploads.most} uploads a minute are taken", wait)
        if self._bytes and (wait := self._bytes.wait(caller, 1)) > 0:
            raise _exceeded(f"at most {bytes_text(self._bytes.most)} a minute are taken", wait)


class Flow:
    """The bytes of one upload."""

    def __init__(self, bucket: Bucket, caller: str) -> None:
        self._bucket = bucket
        self._caller = caller
        self._counted = 0

    def at(self, received: int) -> None:
        """So many have come by now, or will."""
        if received > self._counted:
            self.end(received)

    def end(self, received: int) -> None:
        """So many have come; what did not come after all is given back."""
        self._bucket.take(self._caller, received - self._counted)
        self._counted = received


def _exceeded(what: str, wait: float) -> RateExceeded:
    seconds = max(1, math.ceil(wait))
    return RateExceeded(f"That is too fast: {what}. Try again in {seconds} s.", retry_after=seconds)
