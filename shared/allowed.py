"""What a parameter or a member of a body may be, where it is one of some words: refusals name them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from litestar import Request
from litestar.params import ParameterKwarg


def words(request: Request[Any, Any, Any], key: str) -> tuple[str, ...]:
    """Those that the route's parameter, or the member of its body, of this name takes; none where it takes others."""
    signature = request.route_handler.parsed_fn_signature.parameters
    body = signature.get("data")
    if key in signature and key != "data":
        return tuple(_words(signature[key].raw))
    members = _members(body.raw) if body is not None else {}
    return tuple(_words(members.get(key)))


def name(request: Request[Any, Any, Any], key: str) -> str:
    """What who asks calls the parameter that the route's function calls `key`."""
    parameter = request.route_handler.parsed_fn_signature.parameters.get(key)
    told = parameter.kwarg_definition if parameter is not None else None
    if not isinstance(told, ParameterKwarg):
        return key
    return told.name or told.query or told.header or told.cookie or key


def _members(annotation: Any) -> dict[str, Any]:
    struct = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return {}
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def _words(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (str(word) for word in get_args(annotation))
        return
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    for one in inner:
        yield from _words(one)
