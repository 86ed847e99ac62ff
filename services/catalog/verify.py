"""`tripod verify`: one look at rows, objects and events that says whether the system keeps what it promises."""

import sys
from collections import Counter
from pathlib import Path

import click
import msgspec
from rich.table import Table

from services.catalog import checks, contents
from services.catalog.census import Census, Tell, take_census
from services.catalog.checks import Acknowledged, Finding, Ledger
from services.catalog.database import Database
from services.catalog.parts import with_parts
from services.catalog.replayed import replayed
from shared.cli.frame import as_json, print_json, print_table, telling
from shared.cli.frame import command as asynchronous
from shared.errors import Invalid
from shared.events.bus import Bus
from shared.storage.blobs import Blobs

MOST_SHOWN = 50


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    ok: bool
    counts: dict[str, int]
    findings: list[Finding]


@click.command()
@click.option(
    "--ledger",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What a client knows: a JSON object {id, sha256, size} for each acknowledged upload, one a line.",
)
@click.option(
    "--complete", is_flag=True, help="The ledger names every media there is: others are duplicates."
)
@click.option(
    "--replay",
    is_flag=True,
    help="Replay the whole history beside the rows, and hold each column of each row against it.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="As --replay, and read the bytes of every original and variant, not only sizes.",
)
@as_json
@asynchronous
async def command(*, ledger: Path | None, complete: bool, replay: bool, deep: bool, json_: bool) -> None:
    """Check rows against objects against events.

    Meant for a system at rest: what is under way shows as a finding. Exit status 1 when anything was found. Needs
    the environment of a catalog.
    """
    lines = read_ledger(ledger) if ledger else ()
    if complete and ledger is None:
        raise Invalid("--complete needs a --ledger.")

    async def work(database: Database, bus: Bus, blobs: Blobs) -> Report:
        with telling() as tell:
            census = await take_census(database, bus, blobs, tell)
            report = await verify(census, database, blobs, lines, tell, complete=complete, deep=deep)
            if not (replay or deep):
                return report
            return with_more(report, [f async for f in replayed(database, bus, tell)])

    report = await with_parts(work)
    if json_:
        print_json(report)
    else:
        show(report)
    if not report.ok:
        sys.exit(1)


async def verify(
    census: Census,
    database: Database,
    blobs: Blobs,
    ledger: Ledger,
    tell: Tell,
    *,
    complete: bool,
    deep: bool,
) -> Report:
    """Every promise held against a census. Raises Unavailable."""
    findings = list(checks.acknowledged(census, ledger))
    if complete:
        findings += checks.complete(census, ledger)
    for check in checks.CHECKS:
        findings += check(census)
    findings += [f async for f in checks.shown(database, census)]
    findings += await checks.counted(database)
    asked = set(census.rows) if deep else {line.id for line in ledger}
    findings += [f async for f in contents.read_originals(census, blobs, asked, tell)]
    if deep:
        findings += [f async for f in contents.read_variants(census, blobs, tell)]
    return Report(ok=not findings, counts=counts(census, ledger), findings=findings)


def with_more(report: Report, findings: list[Finding]) -> Report:
    found = [*report.findings, *findings]
    return msgspec.structs.replace(report, ok=not found, findings=found)


def counts(census: Census, ledger: Ledger) -> dict[str, int]:
    """How much of everything there is."""
    status = Counter(row.status for row in census.rows.values())
    return {
        "media": len(census.rows),
        **{name: status[name] for name in sorted(status)},
        "tombstones": len(census.tombstones),
        "variants": sum(len(row.variants) for row in census.rows.values()),
        "objects": len(census.objects),
        "uploads in the stream": sum(map(len, census.story.told.values())),
        "lines of the ledger": len(ledger),
    }


def read_ledger(path: Path) -> Ledger:
    """Raises Invalid for a line that is none."""
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            lines.append(msgspec.json.decode(line, type=Acknowledged))
        except msgspec.MsgspecError as error:
            raise Invalid(f"Line {number} of {path} is no entry of a ledger: {error}.") from error
    return tuple(lines)


def show(report: Report) -> None:
    """Counts, then findings, at most MOST_SHOWN of each kind."""
    table = Table(title="what there is", title_justify="left", show_header=False)
    for name, count in report.counts.items():
        table.add_row(name, str(count))
    print_table(table)
    if report.ok:
        click.echo("Everything holds.")
        return
    found = Table("check", "of", "what is wrong", title="findings", title_justify="left")
    kinds = Counter(finding.check for finding in report.findings)
    shown: Counter[str] = Counter()
    for finding in report.findings:
        shown[finding.check] += 1
        if shown[finding.check] <= MOST_SHOWN:
            found.add_row(finding.check, finding.subject, finding.detail)
    print_table(found)
    click.echo(", ".join(f"{count} x {kind}" for kind, count in kinds.items()))
