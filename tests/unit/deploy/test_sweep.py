"""What a sweep calls a fault, told of runs that are made up; the sweep itself is run by hand (README, Status)."""

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from deploy.errors import StackError
from deploy.sweep import costs, residue
from deploy.sweep.files import samples
from deploy.sweep.results import NO_END, Ending, disagreements, table

READY = Ending(verdict="ready", media_id="a", made=("width 3",), children=1, cpu=20, wall=30, peak=2048)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "broken/b.JPG", "broken/c"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def log(folder: Path, *lines: dict[str, object]) -> Path:
    file = folder / "processor.log"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no json\n")
    return file


def said(found: Iterable[str]) -> str:
    return "\n".join(found)


def test_a_file_belongs_to_the_class_of_the_manifest_else_of_its_suffix(folder: Path) -> None:
    assert [one.kind for one in samples(folder)] == ["png", "broken: jpg", "broken: no suffix"]
    (folder / "manifest.tsv").write_text("file\tclass\na.png\tvalid\tx\tx\nbroken/c\thostile\tx\tx\n")
    assert [one.kind for one in samples(folder)] == ["valid", "broken: jpg", "broken: hostile"]
    assert [(one.name, one.kind) for one in samples(folder / "broken")] == [
        ("b.JPG", "jpg"),
        ("c", "hostile"),
    ]


def test_an_empty_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no file"):
        samples(tmp_path)


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (READY, ""),
        (Ending(verdict="ready", made=("width 4",)), "what was made of it differs: width 3, width 4"),
        (Ending(verdict="failed: corrupt"), "ready, then failed: corrupt"),
        (Ending(verdict=NO_END), "no final state in round 2"),
    ],
)
def test_two_rounds_that_differ_or_do_not_end_are_faults(folder: Path, second: Ending, fault: str) -> None:
    (one,) = [sample for sample in samples(folder) if sample.name == "a.png"]
    found = said(disagreements([one], [[READY], [second]]))
    assert (fault in found, bool(found)) == (True, bool(fault))


def test_a_row_tells_the_first_rounds_verdicts_and_the_costs_of_both(folder: Path) -> None:
    dear = Ending(verdict="failed: timeout", children=2, cpu=900, wall=1000, peak=4096)
    rows, total = table(samples(folder), [[READY, READY, dear], [READY, READY, dear]])
    assert [row.name for row in rows] == ["broken: jpg", "broken: no suffix", "png"]
    assert (total.files, total.verdicts) == (3, {"ready": 2, "failed: timeout": 1})
    assert (total.cpu_median, total.cpu_most, total.wall_most, total.peak_most) == (20, 900, 1000, 4)


def test_restarts_and_errors_of_the_worker_are_faults(tmp_path: Path) -> None:
    start: dict[str, object] = {"event": "sandbox.ready", "level": "info"}
    guard: dict[str, object] = {"event": "sandbox.guard_missing", "level": "error", "guard": "landlock"}
    assert not said(costs.faults(log(tmp_path, start, guard)))
    assert said(costs.notes(log(tmp_path, start, guard))) == "guard missing on this machine: landlock"
    assert "started 2 times" in said(costs.faults(log(tmp_path, start, start)))
    assert "boom" in said(costs.faults(log(tmp_path, start, {"event": "boom", "level": "error"})))


def test_a_second_child_of_a_file_adds_to_its_cost(tmp_path: Path) -> None:
    child = {"media_id": "m", "cpu_ms": 5, "wall_ms": 7, "peak_kib": 100}
    lines = [{"event": "job.failed", **child}, {"event": "job.done", **child, "peak_kib": 300}]
    cost = costs.costs(log(tmp_path, *lines))["m"]
    assert (cost.children, cost.cpu, cost.wall, cost.peak) == (2, 10, 14, 300)


def test_descriptors_that_stay_open_are_faults_and_kept_connections_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # This process may have started servers for other tests.
    monkeypatch.setattr(residue, "_family", lambda pid: [psutil.Process(pid)])
    before = residue.at_rest(os.getpid())
    with socket.socket():
        assert not said(residue.differences(before, residue.at_rest(os.getpid())))
    left = os.memfd_create("original")
    try:
        assert "original" in said(residue.differences(before, residue.at_rest(os.getpid())))
    finally:
        os.close(left)


def test_files_and_variants_that_nobody_has_are_faults(tmp_path: Path) -> None:
    (ready, failed) = "0193f1a0-0000-7000-8000-000000000001", "0193f1a0-0000-7000-8000-000000000002"
    for owner in (ready, failed):
        path = tmp_path / f"variants/2026/11/21/{owner}/1234-small.jpg"
        path.parent.mkdir(parents=True)
        path.touch()
    found = said(residue.left_variants(tmp_path, [Ending(verdict="ready", media_id=ready)]))
    assert found == f"1 variants were left over, of {failed}"
    assert said(residue.left_files(tmp_path / "nothing")) == ""
    assert "1234-small.jpg" in said(residue.left_files(tmp_path))
