"""The HTTP protocol of every service: uvicorn's, with limits on what a client may send before it is answered, and
on how long it may take for it."""

import asyncio
import enum
import sys
from typing import Any, ClassVar

import httptools
import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from shared import problem, trace
from shared.errors import HeadTooLarge, Malformed, TooSlow, TripodError
from shared.wire_head import fault

log = structlog.get_logger()

HEAD_BYTES = 64 * 1024
HEADERS = 100
LEAST_BYTES_A_SECOND = 256
LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024


class Stage(enum.Enum):
    """Where in a request the client is."""

    IDLE = 1
    HEAD = 2
    BODY = 3


class _Refused(Exception):
    """Ends the parser; the reason is with the protocol."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Everything is counted per read, not per header: a read of a body costs two additions."""

    head_seconds: ClassVar[float] = 10.0
    """For a request line and its headers, from the first byte on."""
    stall_seconds: ClassVar[float] = 30.0
    """The time over which a body has to bring LEAST_BYTES_A_SECOND on average."""
    looks: ClassVar[int] = 6
    """How often the body is looked at within that time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stage = Stage.IDLE
        self._unparsed = (
            0  # bytes since the parser last had something whole: headers, a piece of a body, a message
        )
        self._body_bytes = 0
        self._counts: list[int] = []  # of the body's bytes at the last looks
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: TripodError | None = None
        self._deaf = False
        self._dropped = 0

    # The transport speaks.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_next()  # a client that never says anything is as idle as one between two requests

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._drop(len(data))
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._timer is None and (self._stage is not Stage.IDLE or self._unparsed):
            self._start_timer()
        if self._unparsed > HEAD_BYTES and not self._deaf:
            self._refuse(_too_large())

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client may close its side behind a whole request and still wait for the answer."""
        if self._stage is not Stage.IDLE or not self._owes_answer():
            return None
        self.cycle.keep_alive = False
        return True

    # The parser speaks.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stage = Stage.HEAD

    def on_headers_complete(self) -> None:
        if len(self.headers) > HEADERS or (self._unparsed > HEAD_BYTES and self._head_size() > HEAD_BYTES):
            self._refusal = _too_large()
            raise _Refused
        self._refusal = fault(
            self.headers,
            method=self.parser.get_method(),
            version=self.parser.get_http_version(),
            upgrades=self.parser.should_upgrade(),
        )
        if self._refusal is not None:
            raise _Refused
        super().on_headers_complete()
        self._stage = Stage.BODY
        self._unparsed = 0
        self._stop_timer()
        if not self.parser.should_upgrade():
            self.headers = []  # trailers are no headers: what was decided by those must hold

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stage = Stage.IDLE
        self._unparsed = 0
        self._stop_timer()
        if not self._owes_answer():  # answered early, and this data has ended the wait for the next one
            self._wait_for_next()

    def handle_websocket_upgrade(self) -> None:
        self._stop_timer()
        self._unset_keepalive_if_required()
        self._stage, self._unparsed = Stage.IDLE, 0  # no timer may start when this returns
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- ours says more
        self._refuse(self._refusal or _malformed(sys.exception()))

    # The clock speaks.

    def _start_timer(self) -> None:
        if self._deaf or self.transport.is_closing():
            return
        if self._stage is Stage.BODY:
            self._counts = [self._body_bytes]
            self._timer = self.loop.call_later(self.stall_seconds / self.looks, self._look)
        else:
            self._timer = self.loop.call_later(self.head_seconds, self._head_late)

    def _wait_for_next(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_late(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # it is us who do not read
            self._start_timer()
        else:
            self._refuse(
                TooSlow(f"The request's headers were not complete within {self.head_seconds:g} seconds.")
            )

    def _look(self) -> None:
        """See how much of the body came lately. While we do not read, or have not asked for it, time stands still."""
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._start_timer()
            return
        self._counts.append(self._body_bytes)
        if len(self._counts) > self.looks:
            came = self._counts[-1] - self._counts.pop(0)
            if came < LEAST_BYTES_A_SECOND * self.stall_seconds:
                self._refuse(_too_slow(came, self.stall_seconds))
                return
        self._timer = self.loop.call_later(self.stall_seconds / self.looks, self._look)

    # What becomes of it.

    def _owes_answer(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        return cycle is not None and not cycle.response_complete

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, error: TripodError) -> None:
        """Answer with the error where an answer is due, and hear nothing more from this client."""
        self._stop_timer()
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        log.info("http.refused", status=error.status, detail=error.detail)
        if self._stage is not Stage.BODY and self._owes_answer():
            self.cycle.keep_alive = False  # an earlier request's answer comes first, and is the last
            return
        if self._stage is Stage.BODY:
            if not self._owes_answer() or self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True  # its handler may write no second answer
            self.cycle.message_event.set()
        if self._stage is not Stage.IDLE or not isinstance(
            error, TooSlow
        ):  # who asked nothing gets no answer
            self.transport.write(_whole(error))
        self._linger()

    def _linger(self) -> None:
        """Closing at once would reset the connection under a client that still sends, and lose it the answer."""
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > LINGER_BYTES:
            self.transport.abort()


def limited(stall_seconds: float) -> type[LimitedProtocol]:
    """The protocol with another patience for bodies."""
    return type("LimitedProtocol", (LimitedProtocol,), {"stall_seconds": stall_seconds})


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"The request line and headers are too large: {HEAD_BYTES} bytes and {HEADERS} headers are allowed."
    )


def _too_slow(came: int, seconds: float) -> TooSlow:
    return TooSlow(
        f"Only {came} bytes of the body came within {seconds:g} seconds; "
        f"at least {LEAST_BYTES_A_SECOND} a second are needed."
    )


def _malformed(error: BaseException | None) -> Malformed:
    why = "the request line or a header cannot be read"
    if isinstance(error, httptools.HttpParserError) and not isinstance(
        error, httptools.HttpParserCallbackError
    ):
        why = str(error)
    return Malformed(f"This is not HTTP/1.1: {why}.")


def _whole(error: TripodError) -> bytes:
    """The answer as it goes over the wire. There is no request that it could continue the trace of."""
    with trace.use(None) as current:
        body = msgspec.json.encode(problem.document(error))
        headers = {
            "Content-Type": problem.MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
            "X-Trace-Id": current.trace_id,
            "Access-Control-Allow-Origin": "*",
            **problem.headers(error),
        }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + lines.encode("latin-1") + b"\r\n" + body
