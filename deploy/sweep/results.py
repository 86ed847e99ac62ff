"""What a sweep finds: how each file ended, both times, and what the worker cost and left behind."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from deploy.sweep.files import Sample

NO_END = "no final state"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How one file ended in one round. `verdict`: `ready`, `failed: CODE`, `refused: STATUS CODE` by ingest before it
    became a media, or NO_END. `made` is all that was derived, for comparing. Milliseconds; memory in KiB."""

    verdict: str
    media_id: str = ""
    made: tuple[str, ...] = ()
    children: int = 0
    cpu: float = 0
    wall: float = 0
    peak: int = 0


class ClassRow(msgspec.Struct, frozen=True, kw_only=True):
    """One class of files over both rounds; milliseconds of CPU and wall clock and MiB of a child."""

    name: str
    files: int
    verdicts: dict[str, int]
    cpu_median: float
    cpu_most: float
    wall_most: float
    peak_most: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole sweep; without `faults` it has passed. `others`: how each file ended that did not become ready."""

    folder: str
    files: int
    seconds: float
    classes: tuple[ClassRow, ...]
    total: ClassRow
    others: dict[str, str]
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


def table(
    samples: Sequence[Sample], rounds: Sequence[Sequence[Ending]]
) -> tuple[tuple[ClassRow, ...], ClassRow]:
    """A row for each class, and one for all; verdicts are those of the first round."""
    kinds = sorted({sample.kind for sample in samples})
    rows = [
        _row(kind, [[end for end, of in zip(one, samples, strict=True) if of.kind == kind] for one in rounds])
        for kind in kinds
    ]
    return tuple(rows), _row("all", rounds)


def _row(name: str, rounds: Sequence[Sequence[Ending]]) -> ClassRow:
    worked = [end for one in rounds for end in one if end.children]
    return ClassRow(
        name=name,
        files=len(rounds[0]),
        verdicts=dict(Counter(end.verdict for end in rounds[0]).most_common()),
        cpu_median=statistics.median([end.cpu for end in worked] or [0]),
        cpu_most=max((end.cpu for end in worked), default=0),
        wall_most=max((end.wall for end in worked), default=0),
        peak_most=max((end.peak for end in worked), default=0) / 1024,
    )


def disagreements(samples: Sequence[Sample], rounds: Sequence[Sequence[Ending]]) -> Iterable[str]:
    """Files without a final state, or that ended one way first and another way then."""
    for sample, first, second in zip(samples, *rounds, strict=True):
        for number, ending in enumerate((first, second), start=1):
            if ending.verdict == NO_END:
                yield f"{sample.name}: no final state in round {number}"
        if first.verdict != second.verdict:
            yield f"{sample.name}: {first.verdict}, then {second.verdict}"
        elif first.made != second.made:
            changed = sorted(set(first.made) ^ set(second.made))
            yield f"{sample.name}: what was made of it differs: {', '.join(changed)}"
