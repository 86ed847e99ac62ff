"""A dialect as small as can be, for tests of what every dialect leans on."""

from typing import Any

from litestar import HttpMethod, Request, Response, Router, get, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp

from services.catalog import queries
from services.catalog.database import Database
from services.catalog.queries import Filters
from services.catalog.routes import files
from services.catalog.routes.common import PARTS
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects.view import View
from shared.dialects.wording import worded
from shared.errors import NotFound, TripodError

OURS = Filters(profiles=("content",))


async def find(database: Database, caller: Caller, number: int, base_url: str) -> View:
    async with database.reading() as connection:
        view = await queries.find_view(connection, caller, filters=OURS, number=number, base_url=base_url)
    if view is None:
        raise NotFound(f"small {number} is nowhere")
    return view


@get("/{number:int}")
async def show(
    number: FromPath[int],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> dict[str, Any]:
    """One by its number."""
    view = await find(database, optional_caller, number, settings.http.base_url)
    return {"name": view.stored_name, "number": view.media.number}


@route("/{number:int}/download", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def download(
    number: FromPath[int],
    *,
    request: Request[Any, Any, Any],
    optional_caller: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    variant: FromQuery[str | None] = None,
    or_original: FromQuery[bool] = False,
    filename: FromQuery[str | None] = None,
) -> ASGIApp:
    """Its bytes."""
    view = await find(database, optional_caller, number, settings.http.base_url)
    return await files.deliver(
        request, optional_caller, view.media.id, variant=variant, or_original=or_original, filename=filename
    )


async def show_numbered(
    number: int, caller: Caller, database: Database, settings: CatalogSettings
) -> Response[Any]:
    """What GET /v1/media/{number} answers."""
    view = await find(database, caller, number, settings.http.base_url)
    return Response({"numbered": view.media.number})


async def remove_numbered(
    number: int, caller: Caller, database: Database, settings: CatalogSettings
) -> Response[Any]:
    """What DELETE /v1/media/{number} answers."""
    view = await find(database, caller, number, settings.http.base_url)
    return Response({"removed": view.media.number}, status_code=200)


def reword(error: TripodError) -> TripodError:
    return NotFound(f"Small says: {error.detail}") if isinstance(error, NotFound) else error


ROUTER = Router(
    "/small", route_handlers=[show, download], dependencies=PARTS, exception_handlers=worded(reword)
)
