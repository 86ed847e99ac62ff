"""`python -m deploy.sweep FOLDER`: every file twice through a stack of its own, and what was wrong."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from deploy.config import ANY_PORTS, StackConfig
from deploy.errors import StackError
from deploy.services import BUCKET
from deploy.stack import EmbeddedStack
from deploy.sweep import costs, residue
from deploy.sweep.files import Sample, samples
from deploy.sweep.results import Ending, Report, disagreements, table
from deploy.sweep.rounds import Round, Tell, endings
from deploy.sweep.show import show

ROUNDS = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True))
@click.option(
    "--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, too."
)
def main(folder: Path, file: Path | None) -> None:
    """Upload every file below FOLDER twice and see how each ends and what the worker costs.

    The exit status is 1 when the worker was restarted or left a process, descriptor or file behind, when a file
    ended differently the second time, and when one has no final state.
    """
    console = Console(stderr=True)
    try:
        report = sweep(samples(folder), folder, console)
    except StackError as error:
        raise click.ClickException(str(error)) from error
    show(report, Console(width=None if sys.stdout.isatty() else 200))
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    sys.exit(1 if report.faults else 0)


def sweep(found: Sequence[Sample], folder: Path, console: Console) -> Report:
    """The whole of it, on a stack that is made for it and goes with it."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tripod-sweep-") as root:
        temporary = Path(root, "tmp")
        temporary.mkdir()
        environment = {
            "TMPDIR": str(temporary),
            "TRIPOD_LOG_LEVEL": "info",
            "TRIPOD_LOG_FORMAT": "json",
        }
        config = StackConfig(data=Path(root, "data"), ports=ANY_PORTS, durable=False, environment=environment)
        with EmbeddedStack(config) as stack, Progress(console=console) as progress:
            rounds, faults = _rounds(stack, found, progress)
            log = stack.folder.logs / "processor.log"
            faults += [*costs.faults(log), *residue.left_files(temporary)]
            everything = [end for one in rounds for end in one]
            faults += residue.left_variants(stack.folder.media / BUCKET, everything)
            notes = tuple(costs.notes(log))
    faults += disagreements(found, rounds)
    classes, total = table(found, rounds)
    return Report(
        folder=str(folder),
        files=len(found),
        seconds=time.monotonic() - started,
        classes=classes,
        total=total,
        others={
            one.name: end.verdict for one, end in zip(found, rounds[0], strict=True) if end.verdict != "ready"
        },
        faults=tuple(faults),
        notes=notes,
    )


def _rounds(
    stack: EmbeddedStack, found: Sequence[Sample], progress: Progress
) -> tuple[list[list[Ending]], list[str]]:
    """How the files ended, round by round, and how the worker fared. What it holds open is compared between the
    ends of the rounds: the first one opens what is then kept."""
    worker = stack.child("processor")
    rounds: list[list[Ending]] = []
    states = []
    for number in range(ROUNDS):
        told = progress.add_task("", total=len(found))

        def tell(what: str, done: int, total: int, told: object = told, number: int = number) -> None:
            progress.update(told, description=f"{what}, round {number + 1}", completed=done, total=total)  # type: ignore[arg-type]

        rounds.append(_round(stack, found, f"sweep-{number}", tell))
        if not worker.alive:
            return rounds, [worker.obituary()]
        states.append(residue.at_rest(worker.pid))
    return rounds, list(residue.differences(*states))


def _round(stack: EmbeddedStack, found: Sequence[Sample], owner: str, tell: Tell) -> list[Ending]:
    one = Round(stack, owner, tell)
    taken = one.upload(found)
    one.settle(sum(bool(end.media_id) for end in taken))
    return endings(taken, one.media(), costs.costs(stack.folder.logs / "processor.log"))


if __name__ == "__main__":
    main()
