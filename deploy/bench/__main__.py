"""`python -m deploy.bench`: measure, print a table, and write a file for machines where one is named."""

import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console

from deploy.bench import films, latency, live, machine, pixels, rows, sounds, uploads, workers
from deploy.bench.results import Report, Row, Setting
from deploy.bench.show import show

GROUPS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "bytes": uploads.measure_small,
    "large": uploads.measure_large,
    "pixels": pixels.measure,
    "films": films.measure,
    "sounds": sounds.measure,
    "rows": rows.measure,
    "latency": latency.measure,
    "live": live.measure,
    "workers": workers.measure,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Smaller sizes and fewer rounds: some three minutes.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, too."
)
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the servers' data goes for the time; in memory (/dev/shm) no shared disk disturbs the figures.",
)
@click.option(
    "--only", multiple=True, type=click.Choice(list(GROUPS)), help="Measure this group; repeatable."
)
def main(quick: bool, file: Path | None, folder: Path | None, only: tuple[str, ...]) -> None:  # noqa: FBT001 -- click's way
    """How fast the system is, as ratios to baselines that are measured in turns with it.

    The exit status is 0 unless something could not be measured: a missed target is a finding, not a failure.
    """
    setting = Setting(quick=quick, folder=folder, console=Console(stderr=True))
    found: list[Row] = []
    failures: list[str] = []
    described = machine.describe() | {"data": str(folder or tempfile.gettempdir())}
    for group in only or GROUPS:
        try:
            found.extend(GROUPS[group](setting))
        except Exception as error:  # noqa: BLE001 -- the other groups are still worth having
            traceback.print_exc()
            failures.append(f"{group}: {error!r}")
    report = Report(machine=described, quick=quick, rows=tuple(found), failures=tuple(failures))
    show(report, Console(width=None if sys.stdout.isatty() else 160))
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
