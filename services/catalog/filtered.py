"""Pages of what a filter lets through, for APIs that count their rows from 0 and tell how many there are."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights
from services.catalog.candidates import Search, among, few_ids, in_order
from services.catalog.database import Database
from services.catalog.estimate import estimated
from services.catalog.filters.fields import FIELDS, OF_OLDER_APIS
from services.catalog.filters.language import Both, Condition, Either, Filter, Not
from services.catalog.models import media
from services.catalog.orders import ORDERS, Order
from services.catalog.rows import shaped_rows, view
from shared.dialects.view import View
from shared.errors import Invalid

MOST_LOOKS = 2_000_000
"""Rows times conditions that one request may cost, as many as a page of our own searches at most: 100 conditions of
20,000 rows."""
SORTED = 10
"""As many conditions costs an order that no index has."""
_INDEXED = {*ORDERS, "number"}


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Rows behind the first `offset`; `total`: how many there are in all, None where nobody asked."""

    items: list[View]
    total: int | None


async def find(
    database: Database, search: Search, order: Order, *, offset: int, counted: bool, base_url: str
) -> Slice:
    """What the caller may see of it, in this order, which stands for the search's own. Raises Invalid for more
    conditions than may be asked of so many rows."""
    async with database.reading() as connection:
        narrowed = await _narrowed(connection, search, order)
        page = select(media.c.id).where(narrowed).order_by(*order.by).offset(offset).limit(search.limit)
        ids = (await connection.scalars(page)).all()
    total = None
    async with database.reading_for(search.caller) as connection:
        rows = await shaped_rows(connection, search.caller, ids)
        if counted:  # a number tells of others as well, so the policies of the database have their say
            whole = select(func.count()).select_from(media).where(narrowed)
            total = await connection.scalar(whole) or 0
    return Slice(items=[view(row, base_url) for row in rows], total=total)


async def _narrowed(connection: AsyncConnection, search: Search, order: Order) -> ColumnElement[bool]:
    few = await few_ids(connection, search, grounded=False)
    if few is not None:
        return among(few, search)
    within = and_(in_order(search.asked), rights.readable(search.caller))
    sorting = 0 if order.name in _INDEXED else SORTED
    await _bound(connection, within, conditions(search.asked) + sorting)
    return and_(within, search.condition)


async def _bound(connection: AsyncConnection, within: Any, asked: int) -> None:
    """The plan alone speaks of rows that the caller may not see: it only says when to count."""
    most = MOST_LOOKS // max(asked, 1)
    rows = select(media.c.id).where(within)
    if await estimated(connection, rows) <= most:
        return
    counted = select(func.count()).select_from(rows.limit(most + 1).subquery())
    if (await connection.scalar(counted) or 0) > most:
        raise Invalid(
            f"{asked} conditions may be asked of at most {most} files, and there are more: ask with fewer of them. "
            f"An order that no index has counts as {SORTED}.",
            field="conditions",
        )


def order_of(name: str, *, descending: bool) -> Order:
    """By a field of filters. What lists have an index for is as they sort it."""
    known = ORDERS.get(f"-{name}" if descending else name)
    return known or Order(name, (FIELDS.get(name) or OF_OLDER_APIS[name]).column, descending)


def conditions(asked: Filter | None) -> int:
    """How many there are in a filter, besides those that an index follows."""
    match asked:
        case Both(parts) | Either(parts):
            return sum(map(conditions, parts))
        case Not(part):
            return conditions(part)
        case Condition(name="profile"):
            return 0
        case Condition():
            return 1
        case _:
            return 0
