"""What the answers of every service have in common, told in its OpenAPI document once for all routes."""

from collections.abc import Mapping
from typing import Any

from litestar import Litestar
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIHeader,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    PathItem,
    Schema,
)

PUBLIC: list[dict[str, list[str]]] = [{}, {"bearer": []}]
"""The `security` of a route that also answers without a token."""
_METHODS = ("get", "put", "post", "delete", "head", "patch")


def header(description: str, kind: OpenAPIType = OpenAPIType.STRING) -> OpenAPIHeader:
    return OpenAPIHeader(description=description, schema=Schema(type=kind))


_EVERY = {
    "X-Trace-Id": header("Names this request in the logs."),
    "Cache-Control": header("Whether and how long the answer may be kept."),
}
_LOCATION = {"Location": header("Where to find what was made.")}
_RETRY = {"Retry-After": header("After how many seconds to try again.", OpenAPIType.INTEGER)}
_OF_STATUS: Mapping[str, dict[str, OpenAPIHeader]] = {
    "201": _LOCATION,
    "202": _LOCATION,
    "401": {"WWW-Authenticate": header("Which kind of token is needed.")},
    "409": _RETRY,
    "429": _RETRY,
    "503": _RETRY,
}


class Described(Litestar):
    """An app whose OpenAPI document tells the headers of its answers."""

    @property
    def openapi_schema(self) -> OpenAPI:
        found = super().openapi_schema
        for item in (found.paths or {}).values():
            _complete(item)
        return found


def _complete(item: PathItem) -> None:
    for method in _METHODS:
        operation: Operation | None = getattr(item, method)
        answers = {} if operation is None or operation.responses is None else operation.responses
        for status, answer in answers.items():
            if not isinstance(answer, OpenAPIResponse):
                continue
            answer.headers = {**_EVERY, **_OF_STATUS.get(status, {}), **(answer.headers or {})}
            if method == "head":
                answer.content = None
        if "304" in answers:
            _tell_not_modified(answers["200"], answers["304"])


def _tell_not_modified(whole: Any, answer: Any) -> None:
    """304 carries what 200 would have carried, but for what describes the body."""
    answer.headers = {**whole.headers, **answer.headers}
    answer.headers.pop("Content-Length", None)


def with_headers(operation: Operation, headers: Mapping[str, OpenAPIHeader], *statuses: int) -> None:
    """Tell headers of the answers of one operation with these statuses."""
    answers: Mapping[str, Any] = operation.responses or {}
    for status in statuses:
        answer = answers[str(status)]
        answer.headers = {**(answer.headers or {}), **headers}
