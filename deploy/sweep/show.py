"""A sweep's report for people."""

from rich.console import Console
from rich.table import Table

from deploy.sweep.results import ClassRow, Report

_MOST_FAULTS = 60


def show(report: Report, console: Console) -> None:
    """The table, what was found wrong, and the outcome."""
    table = Table(title=f"{report.files} files of {report.folder}, twice, in {report.seconds:.0f} s")
    table.add_column("class")
    for heading in ("files", "ready"):
        table.add_column(heading, justify="right")
    table.add_column("others")
    for heading in ("CPU ms", "most", "wall, most", "peak MiB"):
        table.add_column(heading, justify="right")
    for row in report.classes:
        table.add_row(*_cells(row))
    table.add_section()
    table.add_row(*_cells(report.total))
    console.print(table)
    for note in report.notes:
        console.print(f"[dim]{note}[/]", highlight=False)
    for fault in report.faults[:_MOST_FAULTS]:
        console.print("[bold red]fault:[/]", fault, highlight=False, markup=True)
    if len(report.faults) > _MOST_FAULTS:
        console.print(f"and {len(report.faults) - _MOST_FAULTS} more")
    console.print("[bold red]failed[/]" if report.faults else "[green]passed[/]")


def _cells(row: ClassRow) -> tuple[str, ...]:
    others = ", ".join(f"{count} {what}" for what, count in row.verdicts.items() if what != "ready")
    return (
        row.name,
        str(row.files),
        str(row.verdicts.get("ready", 0)),
        others,
        f"{row.cpu_median:.0f}",
        f"{row.cpu_most:.0f}",
        f"{row.wall_most:.0f}",
        f"{row.peak_most:.0f}",
    )
