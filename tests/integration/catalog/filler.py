"""Rows of every table that a database has, made up from what it says of its columns: for tests of migrations, which
must not know of tables that come later."""

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, MetaData, Table, inspect, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR, insert

Rows: TypeAlias = dict[str, list[dict[str, Any]]]

EPOCH = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_OURS = "alembic_version"
_MADE: dict[type, Callable[[int], Any]] = {
    uuid.UUID: lambda n: uuid.UUID(int=n),
    datetime: lambda n: EPOCH + timedelta(minutes=n),
    date: lambda n: date(2026, 1 + n % 12, 1),
    bool: lambda n: bool(n % 2),
    int: lambda n: n,
    float: lambda n: n / 2,
    str: lambda n: f"text {n}",
    bytes: lambda n: b"%d" % n,
    object: lambda n: {"made": n},  # JSON
}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a schema, those that others refer to first. `writable`: names of columns that an insert may give;
    `allowed`: a value that a column is checked for; `unique`: the columns of each key."""

    tables: list[Table]
    writable: dict[str, set[str]]
    allowed: dict[tuple[str, str], str]
    unique: dict[str, set[tuple[str, ...]]]


def shape_of(connection: Connection) -> Shape:
    """As the database describes it at this moment."""
    found = MetaData()
    found.reflect(connection)
    tables = [table for table in found.sorted_tables if table.name != _OURS]
    writable, unique = {}, {}
    for table in tables:
        writable[table.name] = {c.name for c in table.columns if c.computed is None and c.identity is None}
        indexes = inspect(connection).get_indexes(table.name)
        unique[table.name] = {
            tuple(str(name) for name in index["column_names"]) for index in indexes if index["unique"]
        }
    return Shape(tables=tables, writable=writable, allowed=dict(_allowed(connection)), unique=unique)


def _allowed(connection: Connection) -> Iterator[tuple[tuple[str, str], str]]:
    """The first value of each column that may only be one of several."""
    checks = text(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
    )
    for table, check in connection.execute(checks).all():
        one_of = re.search(r"\((\w+) = ANY \(ARRAY\['([^']*)'", check)
        if one_of:
            yield (table, one_of[1]), one_of[2]


def fill(connection: Connection, shape: Shape, number: int) -> None:
    """One more row in every table of that shape, by its columns alone, whatever the schema is by now. Rows of the same
    number belong together."""
    for table in shape.tables:
        values = {
            column.name: _value(shape, table, column, number)
            for column in table.columns
            if column.name in shape.writable[table.name]
        }
        connection.execute(insert(table).values(values).on_conflict_do_nothing())
    connection.commit()


def _value(shape: Shape, table: Table, column: Any, number: int) -> Any:
    if (table.name, column.name) in shape.allowed:
        return shape.allowed[table.name, column.name]
    if column.name.endswith("media_id") or (table.name, column.name) == ("media", "id"):
        return uuid.UUID(int=number)  # those of one media belong together, where no key says so either
    if isinstance(column.type, TSVECTOR):
        return f"word{number}"
    if isinstance(column.type, ARRAY):
        return [_MADE[column.type.item_type.python_type](number)]
    return _MADE[column.type.python_type](number)


def rows_of(connection: Connection, shape: Shape) -> Rows:
    """All rows, by the columns of that shape alone."""
    found: Rows = {}
    for table in shape.tables:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
        found[table.name] = sorted(rows, key=repr)
    connection.rollback()
    return found
