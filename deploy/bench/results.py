"""What a benchmark finds: one row per claim, with its baseline, its ratio and the target it is held to."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console

Sense = Literal["at least", "at most"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure. `quick`: smaller sizes and fewer rounds; `folder`: where the servers' data goes for the time,
    None for the system's own place; `console` hears what is going on."""

    quick: bool
    folder: Path | None
    console: Console


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a row's ratio should be now, after the project's performance page."""

    sense: Sense
    ratio: float

    def met(self, ratio: float) -> bool:
        """Whether a measured ratio is good enough."""
        return ratio >= self.ratio if self.sense == "at least" else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{self.sense} {self.ratio:g}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement. `figure` and `baseline_figure` are medians in `unit`, `ratio` is the median of the rounds'
    own ratios, with the least and the greatest beside it; None where there is nothing to compare with."""

    group: str
    name: str
    figure: float
    unit: str
    baseline: str | None = None
    baseline_figure: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: Target | None = None
    met: bool | None = None
    note: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of a run, and what it ran on. `failures` tells what could not be measured."""

    machine: dict[str, str]
    quick: bool
    rows: tuple[Row, ...]
    failures: tuple[str, ...]


def compared(
    group: str,
    name: str,
    figures: Sequence[float],
    unit: str,
    *,
    baseline: str,
    against: Sequence[float],
    target: Target | None = None,
    note: str = "",
) -> Row:
    """A row of figures and baseline figures that were measured in turns, round by round."""
    ratios = [figure / other for figure, other in zip(figures, against, strict=True)]
    ratio = statistics.median(ratios)
    return Row(
        group=group,
        name=name,
        figure=statistics.median(figures),
        unit=unit,
        baseline=baseline,
        baseline_figure=statistics.median(against),
        ratio=ratio,
        spread=(min(ratios), max(ratios)),
        target=target,
        met=target.met(ratio) if target else None,
        note=note,
    )


def alone(group: str, name: str, figures: Sequence[float], unit: str, *, note: str = "") -> Row:
    """A row with nothing to compare."""
    return Row(group=group, name=name, figure=statistics.median(figures), unit=unit, note=note)
