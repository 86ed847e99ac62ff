"""What an import has done, for people and machines, and which new id stands for which old one."""

import csv
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from shared.cli.frame import print_json, print_table, printable, said
from shared.cli.importing.journal import Journal

_MOST_SHOWN = 200


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`imported` by this run, `before` by former ones; `variants` and `others`: files of the folder that no row
    names."""

    rows: int
    imported: int
    before: int
    not_taken: int
    not_tried: int
    renumbered: int
    variants: int
    others: int
    bytes: int
    seconds: float
    registered: int
    dry_run: bool
    ids: str | None


def write_ids(journal: Journal, path: Path) -> int:
    """Old and new ids of all that was ever taken; how many have a new one."""
    renumbered = 0
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(("old_id", "old_public_id", "kept", "number", "id", "public_id", "note"))
        for row in journal.taken():
            renumbered += not row.kept
            kept = "yes" if row.kept else "no"
            writer.writerow(
                (row.old_id, row.old_public_id, kept, row.number, row.id, row.public_id, row.note)
            )
    return renumbered


def show(summary: Summary, journal: Journal, *, json_: bool) -> None:
    """On stdout what could not be taken and what differs; in one line on stderr how it went."""
    if json_:
        failed = list(journal.failed())
        noted = [{"old_id": old_id, "note": note} for old_id, note in journal.differing()]
        print_json(msgspec.structs.asdict(summary) | {"not_taken_rows": failed, "differing_rows": noted})
        return
    _table(journal, summary.not_taken)
    for old_id, note in journal.differing():
        click.echo(printable(f"{old_id}: {note}"))
    counts = {
        "would be imported" if summary.dry_run else "imported": summary.imported,
        "there already": summary.before,
        "not taken": summary.not_taken,
        "not tried": summary.not_tried,
    }
    line = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing to do"
    said(f"{summary.rows} rows: {line}; {summary.seconds:.1f} s")
    if summary.registered:
        said(f"{summary.registered} entities registered")
    if summary.variants or summary.others:
        said(
            f"left alone: {summary.variants} variants, which are made anew, and {summary.others} files that no row "
            "names"
        )
    if summary.renumbered:
        have = f"have a new id; {summary.ids} has them all" if summary.ids else "would get a new id"
        said(f"{summary.renumbered} media {have}")


def _table(journal: Journal, count: int) -> None:
    if not count:
        return
    table = Table("row", "old id", "reason", "detail")
    for number, row in enumerate(journal.failed()):
        if number == _MOST_SHOWN:
            table.add_row("...", "", "", f"{count - _MOST_SHOWN} more; --json has them all")
            break
        table.add_row(str(row.row), row.old_id or "", row.reason, escape(printable(row.detail[:300])))
    print_table(table)
