"""The report as a table for people."""

from rich.console import Console
from rich.table import Table

from deploy.bench.results import Report, Row

_NUMBERS = {"figure", "ratio", "from", "to"}


def show(report: Report, console: Console) -> None:
    """The machine, the rows by group, and what could not be measured."""
    for name, value in report.machine.items():
        console.print(f"[dim]{name}:[/] {value}", highlight=False)
    table = Table(title="medians of interleaved rounds; ratio = figure / baseline" + _mode(report))
    for heading in ("what", "figure", "baseline", "ratio", "from", "to", "target", ""):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
    group = ""
    for row in report.rows:
        if row.group != group:
            group = row.group
            table.add_section()
            table.add_row(f"[bold]{group}[/]")
        table.add_row(*_cells(row))
    console.print(table)
    for failure in report.failures:
        console.print(f"[bold red]not measured:[/] {failure}", highlight=False)


def _mode(report: Report) -> str:
    return " (quick: smaller sizes, fewer rounds)" if report.quick else ""


def _cells(row: Row) -> tuple[str, ...]:
    name = f"{row.name} [dim]({row.note})[/]" if row.note else row.name
    figure = f"{number(row.figure)} {row.unit}"
    if row.ratio is None or row.spread is None or row.baseline_figure is None:
        return (name, figure)
    verdict = "" if row.met is None else "[green]met[/]" if row.met else "[red]not met[/]"
    return (
        name,
        figure,
        f"{row.baseline} {number(row.baseline_figure)}",
        f"[bold]{row.ratio:.2f}[/]",
        f"{row.spread[0]:.2f}",
        f"{row.spread[1]:.2f}",
        str(row.target or ""),
        verdict,
    )


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
