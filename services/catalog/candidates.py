"""Finds the ids of a page of a search, without ever reading more rows than a page may cost.

Rights are part of the question here, and the policies of the database are not: they keep the indexes of texts and tags
from being used. What is found is read by its id under them.
"""

import uuid
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    select,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights
from services.catalog.cursors import Place
from services.catalog.estimate import estimated
from services.catalog.filters.compiled import compiled
from services.catalog.filters.language import Both, Condition, Filter
from services.catalog.models import media, media_texts
from services.catalog.orders import GROUNDED, ORDERS, Order
from services.catalog.schemas import SearchSort
from shared.auth import Caller

READ_AT_MOST = 20_000
"""Rows that a page looks at. What asks for more goes on behind them: such a page is short, and has a cursor."""
RARE = 3_000
"""Media with some words or tags, or that a caller may see at all, up to which each of them is looked at, whatever the
order."""
_GREATLY = 20  # times more than RARE by the planner's estimate: not worth counting
_SELECTIVE = frozenset({"id", "number", "sha256", "owner_number"})
_INVERTED = frozenset({"tags", "metadata"})
_ORDERED = frozenset({"owner", "profile", "entity_type", "entity_id"})


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """`tsquery`: the words, None where none are asked for; an empty one finds nothing. `relevance` needs them."""

    caller: Caller
    asked: Filter | None = None
    tsquery: str | None = None
    sort: SearchSort
    limit: int
    after: Place | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """What of the filter and the words a row fulfils."""
        found = (
            compiled(self.asked, private=rights.changeable(self.caller)) if self.asked is not None else true()
        )
        return found if self.tsquery is None else and_(found, _has_words(self.tsquery))


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Ids in the order that was asked for, with their ranks where it is relevance, and the place behind them, None at
    the end."""

    ids: tuple[uuid.UUID, ...] = ()
    ranks: tuple[float, ...] = ()
    end: Place | None = None


async def find(connection: AsyncConnection, search: Search) -> Found:
    """One page in an order of `orders`."""
    order = ORDERS[search.sort]
    few = await few_ids(connection, search, grounded=search.sort in GROUNDED)
    if few is not None:
        chosen = _along(search, order).where(among(few, search)).limit(search.limit + 1)
        return _page(search, order, (await connection.execute(chosen)).all())
    if search.sort in GROUNDED:
        return await _along_grounds(connection, search, order)
    return await _along_all(connection, search, order)


def _page(search: Search, order: Order, rows: Any, bound: Place | None = None) -> Found:
    """Of one row more than the page has. `bound`: where it ends because nobody looked further."""
    shown = rows[: search.limit]
    end = order.place(*shown[-1]) if len(rows) > search.limit else bound
    return Found(ids=tuple(row[1] for row in shown), end=end)


def _along(search: Search, order: Order) -> Select[Any]:
    """Values and ids behind the cursor, in their order."""
    found = select(order.column.label("value"), media.c.id).order_by(*order.by)
    return found if search.after is None else found.where(order.behind(search.after))


def among(few: tuple[uuid.UUID, ...], search: Search) -> ColumnElement[bool]:
    """What those of `few` fulfil that the caller may see and the search lets through."""
    here = media.c.id == any_(bindparam("few", list(few), ARRAY(Uuid)))
    return and_(here, rights.readable(search.caller), search.condition)


async def _along_grounds(connection: AsyncConnection, search: Search, order: Order) -> Found:
    """Each ground on which the caller may see rows is asked by itself: each has an index in this order."""
    grounds = grounds_of(search)
    places = _along(search, order).where(in_order(search.asked))
    bound = await bound_of(connection, places, grounds, order, READ_AT_MOST)
    if bound is not None:
        places = places.where(order.up_to(bound))
    ways = on_each(places.where(search.condition).limit(search.limit + 1), grounds).subquery()
    found = select(ways).order_by(*order.along(ways.c.value, ways.c.id)).limit(search.limit + 1)
    return _page(search, order, (await connection.execute(found)).all(), bound)


async def bound_of(
    connection: AsyncConnection,
    places: Select[Any],
    grounds: tuple[ColumnElement[bool], ...],
    order: Order,
    most: int,
) -> Place | None:
    """The last row that the page may look at; None where there are fewer. An index alone answers this."""
    ways = on_each(places.limit(most + 1), grounds).subquery()
    last = select(ways).order_by(*order.along(ways.c.value, ways.c.id)).offset(most - 1).limit(2)
    rows = (await connection.execute(last)).all()
    return order.place(*rows[0]) if len(rows) == 2 else None


def grounds_of(search: Search) -> tuple[ColumnElement[bool], ...]:
    """What is narrowed to the caller's own needs no other ground."""
    sub = search.caller.sub
    own = any(part.name == "owner" and part.value == sub for part in _ordered(search.asked))
    return (true(),) if own and sub is not None else rights.grounds(search.caller)


