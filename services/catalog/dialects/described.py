"""How forms that a dialect reads by hand show in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)


def form_body(*texts: str, name: str) -> Any:
    """The `operation_class` of a form of optional texts, URL-encoded or multipart. `name` is the operation's id."""
    properties: dict[str, Reference | Schema] = {each: Schema(type=OpenAPIType.STRING) for each in texts}

    @dataclass
    class Form(Operation):
        def __post_init__(self) -> None:
            shown = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, properties=properties))
            kinds = ("application/x-www-form-urlencoded", "multipart/form-data")
            self.request_body = RequestBody(content=dict.fromkeys(kinds, shown), required=False)
            self.operation_id = name

    return Form
