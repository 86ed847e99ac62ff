"""Errors as `application/problem+json` (RFC 9457), translated here once for every HTTP service."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from shared import allowed, trace
from shared.errors import Invalid, Malformed, TripodError, Unauthenticated, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
"""What a 503 tells clients to wait where the error does not know better."""
_NO_BODY = "'data'"  # all that the framework says: the argument that it has nothing for
_NO_WORD = "Invalid enum value"  # as msgspec begins
log = structlog.get_logger()


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The problem document of every error; `detail` is always there and meant for people."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    trace_id: str | None = None


def document(error: TripodError) -> dict[str, Any]:
    """The JSON members that show an error to its caller."""
    current = trace.current()
    members: dict[str, Any] = {
        "type": f"urn:tripod:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if current is not None:
        members["trace_id"] = current.trace_id
    return {**members, **error.extra}


def headers(error: TripodError) -> dict[str, str]:
    """The headers that go with an error."""
    found = {"Cache-Control": "no-store"}
    retry_after = error.retry_after
    if retry_after is None and isinstance(error, Unavailable):
        retry_after = RETRY_SECONDS
    if retry_after is not None:
        found["Retry-After"] = str(retry_after)
    if isinstance(error, Unauthenticated):
        found["WWW-Authenticate"] = 'Bearer realm="tripod"'
    return found


def answer(_request: Request[Any, Any, Any], error: TripodError) -> Response[bytes]:
    if error.status >= 500:
        log.warning("http.failed", code=error.code, detail=error.detail)
    return Response(
        msgspec.json.encode(document(error), enc_hook=str),
        status_code=error.status,
        headers=headers(error),
        media_type=MEDIA_TYPE,
    )


def _answer_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refuses before our code runs: unknown path, wrong method, unreadable query or body."""
    status = error.status_code
    if status >= 500:
        return _answer_fault(request, error)
    detail = _framework_detail(request, error)
    members: dict[str, Any] = {
        "type": f"urn:tripod:problem:http_{status}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": f"http_{status}",
    }
    current = trace.current()
    if current is not None:
        members["trace_id"] = current.trace_id
    return Response(
        msgspec.json.encode(members),
        status_code=status,
        headers={**(error.headers or {}), "Cache-Control": "no-store"},
        media_type=MEDIA_TYPE,
    )


def _framework_detail(request: Request[Any, Any, Any], error: HTTPException) -> str:
    if error.status_code == 404:
        return f"Nothing is at {request.url.path}."
    if error.status_code == 405:
        return f"{request.method} is not allowed at {request.url.path}."
    return error.detail or "The request was refused."


def _answer_invalid(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Values that can be read and are not what a route takes."""
    faults = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("message") == _NO_BODY for fault in faults):
        return answer(request, Malformed("The body is empty; it must be a JSON object."))
    if not faults:  # its own text repeats the query, which may hold a signature
        return answer(request, Invalid("A parameter that is needed is missing."))
    detail = "; ".join(_field_fault(request, fault) for fault in faults) + "."
    faults = [
        {**fault, "key": allowed.name(request, fault["key"])} if "key" in fault else fault for fault in faults
    ]
    keys = [key for fault in faults if (key := fault.get("key", "")) not in {"", "data"}]
    return answer(request, Invalid(detail, errors=faults, **({"field": keys[0]} if keys else {})))


def _field_fault(request: Request[Any, Any, Any], fault: dict[str, Any]) -> str:
    source = fault.get("source")
    place = str(getattr(source, "value", source) or "request")
    key, message = fault.get("key", ""), fault.get("message", "not valid")
    if message.startswith(_NO_WORD) and (known := allowed.words(request, key)):
        message = f"{message}; it is one of {', '.join(known)}"
    return (
        f"{place}: {message}"
        if key in {"", "data"}
        else f"{place} field {allowed.name(request, key)!r}: {message}"
    )


def _answer_too_deep(request: Request[Any, Any, Any], _error: RecursionError) -> Response[bytes]:
    """A body nested so deeply that reading it runs out of stack; nothing of ours recurses like that."""
    return answer(request, Malformed("The body is nested too deeply."))


def _answer_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: the log has it all, the caller the trace id to ask about."""
    log.error("http.fault", method=request.method, path=request.url.path, exc_info=error)
    return answer(request, TripodError("Something broke on our side; the trace id names it in the logs."))


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    TripodError: answer,
    ValidationException: _answer_invalid,
    HTTPException: _answer_framework,
    RecursionError: _answer_too_deep,
    Exception: _answer_fault,
}
