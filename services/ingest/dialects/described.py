"""How the dialects' upload routes show in the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Reference, RequestBody, Schema

from services.ingest.openapi import FIELDS, FILE, HEADERS, REPLAYED, RESPONSES, shown
from shared.openapi import with_headers


def form_of(
    *names: str,
    name: str,
    file: str = "file",
    also: Mapping[str, Schema] | None = None,
    needs: tuple[str, ...] = (),
) -> Any:
    """The `operation_class` of a form with one file, fields of ours by these names, and those that are `also` there,
    of which it `needs` some. `name` is the operation's id."""
    properties: dict[str, Reference | Schema] = {
        file: FILE,
        **{each: FIELDS[each] for each in names},
        **(also or {}),
    }

    @dataclass
    class DialectForm(Operation):
        def __post_init__(self) -> None:
            schema = Schema(type=OpenAPIType.OBJECT, properties=properties, required=[file, *needs])
            self.request_body = RequestBody(
                content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
            )
            self.parameters = [*(self.parameters or ()), *HEADERS]
            with_headers(self, REPLAYED, 201)
            self.operation_id = name

    return DialectForm


def described(answer: Any) -> dict[int, ResponseSpec]:
    """The answer of a dialect, which is always 201, and the refusals of every upload."""
    ours = {status: spec for status, spec in RESPONSES.items() if status != 202}
    return ours | {201: shown(answer, "Stored and announced")}
