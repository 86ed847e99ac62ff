"""The rows held against the whole history: what the broker has kept is replayed beside them, and both are compared.

The replay is the one of `rebuild`, into temporary tables of a session of its own: nothing is left behind, whatever
ends it, and nobody is kept waiting.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import MetaData, Row, Select, Table, and_, case, func, or_, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.census import Tell
from services.catalog.checks import Finding
from services.catalog.commands import HIGHEST_NUMBER
from services.catalog.database import Database, DatabaseSettings
from services.catalog.models import (
    early_results,
    marks,
    media,
    metadata,
    moderation_decisions,
    stored_events,
    tombstones,
    variants,
)
from services.catalog.rebuild import replay_all
from shared.events import topology
from shared.events.bus import Bus
from shared.ids import public_id

CHECK = "replay"
MOST = 10_000
"""Rows of each table that are told one by one."""
COMPARED = (media, variants, moderation_decisions, tombstones, early_results, stored_events, marks)
"""Entities are compared with their registry, and what waits in the outbox is told by itself."""
_SAID_BY_OTHERS = {"edited_at", "spread_at"}
"""Columns that may differ: where clocks do, an edit may seem older than a result (`updated_at` must not); and how far a
rejection has come."""


async def replayed(database: Database, bus: Bus, tell: Tell) -> AsyncIterator[Finding]:
    """Every row that is not what all that was told makes of it. Raises Unavailable."""
    async with database.reading() as connection:
        schema: str = await connection.scalar(select(func.current_schema())) or "public"
    async with scratch(database) as made:
        await replay_all(made, bus, tell)
        async with made.reading() as connection:
            for table in COMPARED:
                async for finding in _compare(connection, table, schema):
                    yield finding


@asynccontextmanager
async def scratch(database: Database) -> AsyncIterator[Database]:
    """The same database with empty tables before its own. They belong to the one session that there is; a second one
    would find none, and never the true ones."""
    url = database.engine.url.render_as_string(hide_password=False)
    own = Database(DatabaseSettings(url=url, pool=1), options="-c search_path=pg_temp -c statement_timeout=0")
    try:
        async with own.writing(tell=False) as connection:
            await connection.run_sync(metadata.create_all, checkfirst=False)
        yield own
    finally:
        await own.close()


async def _compare(connection: AsyncConnection, table: Table, schema: str) -> AsyncIterator[Finding]:
    count = 0
    async for row in await connection.stream(_differing(table, schema).limit(MOST + 1)):
        count += 1
        if count > MOST:
            yield Finding(check=CHECK, subject=f"table {table.name}", detail="and more rows differ")
            return
        yield _finding(table, row)


def _differing(table: Table, schema: str) -> Select[Any]:
    """The keys of rows that differ, on which side a row is missing, and the columns."""
    told, ours = table, table.to_metadata(MetaData(), schema=schema).alias("ours")
    keys = [column.name for column in table.primary_key]
    same = and_(*(told.c[key] == ours.c[key] for key in keys))
    untold, unknown = told.c[keys[0]].is_(None), ours.c[keys[0]].is_(None)
    names = [c.name for c in table.columns if c.name not in {*keys, *_SAID_BY_OTHERS}]
    differ = {name: told.c[name].is_distinct_from(ours.c[name]) for name in names}
    listed = [case((found, name)) for name, found in differ.items()]
    columns = [func.coalesce(ours.c[name], told.c[name]).label(name) for name in _naming(table)]
    query = select(
        *columns, untold.label("untold"), unknown.label("unknown"), array(listed).label("differing")
    ).select_from(told.join(ours, same, full=True))
    query = query.where(or_(untold, unknown, *differ.values()))
    if table is stored_events:  # letters come and go
        query = query.where(func.coalesce(ours.c.stream, told.c.stream) == topology.MEDIA)
    if table is marks:  # others say how far somebody has looked
        query = query.where(func.coalesce(ours.c.name, told.c.name) == HIGHEST_NUMBER)
    return query


def _naming(table: Table) -> list[str]:
    """The columns by which a person knows a row: its key, and its media."""
    names = [column.name for column in table.primary_key]
    return names if "media_id" not in table.c or "media_id" in names else [*names, "media_id"]


def _finding(table: Table, row: Row[Any]) -> Finding:
    named = " ".join(_named(row._mapping[name]) for name in _naming(table))  # noqa: SLF001 - its public name
    if row.untold:
        detail = "the catalog has the row, and nothing in the stream tells of it"
    elif row.unknown:
        detail = "the stream tells of it, and the catalog has no such row"
    else:
        differing = ", ".join(name for name in row.differing if name)
        detail = f"the catalog has another {differing} than the stream tells"
    return Finding(check=CHECK, subject=f"{table.name} {named}", detail=detail)


def _named(value: Any) -> str:
    return f"{public_id(value)} ({value})" if isinstance(value, uuid.UUID) else str(value)
