"""Media of an older API, one or a page of them, for whoever may see them there, and the routes of their bytes."""

import uuid
from collections.abc import Mapping
from typing import Any

from litestar import HttpMethod

from services.catalog import openapi, queries
from services.catalog.database import Database
from services.catalog.queries import Filters
from services.catalog.routes.common import NOT_MODIFIED, problems
from services.catalog.schemas import TimeSort
from shared.auth import Caller
from shared.dialects.view import View
from shared.errors import NotFound

BYTES: Mapping[str, Any] = {
    "http_method": [HttpMethod.GET, HttpMethod.HEAD],
    "operation_class": openapi.FileOperation,
    "responses": {**openapi.file("*/*"), **NOT_MODIFIED, **problems(401, 404, 412, 416)},
}
"""What `route` is told of an address of bytes, beside its path and summary."""


MOST = 10_000
"""The media in one answer of an API that knows no pages."""


async def find(
    database: Database,
    caller: Caller,
    filters: Filters,
    *,
    absent: NotFound,
    number: int | None = None,
    media_id: uuid.UUID | None = None,
    base_url: str = "",
) -> View:
    """By its number or id; neither is that of no media. Raises `absent`, in the words of the document, for what the
    filters or the caller's rights leave out."""
    async with database.reading_for(caller) as connection:
        found = await queries.find_view(
            connection, caller, filters=filters, number=number, media_id=media_id, base_url=base_url
        )
    if found is None:
        raise absent
    return found


async def find_page(
    database: Database,
    caller: Caller,
    filters: Filters,
    *,
    skip: int = 0,
    limit: int = MOST,
    sort: TimeSort = "-created_at",
    base_url: str = "",
) -> list[View]:
    """Those of a place in the order, the newest first unless asked otherwise."""
    async with database.reading_for(caller) as connection:
        return await queries.offset_page(
            connection, caller, filters, sort=sort, offset=skip, limit=limit, base_url=base_url
        )


async def find_numbered_page(
    database: Database, caller: Caller, filters: Filters, *, page: int, size: int
) -> tuple[int, list[View]]:
    """How many there are, and those of this page, of which the first is 1."""
    async with database.reading_for(caller) as connection:
        count = await queries.count(connection, caller, filters)
        found = await queries.offset_page(
            connection, caller, filters, sort="-created_at", offset=(page - 1) * size, limit=size, base_url=""
        )
    return count, found
