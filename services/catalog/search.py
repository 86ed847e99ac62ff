"""Searches: a page of what a filter lets through, found without ever reading more rows than a page may cost."""

import uuid
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, bindparam, select, true, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import cursors, rights
from services.catalog.cursors import Place
from services.catalog.filters.compiled import compiled
from services.catalog.filters.language import Both, Condition, Filter
from services.catalog.models import media
from services.catalog.queries import PLACE, Page, order_of
from services.catalog.row_security import unrestricted
from services.catalog.rows import shaped_rows, show_to_caller
from services.catalog.schemas import Sort
from shared.auth import Caller

READ_AT_MOST = 20_000
"""Rows that a page looks at. What asks for more goes on behind them: such a page is short, and has a cursor."""
_SELECTIVE = frozenset({"id", "number", "sha256"})
_ORDERED = frozenset({"owner", "profile", "entity_type", "entity_id"})


class _Bound(msgspec.Struct, frozen=True):
    """The last row that a page looks at."""

    created_at: datetime
    id: uuid.UUID


async def search_media(
    connection: AsyncConnection,
    caller: Caller,
    asked: Filter | None,
    *,
    sort: Sort,
    limit: int,
    after: Place | None,
    base_url: str,
) -> Page:
    """One page in the order of `sort`, from behind `after`, of what the filter lets through and the caller may see."""
    condition = compiled(asked, private=rights.changeable(caller)) if asked is not None else true()
    grounds = rights.grounds(caller)
    places = _places(sort, after, _in_order(asked))
    bound = None
    async with unrestricted(connection, caller):
        if not _is_selective(asked):
            bound = await _bound(connection, places, grounds, sort)
            if bound is not None:
                last = tuple_(bindparam("until", bound.created_at), bindparam("until_id", bound.id))
                places = places.where(
                    tuple_(*PLACE) <= last if sort == "created_at" else tuple_(*PLACE) >= last
                )
        ways = _on_each(places.where(condition).limit(limit + 1), grounds).subquery()
        ends = (ways.c.created_at, ways.c.id)
        order = ends if sort == "created_at" else tuple(column.desc() for column in ends)
        ids = (await connection.scalars(select(ways.c.id).order_by(*order).limit(limit + 1))).all()
    rows = await shaped_rows(connection, caller, ids)
    shown = rows[:limit]
    end = None
    if len(rows) > limit:
        end = cursors.place(sort, shown[-1]["created_at"], shown[-1]["id"])
    elif bound is not None:
        end = cursors.place(sort, bound.created_at, bound.id)
    return Page(items=[show_to_caller(row, base_url) for row in shown], end=end)


def _places(sort: Sort, after: Place | None, narrowed: ColumnElement[bool]) -> Select[Any]:
    found = select(*PLACE).where(narrowed).order_by(*order_of(sort))
    if after is None:
        return found
    known = tuple_(bindparam("at", after.at, media.c.created_at.type), bindparam("last", after.id))
    return found.where(tuple_(*PLACE) > known if sort == "created_at" else tuple_(*PLACE) < known)


async def _bound(
    connection: AsyncConnection, places: Select[Any], grounds: tuple[ColumnElement[bool], ...], sort: Sort
) -> _Bound | None:
    """The last row that the page may look at; None where there are fewer. An index alone answers this."""
    ways = _on_each(places.limit(READ_AT_MOST + 1), grounds).subquery()
    ends = (ways.c.created_at, ways.c.id)
    order = ends if sort == "created_at" else tuple(column.desc() for column in ends)
    row = (await connection.execute(select(*ends).order_by(*order).offset(READ_AT_MOST - 1).limit(2))).all()
    return _Bound(*row[0]) if len(row) == 2 else None


def _on_each(places: Select[Any], grounds: tuple[ColumnElement[bool], ...]) -> Any:
    """Each ground on which the caller may see rows is asked by itself: each has an index in this order."""
    ways = [places.where(ground) for ground in grounds]
    return union(*ways) if len(ways) > 1 else ways[0]


def _parts(asked: Filter | None) -> tuple[Filter, ...]:
    """What must hold together."""
    if isinstance(asked, Both):
        return tuple(part for inner in asked.parts for part in _parts(inner))
    return () if asked is None else (asked,)


def _is_selective(asked: Filter | None) -> bool:
    """Whether an index finds the few rows that it may be about."""
    return any(
        isinstance(part, Condition) and part.name in _SELECTIVE and part.operator in {"eq", "in"}
        for part in _parts(asked)
    )


def _in_order(asked: Filter | None) -> ColumnElement[bool]:
    """What of the filter an index follows that has the order as well: rows that fail it are not even looked at."""
    known = [
        part
        for part in _parts(asked)
        if isinstance(part, Condition) and part.name in _ORDERED and part.operator == "eq"
    ]
    return and_(true(), *(part.field.column == part.value for part in known))
