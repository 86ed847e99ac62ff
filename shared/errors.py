"""The errors of Tripod. Each carries its consequences: code, HTTP status, whether a retry may help, public text."""

from collections.abc import Mapping
from typing import Any, ClassVar


class TripodError(Exception):
    """A failure with a text for the person who reads it.

    `detail` is public: what was wrong, with which value, and what is allowed. It never holds a secret.
    `extra` are further public members of the problem document (limits, ids).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, retry_after: int | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.extra: Mapping[str, Any] = extra


class Malformed(TripodError):
    """The request cannot be read as what it claims to be."""

    status = 400
    code = "malformed"
    title = "Malformed request"


class Unauthenticated(TripodError):
    """No token, or one that proves nothing."""

    status = 401
    code = "unauthenticated"
    title = "Authentication required"


class Forbidden(TripodError):
    """The caller may see the thing but not do this to it."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFound(TripodError):
    """Absent, or not the caller's to know about: the answer is the same."""

    status = 404
    code = "not_found"
    title = "Not found"


class TooSlow(TripodError):
    """The client sends nothing, or next to nothing, and others want the place."""

    status = 408
    code = "too_slow"
    title = "Request timeout"


class Conflict(TripodError):
    """The request contradicts what is there or what is under way."""

    status = 409
    code = "conflict"
    title = "Conflict"


class Gone(TripodError):
    """It was here, and it was deleted on purpose."""

    status = 410
    code = "gone"
    title = "Gone"


class PreconditionFailed(TripodError):
    """An If-Match or If-Unmodified-Since does not hold any more."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"


class TooLarge(TripodError):
    """Over a size limit, which the detail names."""

    status = 413
    code = "too_large"
    title = "Too large"


class UnsupportedType(TripodError):
    """A type that is not allowed here, or bytes that are not what they claim."""

    status = 415
    code = "unsupported_type"
    title = "Unsupported media type"


class RangeNotSatisfiable(TripodError):
    """A byte range that lies outside of the file."""

    status = 416
    code = "range_not_satisfiable"
    title = "Range not satisfiable"


class Invalid(TripodError):
    """Readable, but a value is not acceptable; the detail names field, value and what is allowed."""

    status = 422
    code = "invalid"
    title = "Invalid value"


class TooMany(TripodError):
    """A rate or quota is used up."""

    status = 429
    code = "too_many"
    title = "Too many requests"
    retryable = True


class HeadTooLarge(TripodError):
    """More headers, or longer ones, than any request needs."""

    status = 431
    code = "head_too_large"
    title = "Request header fields too large"


class Unavailable(TripodError):
    """A part that we depend on does not answer. The outcome of a write may be unknown, never assumed."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"
    retryable = True


class SettingsError(TripodError):
    """The environment asks for something impossible; the detail names each variable."""

    code = "settings"
    title = "Wrong settings"
