"""Where the five older APIs come in: one thin module each, over the functions that our own routes use.

A module here has no SQL. Its `ROUTER` is a Litestar Router with a path of its own, `dependencies=PARTS` and
`exception_handlers=worded(...)`; it takes requests in its own shape, calls `queries` and `commands`, and shapes what
they return.
"""

from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any, Literal, TypeAlias

from litestar import Response, Router

from services.catalog.database import Database
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects.settings import Name
from shared.dialects.whole import whole

BUILT: tuple[Name, ...] = ("personas", "content", "library", "entities", "mediafiles")
"""The dialects that have a module of their name here: one line each."""

Numbered: TypeAlias = Callable[[int, Caller, Database, CatalogSettings], Awaitable[Response[Any]]]
NUMBERED: dict[Literal["show", "remove"], tuple[Name, str]] = {
    "show": ("entities", "show"),
    "remove": ("entities", "remove"),
}
"""What GET and DELETE of /v1/media/{number} do: a dialect and the name of a `Numbered` in its module. The address is
both theirs and our own, so our own routes ask here when a reference is all digits."""


def mounted(settings: CatalogSettings) -> list[Router]:
    """The routers of those that are built and enabled."""
    return [_module(name).ROUTER for name in BUILT if name in settings.dialects.enabled]


def numbered(settings: CatalogSettings, what: Literal["show", "remove"], ref: str) -> Numbered | None:
    """Who answers for this reference; None for those that are our own API's."""
    name, function = NUMBERED.get(what, (None, ""))
    if name not in settings.dialects.enabled or whole(ref) is None:
        return None
    found: Numbered = getattr(_module(name), function)
    return found


DeleteMany: TypeAlias = Callable[[Sequence[int], Caller, Database, CatalogSettings], Awaitable[Any]]


def deletion_of_many(settings: CatalogSettings) -> DeleteMany | None:
    """Who answers POST /v1/media/batch/delete where it names numbers; None where that API is not there."""
    if "entities" not in settings.dialects.enabled:
        return None
    found: DeleteMany = _module("entities").delete_many
    return found


def _module(name: Name) -> Any:
    """Imported late: the modules are built on our own routes, which ask here."""
    return import_module(f"{__name__}.{name}")
