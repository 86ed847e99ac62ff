"""What a picture costs: the processor's own sandbox, pipeline and recipe against classic Pillow and the floor."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from deploy.bench import photos
from deploy.bench.photos import Photo
from deploy.bench.results import Row, Setting, Target, compared
from deploy.bench.rounds import interleaved
from deploy.services import PROJECT
from services.processor.failures import Failure
from services.processor.fork_client import ENVIRONMENT
from services.processor.frames import Job
from services.processor.sandbox import Outcome, Sandbox
from shared.recipes import shipped

OURS, CLASSIC, FLOOR = "the sandbox's child", "classic Pillow", "floor"
START_MS = 15.0


class _Ours:
    """The processor's sandbox, kept running as the processor keeps it."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._sandbox = Sandbox()
        runner.run(self._sandbox.__aenter__())

    def run(self, photo: Photo, file: Path) -> tuple[float, float]:
        """CPU milliseconds and peak MB of the child. Raises RuntimeError when the job does not end well."""
        outcome = self._job(photo.mime_type, file)
        if isinstance(outcome.verdict, Failure):
            raise RuntimeError(  # noqa: TRY004 -- a job that failed is no wrong type
                f"{photo.name}: {outcome.verdict}"
            )
        return outcome.cpu_milliseconds, outcome.peak_kib * 1024 / 1e6

    def start(self, empty: Path) -> float:
        """CPU milliseconds of a child that finds its file empty, and so comes to no step."""
        return self._job("image/jpeg", empty).cpu_milliseconds

    def _job(self, mime_type: str, file: Path) -> Outcome:
        original = os.open(file, os.O_RDONLY)
        job = Job(media_id="bench", trace_id="bench", mime_type=mime_type, recipe=shipped()["standard"])
        try:
            return self._runner.run(self._sandbox.run(job, original))
        finally:
            os.close(original)

    def fork_server_ms(self) -> float:
        times = psutil.Process(self._sandbox.server_pid).cpu_times()
        return float(times.user + times.system) * 1000

    def close(self) -> None:
        self._runner.run(self._sandbox.close())


def _other(way: str, photo: Photo, file: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "deploy.bench.pixel_ways", way, photo.mime_type, str(file)]
    environment = ENVIRONMENT | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    milliseconds, kib = done.stdout.split()
    return float(milliseconds), int(kib) * 1024 / 1e6


def measure(setting: Setting) -> Iterator[Row]:
    """Rows for each source: CPU against both baselines, and memory against classic Pillow."""
    setting.console.print("[dim]making pictures[/]")
    sources = photos.photos(quick=setting.quick)
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        ours = _Ours(runner)
        try:
            yield _start(ours, Path(folder), rounds=20)
            for photo in sources:
                file = Path(folder, "source")
                file.write_bytes(photo.data)
                yield from _compare(ours, photo, file, setting)
        finally:
            ours.close()


def _compare(ours: _Ours, photo: Photo, file: Path, setting: Setting) -> Iterator[Row]:
    peaks: dict[str, list[float]] = {}

    def noted(name: str, run: Callable[[], tuple[float, float]]) -> Callable[[], float]:
        def go() -> float:
            milliseconds, peak = run()
            peaks.setdefault(name, []).append(peak)
            return milliseconds

        return go

    found = interleaved(
        setting.console,
        photo.name,
        {
            OURS: noted(OURS, lambda: ours.run(photo, file)),
            CLASSIC: noted(CLASSIC, lambda: _other("classic", photo, file)),
            FLOOR: noted(FLOOR, lambda: _other("floor", photo, file)),
        },
        rounds=3 if setting.quick else 11,
    )
    group, jpeg = f"pixels, {photo.name}, {len(photo.data) / 1e6:.1f} MB", photo.mime_type == "image/jpeg"
    yield compared(
        group, "CPU against the floor", found[OURS], "ms", baseline=FLOOR, against=found[FLOOR],
        target=Target(sense="at most", ratio=2.0) if jpeg else None,
    )  # fmt: skip
    yield compared(
        group, "CPU, how many times less", found[CLASSIC], "ms", baseline=OURS, against=found[OURS],
        target=Target(sense="at least", ratio=5) if jpeg else None,
        note="figure: classic Pillow",
    )  # fmt: skip
    yield compared(
        group, "peak memory", peaks[OURS], "MB", baseline=CLASSIC, against=peaks[CLASSIC],
        target=Target(sense="at most", ratio=0.45),
    )  # fmt: skip


def _start(ours: _Ours, folder: Path, rounds: int) -> Row:
    """What a child costs before its first step and after its last one: fork, guards, exit."""
    empty = folder / "empty"
    empty.touch()
    before = ours.fork_server_ms()
    children = [ours.start(empty) for _ in range(rounds)]
    server = (ours.fork_server_ms() - before) / rounds
    return compared(
        "pixels, one child per file", "start and end of a child", [one + server for one in children], "ms CPU",
        baseline="allowed", against=[START_MS] * rounds, target=Target(sense="at most", ratio=1),
        note=f"fork server {server:.1f} ms of it",
    )  # fmt: skip
