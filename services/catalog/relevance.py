"""Searches by relevance: a place in this order is a rank and an id, and where words are common a stretch of time."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import ColumnElement, Double, and_, bindparam, cast, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import cursors, rights
from services.catalog.candidates import (
    Found,
    Search,
    among,
    as_query,
    bound_of,
    few_ids,
    grounds_of,
    in_order,
    on_each,
    with_words,
)
from services.catalog.cursors import Place, Stretch
from services.catalog.models import media, media_texts
from services.catalog.orders import ORDERS

STRETCH = 5_000
"""Media among which those with common words are ranked; then come the next."""
_LATER = timedelta(minutes=1)  # clocks differ: what was just uploaded belongs to the first stretch
_LAST = uuid.UUID(int=2**128 - 1)


async def find(connection: AsyncConnection, search: Search) -> Found:
    """One page, the best first; of words that are everywhere the best of the newest media, then of those before."""
    after = search.after
    if after is None or after.stretch is None:
        few = await few_ids(connection, search, grounded=True)
        if few is not None:
            return await _ranked(connection, search, among(few, search), None)
        if after is not None:  # there were few when the list began
            words = media.c.id.in_(with_words(search.tsquery or ""))
            here = and_(words, rights.readable(search.caller), search.condition)
            return await _ranked(connection, search, here, None)
        upper = cursors.micros(datetime.now(UTC) + _LATER), _LAST
        return await _of_stretch(connection, search, Stretch(upper))
    return await _of_stretch(connection, search, after.stretch)


async def _of_stretch(connection: AsyncConnection, search: Search, stretch: Stretch) -> Found:
    newest = ORDERS["-created_at"]
    top = newest.place(cursors.moment(stretch.upper[0]), stretch.upper[1])
    places = select(media.c.created_at.label("value"), media.c.id).order_by(*newest.by)
    places = places.where(newest.behind(top), in_order(search.asked))
    grounds = grounds_of(search)
    last: Place | None = None
    if stretch.lower is not None:
        last = newest.place(cursors.moment(stretch.lower[0]), stretch.lower[1])
    elif search.after is None or search.after.value is None:  # nobody has looked how far it gets
        last = await bound_of(connection, places, grounds, newest, STRETCH)
    lower = None if last is None else (cursors.micros(last.at), last.id)
    if last is not None:
        places = places.where(newest.up_to(last))
    within = on_each(places.where(search.condition), grounds).subquery()
    found = await _ranked(
        connection, search, media.c.id.in_(select(within.c.id)), Stretch(stretch.upper, lower)
    )
    if found.end is None and lower is not None:
        return msgspec.structs.replace(found, end=Place("relevance", None, _LAST, Stretch(lower)))
    return found


async def _ranked(
    connection: AsyncConnection, search: Search, here: ColumnElement[bool], stretch: Stretch | None
) -> Found:
    rank = cast(func.ts_rank(media_texts.c.words, as_query(search.tsquery or "")), Double)
    of_each = (
        select(rank.label("rank"), media.c.id)
        .join(media_texts, media_texts.c.media_id == media.c.id)
        .where(here)
        .subquery()
    )
    found = select(of_each).order_by(of_each.c.rank.desc(), of_each.c.id.desc()).limit(search.limit + 1)
    after = search.after
    if after is not None and after.value is not None:
        there = tuple_(bindparam("rank", after.value, Double()), bindparam("last", after.id))
        found = found.where(tuple_(of_each.c.rank, of_each.c.id) < there)
    rows = (await connection.execute(found)).all()
    shown = rows[: search.limit]
    end = None
    if len(rows) > search.limit:
        end = Place("relevance", shown[-1].rank, shown[-1].id, stretch)
    return Found(ids=tuple(row.id for row in shown), ranks=tuple(row.rank for row in shown), end=end)
