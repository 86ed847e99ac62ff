"""The tallies: how many media there are of each kind, kept with the rows themselves, added up and checked.

The trigger of `media` notes each change in the transaction that makes it, so the tallies together with the changes that
wait are exact at every moment; adding up only keeps the waiting ones few.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import COUNTER, Database, try_lock
from shared.errors import Unavailable

log = structlog.get_logger()

PAUSE_SECONDS = 2.0
PATIENCE_SECONDS = 5.0
MOST_DEAD = 2_000
_LOOK_SECONDS = 0.05
_KEYS = "owner, month, profile, media_type, status, entity_type"
_ENTITY_KEYS = "entity_type, entity_id, media_type, status"
_AMOUNTS = ("objects", "bytes", "variants", "variant_bytes")
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in _AMOUNTS)
_LEFT = " OR ".join(f"sum({name}) <> 0" for name in _AMOUNTS)
_ADDED = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in _AMOUNTS)
_NAMES = ", ".join(_AMOUNTS)


def _bound(names: str) -> str:
    return ", ".join(f":{name}" for name in names.split(", "))


_ADD_UP = text(
    f"""
WITH taken AS (DELETE FROM tally_changes RETURNING *),
     entities AS (
         INSERT INTO entity_tallies AS t ({_ENTITY_KEYS}, {_NAMES})
         SELECT {_ENTITY_KEYS}, {_SUMS} FROM taken WHERE entity_type <> '' GROUP BY {_ENTITY_KEYS} HAVING {_LEFT}
         ON CONFLICT ({_ENTITY_KEYS}) DO UPDATE SET {_ADDED}),
     kinds AS (
         INSERT INTO tallies AS t ({_KEYS}, {_NAMES})
         SELECT {_KEYS}, {_SUMS} FROM taken GROUP BY {_KEYS} HAVING {_LEFT}
         ON CONFLICT ({_KEYS}) DO UPDATE SET {_ADDED})
SELECT count(*) FROM taken
"""  # noqa: S608 - made of the names above
)
_DROP_EMPTY = tuple(
    text(f"DELETE FROM {table} WHERE objects = 0 AND bytes = 0 AND variants = 0 AND variant_bytes = 0")  # noqa: S608
    for table in ("tallies", "entity_tallies")
)
_MONTH = "date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month"
_MINUS = ", ".join(f"-{name}" for name in _AMOUNTS)
_COUNTED = "1 AS objects, size AS bytes, variant_count AS variants, variant_bytes"


def _wrong(table: str, keys: str, counted: str, rows: str) -> TextClause:
    """By how much the table and the changes that wait differ from the rows."""
    return text(
        f"""
SELECT {keys}, {_SUMS} FROM (
    SELECT {counted}, {_COUNTED} FROM media WHERE {rows}
    UNION ALL SELECT {keys}, {_MINUS} FROM {table}
    UNION ALL SELECT {keys}, {_MINUS} FROM tally_changes WHERE {rows.replace("IS NOT NULL", "<> ''")}
) AS all_of_it GROUP BY {keys} HAVING {_LEFT} ORDER BY {keys}
"""  # noqa: S608 - made of the names above
    )


_WRONG = {
    "tallies": _wrong(
        "tallies",
        _KEYS,
        f"owner, {_MONTH}, profile, media_type, status, coalesce(entity_type, '') AS entity_type",
        "true",
    ),
    "entity_tallies": _wrong("entity_tallies", _ENTITY_KEYS, _ENTITY_KEYS, "entity_type IS NOT NULL"),
}
_REPAIR = {
    table: text(
        f"INSERT INTO {table} AS t ({keys}, {_NAMES}) VALUES ({_bound(keys)}, {_bound(_NAMES)})"  # noqa: S608
        f" ON CONFLICT ({keys}) DO UPDATE SET {_ADDED}"
    )
    for table, keys in (("tallies", _KEYS), ("entity_tallies", _ENTITY_KEYS))
}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What a tally lacks of the rows, or has too much (below 0)."""

    table: str
    key: dict[str, str]
    objects: int
    bytes: int
    variants: int
    variant_bytes: int


class Busy(Exception):
    """Another process adds up or recounts at this moment."""


async def recount(
    database: Database, *, repair: bool, patience: float = PATIENCE_SECONDS
) -> list[Difference]:
    """Count every row, and say where the tallies differ; with `repair` they do not any more. Changes go on meanwhile:
    rows and tallies are of one moment. Raises Busy when somebody else counts for so many seconds, Unavailable."""
    deadline = time.monotonic() + patience
    while (found := await _recount(database, repair=repair)) is None:
        if time.monotonic() > deadline:
            raise Busy
        await asyncio.sleep(_LOOK_SECONDS)
    return found


async def _recount(database: Database, *, repair: bool) -> list[Difference] | None:
    """None where somebody else is at it: the moment begins with the lock, so waiting for it would count the past."""
    async with database.writing(tell=False) as connection:
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        if not await try_lock(connection, COUNTER):
            return None
        found = []
        for table, question in _WRONG.items():
            rows = [dict(row) for row in (await connection.execute(question)).mappings()]
            found += [_difference(table, row) for row in rows]
            if repair and rows:
                await connection.execute(_REPAIR[table], rows)
    return found


def _difference(table: str, row: dict[str, Any]) -> Difference:
    amounts = {name: row[name] for name in _AMOUNTS}
    key = {name: str(value) for name, value in row.items() if name not in _AMOUNTS}
    return Difference(table=table, key=key, **amounts)


async def add_up(connection: AsyncConnection) -> int:
    """Take the changes that wait into the tallies; how many there were. One at a time (COUNTER)."""
    return int(await connection.scalar(_ADD_UP) or 0)


async def sweep_out(database: Database) -> None:
    """Rows that were taken are dead, but every question would still step over them. Raises Unavailable."""
    async with database.reading() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(
            text("VACUUM tally_changes")
        )


async def keep_adding_up(database: Database, stop: asyncio.Event) -> None:
    """Every few seconds, by one catalog at a time, until `stop` is set."""
    dead = 0
    while not stop.is_set():
        try:
            dead += await add_up_alone(database)
            if dead > MOST_DEAD:
                await sweep_out(database)
                dead = 0
        except Unavailable as error:
            log.info("counters.not_added_up", reason=error.detail)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)


async def add_up_alone(database: Database) -> int:
    """How many changes were taken; none where another catalog is at it."""
    async with database.writing(tell=False) as connection:
        taken = await add_up(connection) if await try_lock(connection, COUNTER) else 0
        if taken:
            for statement in _DROP_EMPTY:
                await connection.execute(statement)
    return taken
