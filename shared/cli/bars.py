"""Bars on a terminal: one for each file under way and one for all, with bytes, rate and the time that is left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from shared.cli.tally import Tally, Watcher

_NAME = 32


class _Left(ProgressColumn):
    """The time that is left: of all by the average since the beginning, of one file by its latest pace."""

    _latest = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        tally = task.fields.get("tally")
        if not isinstance(tally, Tally):
            return self._latest.render(task)
        return Text(clock(tally.left), style="progress.remaining")


class _Rate(ProgressColumn):
    """Bytes a second of late, in the units of the sizes beside it."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{size(round(rate))}/s" if rate else "-", style="progress.data.speed")


class Bars:
    """A Watcher that draws."""

    def __init__(self, progress: Progress, files: int) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._all = progress.add_task(f"0 of {files} files", total=None, tally=None)

    def begins(self, name: str, size: int) -> None:
        self._tasks[name] = self._progress.add_task(escape(shortened(name)), total=size)

    def moves(self, name: str, done: int) -> None:
        if name in self._tasks:
            self._progress.update(self._tasks[name], completed=done)

    def ends(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            self._progress.remove_task(task)

    def totals(self, tally: Tally) -> None:
        self._progress.update(
            self._all,
            description=f"[bold]{tally.files_done} of {tally.files} files",
            completed=tally.done,
            total=tally.planned,
            tally=tally,
        )


@contextmanager
def bars(files: int, *, shown: bool, console: Console | None = None) -> Iterator[Watcher | None]:
    """Drawn on stderr while the block runs; nothing where they are not to be shown or stderr is no terminal."""
    console = console or Console(stderr=True)
    if not (shown and console.is_terminal):
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        _Rate(),
        _Left(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bars(progress, files)


def shortened(name: str) -> str:
    """The end of a path tells more than its beginning."""
    return name if len(name) <= _NAME else "…" + name[-_NAME + 1 :]


def clock(seconds: float | None) -> str:
    """As `0:01:05`; dashes where it is not known."""
    if seconds is None:
        return "-:--:--"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def size(count: int) -> str:
    """Bytes as people read them: `1.5 MiB`."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1023.95:
            return f"{value:.1f} {unit}"
    return f"{value:.1f} TiB"
