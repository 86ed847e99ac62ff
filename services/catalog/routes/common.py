"""What the routes share: references, the parts that handlers ask for, and how refusals are documented."""

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec

from services.catalog.queries import absent
from shared.errors import Invalid
from shared.ids import parse_ref
from shared.json_body import MOST_BYTES
from shared.problem import MEDIA_TYPE, Problem

TAG_MEDIA, TAG_FILES, TAG_ENTITIES = "media", "files", "entities"
_WHY = {
    400: "The request cannot be read",
    401: "A token is needed",
    403: "The caller may see it but not do this",
    404: "Absent, or not the caller's to know of",
    412: "If-Match or If-Unmodified-Since does not hold any more",
    413: f"The body is larger than {MOST_BYTES} bytes",
    416: "The range lies outside of the file",
    422: "A value is not acceptable",
    503: "A part that this depends on does not answer; try again after Retry-After",
}


def problems(*statuses: int) -> Mapping[int, ResponseSpec]:
    """How a route documents its refusals; 400 and 503 go for all."""
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            description=_WHY.get(status, HTTPStatus(status).phrase),
            media_type=MEDIA_TYPE,
        )
        for status in sorted({*statuses, 400, 503})
    }


OWN_ANSWER = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
"""The headers of an answer that is for this caller alone."""
NOT_MODIFIED = {
    304: ResponseSpec(None, generate_examples=False, description="What the caller has is still good")
}
NO_CONTENT = {204: ResponseSpec(None, generate_examples=False, description="It is gone")}


def media_id_of(ref: str) -> uuid.UUID:
    """Raises NotFound for what can be no reference: nothing is there."""
    media_id = parse_ref(ref)
    if media_id is None:
        raise absent(ref)
    return media_id


def no_nul(**texts: str | None) -> None:
    """Raises Invalid for a parameter that PostgreSQL could not compare with anything."""
    for name, text in texts.items():
        if text is not None and "\0" in text:
            raise Invalid(f"The parameter {name} contains a NUL character, which is not allowed.", field=name)


def _part(name: str) -> Provide:
    def provide(state: State) -> Any:
        return state[name]

    return Provide(provide, sync_to_thread=False)


PARTS: dict[str, Provide] = {
    name: _part(name) for name in ("database", "blobs", "settings", "feed", "metrics", "stems")
}
"""By these names a handler gets: Database, Blobs, CatalogSettings, Feed, CatalogMetrics, Stems."""
