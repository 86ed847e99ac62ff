"""One media of an older API, for whoever may see it there, and the routes on which its bytes are."""

import uuid
from collections.abc import Mapping
from typing import Any

from litestar import HttpMethod

from services.catalog import openapi, queries
from services.catalog.database import Database
from services.catalog.queries import Filters
from services.catalog.routes.common import NOT_MODIFIED, problems
from shared.auth import Caller
from shared.dialects.view import View
from shared.errors import NotFound

BYTES: Mapping[str, Any] = {
    "http_method": [HttpMethod.GET, HttpMethod.HEAD],
    "operation_class": openapi.FileOperation,
    "responses": {**openapi.file("*/*"), **NOT_MODIFIED, **problems(401, 404, 412, 416)},
}
"""What `route` is told of an address of bytes, beside its path and summary."""


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
