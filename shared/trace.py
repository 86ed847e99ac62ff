"""One trace id from the HTTP request through the broker and the child process to the last message (W3C)."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
HEADER = "traceparent"


class Trace(msgspec.Struct, frozen=True):
    """A W3C trace context: 32 and 16 hex digits."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """The trace of the work that runs now."""
    return _current.get()


def traceparent() -> str | None:
    """The header value to send along with whatever this work causes."""
    trace = _current.get()
    return trace.traceparent if trace else None


def continue_from(header: str | None) -> Trace:
    """A new span of the trace that the header names; of a new trace where it names none that is valid."""
    match = _TRACEPARENT.fullmatch(header or "")
    known = match.group(1) if match and match.group(1) != "0" * 32 else None
    return Trace(known or os.urandom(16).hex(), os.urandom(8).hex())


@contextmanager
def use(header: str | None) -> Iterator[Trace]:
    """Run the block as part of the trace that the header names."""
    trace = continue_from(header)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
