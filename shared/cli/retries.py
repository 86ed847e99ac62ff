"""When a request is sent again and after how long: after a lost connection, and where the server says that it helps."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_base, wait_exponential_jitter

from shared.cli.failures import Refused, Unreachable
from shared.errors import TripodError

_ALWAYS = {502, 503, 504}
_WHEN_TOLD = {404, 408, 409, 425, 429}
"""Statuses after which asking again helps only if the answer has a Retry-After: a quota that is used up has none."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often one thing is tried in all, the first pause in seconds (it doubles), and the longest one. A server that
    asks for a longer pause than that is not waited for."""

    attempts: int = 8
    first: float = 0.5
    longest: float = 60.0


def may_help(error: BaseException, longest: float) -> bool:
    """Whether the same request may be answered otherwise soon."""
    if isinstance(error, Unreachable):
        return True
    if not isinstance(error, Refused):
        return False
    told = error.retry_after
    if told is not None and told > longest:
        return False
    return error.answered in _ALWAYS or (error.answered in _WHEN_TOLD and told is not None)


class _AsTold(wait_base):
    """The pause that the server asked for; ours, which grows, where that is longer."""

    def __init__(self, patience: Patience) -> None:
        self._ours = wait_exponential_jitter(
            multiplier=patience.first, max=patience.longest, jitter=patience.first
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        told = error.retry_after if isinstance(error, TripodError) else None
        return max(self._ours(retry_state), float(told or 0))


def retrying(
    patience: Patience, noting: Callable[[BaseException, float], None] | None = None
) -> AsyncRetrying:
    """Call it with a coroutine function. Raises what the last attempt raised; `noting` hears of each error that is
    followed by another attempt, with the seconds until then."""

    def note(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if noting is not None and error is not None:
            noting(error, state.upcoming_sleep)

    return AsyncRetrying(
        stop=stop_after_attempt(patience.attempts),
        wait=_AsTold(patience),
        retry=retry_if_exception(lambda error: may_help(error, patience.longest)),
        before_sleep=note,
        reraise=True,
    )


def seconds_of(retry_after: str | None) -> int | None:
    """Of a Retry-After header, which is a number or a date; None where it is neither."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return int(retry_after[:9])
    try:
        return max(0, round(parsedate_to_datetime(retry_after).timestamp() - time.time()))
    except ValueError:
        return None
