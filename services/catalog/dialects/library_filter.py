"""Filters of the media library, `{conditions, operator, order_by, ...}`, read into our own filter language."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from services.catalog import filtered
from services.catalog.candidates import Search
from services.catalog.database import Database
from services.catalog.filtered import Slice
from services.catalog.filters.fields import FIELDS, OF_OLDER_APIS, Field, Operator
from services.catalog.filters.language import (
    MOST_CONDITIONS,
    MOST_DEPTH,
    Both,
    Condition,
    Either,
    Filter,
    Not,
    fault,
    short,
)
from services.catalog.filters.values import read_value
from services.catalog.routes.common import problems
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects import library
from shared.dialects.library import PROFILE, LibraryFile
from shared.dialects.whole import whole
from shared.openapi import PUBLIC

Joined: TypeAlias = Literal["and", "or"]
OURS: Mapping[str, str] = {
    "id": "number",
    "filename": "filename",
    "file_size": "size",
    "mime_type": "mime_type",
    "file_type": "media_type",
    "description": "description",
    "alt_text": "alt_text",
    "user_id": "owner_number",
    "is_public": "is_public",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
"""The fields of a file, and what our filters call them."""
_COMPARED: Mapping[str, Operator] = {
    "eq": "eq", "ne": "ne", "in": "in", "not_in": "nin", "is_null": "is_null", "is_not_null": "is_null",
}  # fmt: skip
_ORDERED: Mapping[str, Operator] = {
    **_COMPARED, "gt": "gt", "gte": "gte", "lt": "lt", "lte": "lte", "between": "between",
}  # fmt: skip
_WRITTEN: Mapping[str, Operator] = {
    **_COMPARED, "contains": "contains", "icontains": "ilike", "startswith": "starts_with", "endswith": "ends_with",
    "starts_with": "starts_with", "ends_with": "ends_with", "like": "like", "ilike": "ilike",
}  # fmt: skip
"""Operators of flags and of types, of numbers and times, and of texts, and what our filters call them."""
_TRUE = Both(())
_WILD = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


class LibraryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to find. A condition is `{field, operator, value}`, or a group `{conditions, operator}` of its own. Without
    `order_by` the newest come first; with it, the least."""

    conditions: list[Any] | None = None
    operator: Joined = "and"
    order_by: str | None = None
    order_direction: Literal["asc", "desc"] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] | None = 100
    offset: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = 0

    @property
    def most(self) -> int:
        return 100 if self.limit is None else self.limit

    @property
    def skipped(self) -> int:
        return self.offset or 0


class LibraryPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `total`: how many files the filter lets through in all."""

    data: list[LibraryFile]
    total: int
    limit: int
    offset: int
    has_more: bool


def read(query: LibraryQuery) -> Filter:
    """The conditions, within the files of the library. Raises Invalid, which names the place, the value and what is
    allowed."""
    asked = _Reader().joined(query.conditions or [], query.operator, "conditions", 1)
    here = Condition(name="profile", operator="eq", value=PROFILE)
    return Both((here,)) if asked is None else Both((here, asked))


class _Reader:
    """Counts what it has read: a filter is a few questions, not a program."""

    def __init__(self) -> None:
        self._conditions = 0

    def joined(self, said: Any, operator: Any, place: str, depth: int) -> Filter | None:
        """None for a group without conditions, which asks nothing."""
        if depth > MOST_DEPTH:
            raise fault(place, f"is nested more than {MOST_DEPTH} deep")
        if not isinstance(said, list):
            raise fault(place, f"is {short(said)}; it must be a list of conditions")
        if operator not in get_args(Joined):
            raise fault(_beside(place, "operator"), f"is {short(operator)}; it is and, or or")
        read = [self._part(part, f"{place}[{index}]", depth) for index, part in enumerate(said)]
        parts = tuple(part for part in read if part is not None)
        if not parts:
            return None
        return Both(parts) if operator == "and" else Either(parts)

    def _part(self, said: Any, place: str, depth: int) -> Filter | None:
        if not isinstance(said, Mapping):
            raise fault(place, f"is {short(said)}; a condition is an object of field, operator and value")
        if "conditions" in said:
            inner = said["conditions"]
            return self.joined(inner, said.get("operator", "and"), f"{place}.conditions", depth + 1)
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise fault(place, f"is condition {self._conditions}; at most {MOST_CONDITIONS} are allowed")
        name, operator = said.get("field"), said.get("operator")
        if not isinstance(name, str) or name not in OURS:
            raise fault(f"{place}.field", f"is {short(name)}; there are {', '.join(OURS)}")
        known = _operators(_field(name))
        if not isinstance(operator, str) or operator not in known:
            raise fault(f"{place}.operator", f"is {short(operator)}; {name} has {', '.join(known)}")
        try:
            return _condition(OURS[name], _field(name), operator, said.get("value"))
        except ValueError as error:
            what = f"is {short(said.get('value'))}; {name} {operator} {error}"
            raise fault(f"{place}.value", what) from None


def _field(name: str) -> Field:
    ours = OURS[name]
    return FIELDS.get(ours) or OF_OLDER_APIS[ours]


def _operators(field: Field) -> Mapping[str, Operator]:
    if field.kind in {"text", "word"}:
        return _WRITTEN
    return _ORDERED if field.kind in {"whole", "moment"} else _COMPARED


def _condition(name: str, field: Field, operator: str, value: Any) -> Filter:
    """As SQL has it: what has no value is not unlike one either. Raises ValueError with what is allowed."""
    if operator in {"is_null", "is_not_null"} or (value is None and operator in {"eq", "ne"}):
        return _there(name, field, wanted=operator in {"is_not_null", "ne"})
    known = _operators(field)[operator]
    said = _meant(field, operator, value)
    found = Condition(name=name, operator=known, value=read_value(field, known, said))
    if known in {"ne", "nin"} and field.optional:
        return Both((_there(name, field, wanted=True), found))
    return found


def _there(name: str, field: Field, *, wanted: bool) -> Filter:
    if field.optional:
        return Condition(name=name, operator="is_null", value=not wanted)
    return _TRUE if wanted else Not(_TRUE)


def _meant(field: Field, operator: str, value: Any) -> Any:
    """The value in our words: lists are lists, times have a zone, and what is looked for stands for itself."""
    one = _MEANT.get(field.kind, _same)
    if operator in {"in", "not_in"}:
        return [one(part) for part in (value if isinstance(value, list) else [value])]
    if operator == "between" and isinstance(value, list):
        return [one(part) for part in value]
    if operator == "icontains" and isinstance(value, str):
        return f"%{value.translate(_WILD)}%"
    return one(value)


def _same(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    """Forms send numbers as texts."""
    if isinstance(value, str):
        found = whole(value)
        return value if found is None else found
    return int(value) if isinstance(value, float) and math.isfinite(value) and value == int(value) else value


def _time(value: Any) -> Any:
    """Theirs have no zone, and are in UTC; a day alone is its begin."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    return value if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC).isoformat()


_MEANT: Mapping[str, Callable[[Any], Any]] = {"whole": _number, "moment": _time}


def _beside(place: str, name: str) -> str:
    return f"{place.rpartition('.')[0]}.{name}".lstrip(".")


async def _find(
    query: LibraryQuery, caller: Caller, database: Database, settings: CatalogSettings, *, counted: bool
) -> Slice:
    asked = read(query)
    if query.order_by is not None and query.order_by not in OURS:
        raise fault("order_by", f"is {short(query.order_by)}; there are {', '.join(OURS)}")
    descending = (query.order_direction or ("asc" if query.order_by else "desc")) == "desc"
    return await filtered.find(
        database,
        Search(caller=caller, asked=asked, sort="-created_at", limit=query.most),
        filtered.order_of(OURS[query.order_by or "created_at"], descending=descending),
        offset=query.skipped,
        counted=counted,
        base_url=settings.http.base_url,
    )


def _shaped(found: Slice, settings: CatalogSettings) -> list[LibraryFile]:
    return [library.shape(one, settings.http.base_url) for one in found.items]


_ROUTE: Mapping[str, Any] = {
    "status_code": 200,
    "security": PUBLIC,
    "responses": problems(401, 413, 422),
}


@post("/media/filter", summary="The files that a filter lets through", **_ROUTE)
async def filter_files(
    data: JSONBody[LibraryQuery],
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> list[LibraryFile]:
    """Those that the caller may see. Conditions hold together with `and`, one is enough with `or`."""
    return _shaped(await _find(data, reader, database, settings, counted=False), settings)


@post("/media/filter/paginated", summary="The same, with how many there are", **_ROUTE)
async def filter_pages(
    data: JSONBody[LibraryQuery],
    reader: NamedDependency[Caller],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
) -> LibraryPage:
    """`limit` and `offset` as they were asked for, and whether there are more behind them."""
    found = await _find(data, reader, database, settings, counted=True)
    total, end = found.total or 0, data.skipped + len(found.items)
    return LibraryPage(
        data=_shaped(found, settings),
        total=total,
        limit=data.most,
        offset=data.skipped,
        has_more=end < total,
    )


HANDLERS = (filter_files, filter_pages)
