"""What each file's children cost, as the processor's log tells it, and what else the log says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

_CHILD = {"job.done", "job.failed"}
_RESTARTS = {"sandbox.restarting", "sandbox.ready"}
_EXPECTED = {"sandbox.guard_missing"}  # a property of the machine, told once at start


class Cost(msgspec.Struct, kw_only=True):
    """All children of one media: how many, milliseconds of CPU and wall clock, the greatest peak in KiB."""

    children: int = 0
    cpu: float = 0
    wall: float = 0
    peak: int = 0


def costs(log: Path) -> dict[str, Cost]:
    """By media id."""
    found: dict[str, Cost] = {}
    for line in _lines(log):
        if line.get("event") in _CHILD:
            cost = found.setdefault(line["media_id"], Cost())
            cost.children += 1
            cost.cpu += line["cpu_ms"]
            cost.wall += line["wall_ms"]
            cost.peak = max(cost.peak, line["peak_kib"])
    return found


def faults(log: Path) -> Iterator[str]:
    """Restarts of the fork server, and errors."""
    starts = 0
    for line in _lines(log):
        event = line.get("event")
        starts += event in _RESTARTS
        if line.get("level") in {"error", "critical"} and event not in _EXPECTED:
            yield f"the worker logged an error: {json.dumps(line)[:600]}"
    if starts != 1:
        yield f"the fork server was started {starts} times"


def notes(log: Path) -> Iterator[str]:
    """Guards that this machine does not offer."""
    for line in _lines(log):
        if line.get("event") in _EXPECTED:
            yield f"guard missing on this machine: {line.get('guard')}"


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            yield json.loads(line)
