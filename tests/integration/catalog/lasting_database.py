"""A database that is emptied from test to test: a clone of the migrated one takes five times as long."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import psycopg

from services.catalog.models import metadata

# Twice, because triggers of some tables write into others.
EMPTY = ";".join(f"DELETE FROM {table.name}" for table in [*metadata.sorted_tables[::-1]] * 2)
MANY = 1000
"""Rows that leave a table in another state than a new one, as the planner sees it."""
# Who last changed what tables, columns, triggers, policies and functions are.
SHAPE = " UNION ALL ".join(
    f"SELECT count(*), max(xmin::text::bigint) FROM {catalog}"
    for catalog in (
        "pg_class",
        "pg_attribute",
        "pg_trigger",
        "pg_policy",
        "pg_proc",
        "pg_index",
        "pg_constraint",
    )
)


class LastingDatabases:
    """The one that lasts, and another one after a test that left it otherwise than a new one is."""

    def __init__(self, create: Callable[[], AbstractContextManager[str]]) -> None:
        self._create = create
        self._open = ExitStack()
        self._url = ""
        self._shape: list[tuple[int, int]] = []

    def current(self) -> str:
        """The address of the one that is there, empty."""
        if not self._url:
            self._url = self._open.enter_context(self._create())
            with self._connected() as connection:
                self._shape = connection.execute(SHAPE).fetchall()
        return self._url

    def leave(self) -> None:
        """Forget all that the test has put there."""
        try:
            with self._connected() as connection:
                connection.execute("SET lock_timeout = '2s'")
                emptied = connection.execute(EMPTY)
                rows = emptied.rowcount
                while emptied.nextset():
                    rows += emptied.rowcount
                same = connection.execute(SHAPE).fetchall() == self._shape
        except psycopg.Error:  # something of the test still holds rows
            self.discard()
        else:
            if rows > MANY or not same:
                self.discard()

    def discard(self) -> None:
        """The next test gets a new one."""
        self._url = ""
        self._open.close()

    def _connected(self) -> psycopg.Connection[tuple[int, int]]:
        return psycopg.connect(self._url.replace("+psycopg", ""), autocommit=True)