def on_each(places: Select[Any], grounds: tuple[ColumnElement[bool], ...]) -> Any:
    ways = [places.where(ground) for ground in grounds]
    return union(*ways) if len(ways) > 1 else ways[0]


async def _along_all(connection: AsyncConnection, search: Search, order: Order) -> Found:
    """Along the index of the order, through rows that the caller may not see as well."""
    places = _along(search, order)
    narrowed = and_(rights.readable(search.caller), search.condition)
    within = places.limit(READ_AT_MOST).subquery()
    lazily = (
        select(within)
        .join(media, media.c.id == within.c.id)
        .where(narrowed)
        .order_by(*order.along(within.c.value, within.c.id))
        .limit(search.limit + 1)
    )
    rows = (await connection.execute(lazily)).all()
    if len(rows) > search.limit:
        return _page(search, order, rows)
    # Where looking ended must be known before, or what goes meanwhile would move it.
    bound = await bound_of(connection, places, (true(),), order, READ_AT_MOST)
    if bound is not None:
        bound = await _last_seen(connection, search, places.where(order.up_to(bound)), order) or bound
        places = places.where(order.up_to(bound))
    rows = (await connection.execute(places.where(narrowed).limit(search.limit + 1))).all()
    return _page(search, order, rows, bound)


async def _last_seen(
    connection: AsyncConnection, search: Search, places: Select[Any], order: Order
) -> Place | None:
    """The last of these that the caller may see. A place tells where it lies among the caller's own, so it had better
    not be of somebody else's."""
    if search.caller.sees_all:
        return None
    back = msgspec.structs.replace(order, descending=not order.descending)
    within = places.limit(READ_AT_MOST).subquery()
    seen = select(within).join(media, media.c.id == within.c.id).where(rights.readable(search.caller))
    last = seen.order_by(*back.along(within.c.value, within.c.id)).limit(1)
    row = (await connection.execute(last)).first()
    return None if row is None else order.place(*row)


async def few_ids(
    connection: AsyncConnection, search: Search, *, grounded: bool
) -> tuple[uuid.UUID, ...] | None:
    """Ids that an index finds, few enough to look at each, among which all lie that the search is about; None where
    there are more. Handed over and back as values, because the planner must know that they are few."""
    ways = [
        select(media.c.id).where(compiled(part, private=true()))
        for part in _parts(search.asked)
        if isinstance(part, Condition) and _is_indexed(part)
    ]
    if search.tsquery is not None:
        ways.append(with_words(search.tsquery))
    for way in ways:
        if await estimated(connection, way) <= RARE * _GREATLY:
            found = (await connection.scalars(way.limit(RARE + 1))).all()
            if len(found) <= RARE:
                return tuple(found)
    if grounded and not (search.tsquery is not None and _ordered(search.asked)):
        return None
    return await _few_to_see(connection, search)


async def _few_to_see(connection: AsyncConnection, search: Search) -> tuple[uuid.UUID, ...] | None:
    """What the caller may see, within what the filter is narrowed to, where that is little."""
    if search.caller.sees_all and not _ordered(search.asked):
        return None
    own = select(media.c.id).where(in_order(search.asked)).limit(RARE + 1)
    found = (await connection.scalars(on_each(own, grounds_of(search)))).all()
    return tuple(found) if len(found) <= RARE else None


def with_words(tsquery: str) -> Select[Any]:
    """Ids of all media with these words, whoever may see them."""
    return select(media_texts.c.media_id.label("id")).where(media_texts.c.words.op("@@")(as_query(tsquery)))


def _has_words(tsquery: str) -> ColumnElement[bool]:
    """Asked of one row after the other: as a join, the planner would find all media with these words first."""
    words = select(media_texts.c.words.op("@@", is_comparison=True)(as_query(tsquery)))
    return words.where(media_texts.c.media_id == media.c.id).correlate(media).scalar_subquery()


def as_query(text: str) -> ColumnElement[Any]:
    """What `texts_query.as_tsquery` has written."""
    return cast(text, TSQUERY)


def _parts(asked: Filter | None) -> tuple[Filter, ...]:
    """What must hold together."""
    if isinstance(asked, Both):
        return tuple(part for inner in asked.parts for part in _parts(inner))
    return () if asked is None else (asked,)


def _is_indexed(part: Condition) -> bool:
    """Whether an index finds the rows that it lets through."""
    if part.name in _INVERTED:
        return True
    several = part.operator == "in" and part.field.equal is None
    return part.name in _SELECTIVE and (several or part.operator == "eq")


def _ordered(asked: Filter | None) -> list[Condition]:
    return [
        part
        for part in _parts(asked)
        if isinstance(part, Condition) and part.name in _ORDERED and part.operator == "eq"
    ]


def in_order(asked: Filter | None) -> ColumnElement[bool]:
    """What of the filter an index follows that has the order as well: rows that fail it are not even looked at."""
    return and_(true(), *(part.field.column == part.value for part in _ordered(asked)))
