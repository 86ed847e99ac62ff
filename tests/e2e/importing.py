"""What an older system leaves behind: a folder of files and an export of its table, made by a test."""

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def put(folder: Path, path: str, data: bytes) -> str:
    """A file of the older system; its path."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return path


def as_csv(path: Path, records: Sequence[Record], *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """As a database prints it: nothing for null, t and f for booleans, JSON in a cell."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(records[0])
    for record in records:
        writer.writerow([_cell(value) for value in record.values()])
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def as_json(path: Path, records: Sequence[Record]) -> Path:
    path.write_text(json.dumps(records, indent=1))
    return path


def as_lines(path: Path, records: Sequence[Record]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def taken(export: Path) -> dict[str, str]:
    """What a journal says is there: new ids by old ones."""
    with closing(sqlite3.connect(f"{export}.import")) as journal:
        return dict(journal.execute("SELECT old_id, id FROM taken").fetchall())
