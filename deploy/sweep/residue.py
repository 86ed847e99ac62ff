"""What a worker must not leave behind: processes, descriptors, temporary files, variants that no media has."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psutil

from deploy.sweep.results import Ending
from shared.storage import keys

_SETTLE_SECONDS = 20.0
_SOCKETS = 16  # connections to the store that a busier moment has opened and that are kept
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """The worker at rest: itself and the processes below it by pid and start, and their descriptors by kind."""

    processes: frozenset[tuple[int, float, str]]
    descriptors: dict[str, int]


def at_rest(pid: int) -> Worker:
    """What there is when as little as possible is there: children of the last jobs may just be leaving."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        family = _family(pid)
        if len(family) <= 2 or time.monotonic() > deadline:  # the worker and its fork server
            break
        time.sleep(0.1)
    descriptors: Counter[str] = Counter()
    for process in family:
        descriptors.update(_descriptors(process.pid))
    return Worker(
        processes=frozenset((one.pid, one.create_time(), one.name()) for one in family),
        descriptors=dict(descriptors),
    )


def _family(pid: int) -> list[psutil.Process]:
    worker = psutil.Process(pid)
    return [worker, *worker.children(recursive=True)]


def _descriptors(pid: int) -> Iterator[str]:
    """What each is open to, without numbers. Nothing where the kernel does not let us look."""
    with contextlib.suppress(PermissionError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                yield re.sub(r"\d+", "N", str(link.readlink()))


def differences(before: Worker, after: Worker) -> Iterator[str]:
    """What is there afterwards and was not before, or the other way round where a process is meant."""
    for pid, _, name in before.processes - after.processes:
        yield f"a process of the worker ended: {pid} {name}"
    for pid, _, name in after.processes - before.processes:
        yield f"a process was left over: {pid} {name}"
    for kind, count in after.descriptors.items():
        allowed = before.descriptors.get(kind, 0) + (_SOCKETS if kind.startswith("socket:") else 0)
        if count > allowed:
            yield f"descriptors were left open: {count} of {kind}, {allowed} allowed"


def left_files(temporary: Path) -> Iterator[str]:
    """Anything in the folder for temporary files."""
    for path in temporary.rglob("*"):
        yield f"a file was left over: {path.relative_to(temporary)}"


def left_variants(bucket: Path, endings: Sequence[Ending]) -> Iterator[str]:
    """Variants of media that are not ready."""
    ready = {end.media_id for end in endings if end.verdict == "ready"}
    owners: Counter[str] = Counter()
    for path in (bucket / keys.VARIANTS).rglob("*"):
        named = _ID.search(path.as_posix())
        if path.is_file() and (named is None or named.group() not in ready):
            owners[named.group() if named else path.name] += 1
    for owner, count in owners.items():
        yield f"{count} variants were left over, of {owner}"
