"""What an import has done, row by row, in a file beside the export: SQLite, synced to the disk with every row.

So a run that was killed at any moment is started again as it was, and takes what is missing; of the few rows whose
answer was lost the server knows what they became.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import msgspec

from shared.errors import Invalid

Why: TypeAlias = Literal[
    "missing_file", "outside_folder", "bad_column", "bad_row", "duplicate_id", "not_allowed_type", "too_large",
    "unknown_entity", "deleted_since", "refused", "file_changed", "other_file",
    "not_tried",
]  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (dialect TEXT, source TEXT, url TEXT);
CREATE TABLE IF NOT EXISTS taken (
    old_id TEXT PRIMARY KEY, id TEXT, public_id TEXT, number INTEGER, kept INTEGER, old TEXT, note TEXT,
    path TEXT, said TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS taken_path ON taken (path);
CREATE TEMP TABLE seen (old_id TEXT PRIMARY KEY, line INTEGER, path TEXT) WITHOUT ROWID;
CREATE TEMP TABLE failed (line INTEGER, old_id TEXT, why TEXT, detail TEXT);
CREATE TEMP TABLE noted (old_id TEXT, note TEXT);
"""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is not here, and why."""

    row: int
    old_id: str | None
    reason: Why
    detail: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is here. `kept`: every id that it had is still its own. `note`: where the export tells otherwise than
    the file is; `path`: of the file, below the folder; `said`: a digest of the row."""

    old_id: str
    id: str
    public_id: str
    number: int
    kept: bool
    old_public_id: str | None = None
    note: str | None = None
    path: str | None = None
    said: str | None = None


class Journal:
    """Use it as a context. Raises Invalid for one of another system."""

    def __init__(self, path: Path, *, dialect: str, source: str, url: str) -> None:
        self._path = path
        self._is = (dialect, source, url)

    def __enter__(self) -> Self:
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=0)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            if not self._db.execute(
                "SELECT 1 FROM pragma_table_info('taken') WHERE name = 'said'"
            ).fetchone():
                self._db.execute("ALTER TABLE taken ADD COLUMN said TEXT")
            self._check()
        except sqlite3.OperationalError as error:
            raise Invalid(
                f"The journal {self._path} cannot be used: {error}. Where it is locked, another import is at it."
            ) from error
        except sqlite3.Error as error:
            raise Invalid(f"The journal {self._path} cannot be used: {error}.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        if isinstance(error, sqlite3.Error):
            raise Invalid(
                f"The journal {self._path} is damaged: {error}. Without it the server still knows what is here."
            ) from error

    def _check(self) -> None:
        known = self._db.execute("SELECT dialect, source, url FROM runs").fetchone()
        if known is None:
            self._db.execute("INSERT INTO runs VALUES (?, ?, ?)", self._is)
        elif known != self._is:
            raise Invalid(
                f"The journal {self._path} is of an import of {known[0]} {known[1]} to {known[2]}; --journal names "
                "another file."
            )

    def see(self, old_id: str, line: int) -> bool:
        """Whether this is the first row of the run with that id."""
        found = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, NULL)", (old_id, line))
        return found.rowcount == 1

    def plan(self, old_id: str, path: str) -> None:
        """The row is to be sent; its file is below the folder at `path`."""
        self._db.execute("UPDATE seen SET path = ? WHERE old_id = ?", (path, old_id))

    def is_planned(self, old_id: str, line: int) -> bool:
        found = self._db.execute("SELECT line, path FROM seen WHERE old_id = ?", (old_id,)).fetchone()
        return found is not None and found[0] == line and found[1] is not None

    def line_of(self, old_id: str) -> int:
        """Where the export has this id first."""
        return int(self._db.execute("SELECT line FROM seen WHERE old_id = ?", (old_id,)).fetchone()[0])

    def names(self, path: str) -> bool:
        """Whether a row of this run, or one that is here, names that file."""
        self._db.execute("CREATE INDEX IF NOT EXISTS temp.seen_path ON seen (path)")
        asked = "SELECT 1 FROM seen WHERE path = ?1 UNION ALL SELECT 1 FROM taken WHERE path = ?1"
        return self._db.execute(asked, (path,)).fetchone() is not None

    def former_id(self, old_id: str, said: str) -> str | None:
        """What the row became in a former run, if it said the same then."""
        asked = "SELECT id FROM taken WHERE old_id = ? AND said = ?"
        found = self._db.execute(asked, (old_id, said)).fetchone()
        return None if found is None else str(found[0])

    def take(self, row: Taken) -> None:
        """On the disk when it returns."""
        self._db.execute(
            "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            msgspec.structs.astuple(row),
        )

    def note(self, old_id: str, note: str) -> None:
        """Of a row that a dry run looked at."""
        self._db.execute("INSERT INTO noted VALUES (?, ?)", (old_id, note))

    def differing(self) -> Iterator[tuple[str, str]]:
        """Old ids and notes, of rows that are here and of those that a dry run looked at."""
        asked = """
            SELECT old_id, note FROM
            (SELECT old_id, note FROM taken WHERE note IS NOT NULL UNION ALL SELECT old_id, note FROM noted)
            ORDER BY CAST(old_id AS INTEGER), old_id"""
        yield from self._db.execute(asked)

    def fail(self, row: Failed) -> None:
        """For the report of this run alone: the next one tries it again."""
        self._db.execute(
            "INSERT INTO failed VALUES (?, ?, ?, ?)", (row.row, row.old_id, row.reason, row.detail)
        )

    def failed(self) -> Iterator[Failed]:
        for line, old_id, why, detail in self._db.execute("SELECT * FROM failed ORDER BY line"):
            yield Failed(row=line, old_id=old_id, reason=why, detail=detail)

    def taken(self) -> Iterator[Taken]:
        """All of every run."""
        for found in self._db.execute("SELECT * FROM taken ORDER BY CAST(old_id AS INTEGER), old_id"):
            yield _taken(found)


def _taken(found: Any) -> Taken:
    old_id, media_id, public_id, number, kept, old, note, path, said = found
    return Taken(
        old_id=old_id,
        id=media_id,
        public_id=public_id,
        number=number,
        kept=bool(kept),
        old_public_id=old,
        note=note,
        path=path,
        said=said,
    )
