"""The export of an older system's table, row by row: CSV, a JSON list of objects, or JSON lines, of any length."""

import codecs
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from shared.errors import Invalid

MOST_ROW = 64 * 1024 * 1024
"""Characters of one row, and of one cell: a longer one is no row but a broken quote or bracket."""
_READ = 1024 * 1024
_DELIMITERS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One row as the export has it. `line`: where it ends in a CSV file, its place in a JSON list, from 1. `fault`: why
    it cannot be read."""

    line: int
    cells: dict[str, Any] = {}
    fault: str | None = None


def names(path: Path, encoding: str) -> list[str] | None:
    """The columns that the first line of CSV names; None for JSON, where each row does. Raises Invalid."""
    told = next(rows(path, encoding, heading=True), None)
    return [*told.cells] if told is not None and told.line == 0 else None


def rows(path: Path, encoding: str, *, heading: bool = False) -> Iterator[Told]:
    """Every row; `heading`: before them the names of CSV's columns, as row 0. Raises Invalid for what is no export at
    all."""
    try:
        with path.open(encoding=encoding, newline="") as opened:
            begins = opened.read(4096).lstrip()[:1]
            opened.seek(0)
            yield from _json(opened) if begins and begins in "[{" else _csv(opened, heading=heading)
    except OSError as error:
        raise Invalid(f"The export {path} cannot be read: {error.strerror or error}.") from error
    except LookupError as error:
        raise Invalid(f"--encoding is {encoding!r}, which is none.") from error
    except UnicodeError as error:
        raise Invalid(f"The export {path} is not {encoding}: {error}. --encoding says what it is.") from error


def encoding_of(path: Path) -> str:
    """As its first bytes say; UTF-8 where all of it can be that, else Latin-1. Raises Invalid for what cannot be
    read."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as opened:
            head = opened.read(4)
            for mark, name in _BOMS:
                if head.startswith(mark):
                    return name
            decoder.decode(head)
            while piece := opened.read(_READ):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
    except OSError as error:
        raise Invalid(f"The export {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _csv(opened: TextIO, *, heading: bool) -> Iterator[Told]:
    csv.field_size_limit(MOST_ROW)
    head = opened.readline(_READ)
    delimiter = max(_DELIMITERS, key=head.count)
    opened.seek(0)
    reader = csv.reader(opened, delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    if not any(names):
        raise Invalid("The export is empty; its first line names the columns.")
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise Invalid(f"The export has the column {twice[0]!r} twice.")
    if heading:
        yield Told(line=0, cells=dict.fromkeys(names))
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Told(line=reader.line_num, fault=f"it is no CSV: {error}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(names):
            yield Told(
                line=reader.line_num, fault=f"it has {len(cells)} cells; there are {len(names)} columns"
            )
        else:
            yield Told(line=reader.line_num, cells=dict(zip(names, cells, strict=True)))


def _json(opened: TextIO) -> Iterator[Told]:
    """Of a list, or of objects one after the other."""
    decoder, buffer, place, number, between = json.JSONDecoder(), "", 0, 0, ""
    opens = False
    while True:
        begins, place = place, _skip(buffer, place)
        between += "".join(found for found in buffer[begins:place] if found in "[]")
        if place >= len(buffer):
            buffer, place = opened.read(_READ), 0
            if not buffer and (opens or between.startswith("[")) and not between.endswith("]"):
                raise Invalid(
                    f"The export ends in the middle of its list, after {number} rows: there is no ']'."
                )
            if not buffer:
                return
            continue
        opens, between = opens or between.startswith("["), ""
        try:
            value, place = decoder.raw_decode(buffer, place)
        except (json.JSONDecodeError, RecursionError) as error:
            more = opened.read(max(_READ, len(buffer)))
            buffer, place = buffer[place:] + more, 0
            if not more or len(buffer) > MOST_ROW:
                raise Invalid(f"The export ends in no JSON after {number} rows: {error}.") from error
            continue
        except ValueError as error:  # a number of thousands of digits
            raise Invalid(f"The export has no row {number + 1} that can be read: {error}.") from error
        number += 1
        yield _object(value, number)


def _skip(buffer: str, place: int) -> int:
    """Over what is between objects: a list's brackets and commas do not matter, as long as objects come."""
    while place < len(buffer) and buffer[place] in " \t\r\n,[]\ufeff":
        place += 1
    return place


def _object(value: Any, number: int) -> Told:
    if not isinstance(value, dict):
        return Told(line=number, fault=f"it is {type(value).__name__}, not an object")
    return Told(line=number, cells={str(name).strip().lower(): cell for name, cell in value.items()})
