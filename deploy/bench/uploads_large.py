"""Large uploads: how fast one file goes through, and how much memory ingest takes for it."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import msgspec
import psutil

from deploy.bench import system
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.bench.rounds import interleaved
from deploy.services import BUCKET
from deploy.stack import EmbeddedStack

CURL, SDK, PLAIN = "curl -T presigned, straight", "minio SDK, straight", "UploadFile + minio SDK"
FORM, RAW = "form through ingest", "raw PUT through ingest"
FAST = Target(sense="at least", ratio=0.95)
SMALL = Target(sense="at most", ratio=1)
GROWTH_MB = 64
GROWTH_EACH_MB = 6 * 1.048576
MANY_AT_ONCE = 32

Way: TypeAlias = Callable[[], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One size, and how often each way is taken."""

    name: str
    bytes: int
    rounds: int


def many_bytes(*, quick: bool) -> int:
    """The size of each of MANY_AT_ONCE files. In a quick run it still has several parts."""
    return 20_000_000 if quick else 200_000_000


def plans(*, quick: bool) -> tuple[Plan, Plan]:
    if quick:
        return Plan(name="50 MB", bytes=50_000_000, rounds=2), Plan(
            name="200 MB", bytes=200_000_000, rounds=1
        )
    return Plan(name="200 MB", bytes=200_000_000, rounds=5), Plan(name="2 GB", bytes=2_000_000_000, rounds=1)


class _Ways:
    """Each method sends the file once; what it leaves in the store is removed between the rounds."""

    def __init__(self, stack: EmbeddedStack, plain_url: str, file: Path) -> None:
        self._stack = stack
        self._plain_url = plain_url
        self._file = file
        self._sdk = system.sdk(stack)
        self._token = f"Authorization: Bearer {stack.token('bench')}"

    def curl_straight(self) -> None:
        url = self._sdk.presigned_put_object(BUCKET, "straight/curl", timedelta(hours=1))
        _curl("-T", str(self._file), url)

    def sdk_straight(self) -> None:
        self._sdk.fput_object(BUCKET, "straight/sdk", str(self._file))

    def plain(self) -> None:
        # curl names the part's type itself
        _curl("-F", f"data=@{self._file}", f"{self._plain_url}/uploads")

    def form(self) -> None:
        _curl("-H", self._token, "-F", f"file=@{self._file}", f"{self._stack.ingest_url}/v1/uploads")

    def raw(self) -> None:
        _curl("-H", self._token, "-T", str(self._file), f"{self._stack.ingest_url}/v1/uploads/raw/bench.bin")

    def many(self, way: Way) -> None:
        with ThreadPoolExecutor(MANY_AT_ONCE) as threads:
            for sent in [threads.submit(way) for _ in range(MANY_AT_ONCE)]:
                sent.result()

    def clean(self) -> None:
        """Make room: what was stored is of no use any more."""
        for found in self._sdk.list_objects(BUCKET, recursive=True):
            self._sdk.remove_object(BUCKET, str(found.object_name))


def _curl(*arguments: str) -> None:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--header", "Expect:", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"curl ended with {done.returncode}: {done.stderr} {done.stdout[:500]}")


def measure(stack: EmbeddedStack, plain: tuple[str, int], setting: Setting) -> Iterator[Row]:
    """Rows for one file of each size, and for several at once."""
    url, plain_pid = plain
    ingest = stack.child("ingest").pid
    first, last = plans(quick=setting.quick)
    for plan in (first, last):
        with _file(plan.bytes, setting.folder) as file:
            ways = _Ways(stack, url, file)
            grown: dict[str, list[float]] = {FORM: [], RAW: [], PLAIN: []}
            found = interleaved(
                setting.console,
                plan.name,
                {
                    CURL: partial(_rate, plan, ways, ways.curl_straight),
                    SDK: partial(_rate, plan, ways, ways.sdk_straight),
                    PLAIN: partial(_rate, plan, ways, ways.plain, plain_pid, grown[PLAIN]),
                    FORM: partial(_rate, plan, ways, ways.form, ingest, grown[FORM]),
                    RAW: partial(_rate, plan, ways, ways.raw, ingest, grown[RAW]),
                },
                plan.rounds,
            )
            yield from _rows(plan, found, grown)
    yield from _many(stack, url, setting)


def _many(stack: EmbeddedStack, url: str, setting: Setting) -> Iterator[Row]:
    """How much memory many large uploads at once take: forms do not say how long their files are, raw bodies do."""
    size = many_bytes(quick=setting.quick)
    plan = Plan(name=f"{size // 1_000_000} MB", bytes=size, rounds=1)
    with _file(size, setting.folder) as file:
        ways = _Ways(stack, url, file)
        for name, way, each in (("raw PUTs", ways.raw, 0.0), ("forms", ways.form, GROWTH_EACH_MB)):
            setting.console.print(f"[dim]{MANY_AT_ONCE} {name} of {plan.name} at once[/]", highlight=False)
            grown: list[float] = []
            rate = _rate(plan, ways, partial(ways.many, way), stack.child("ingest").pid, grown)
            group = f"bytes, {MANY_AT_ONCE} files of {plan.name} at once"
            yield alone(group, f"{name} through ingest", [rate * MANY_AT_ONCE], "MB/s")
            yield _growth(group, f"memory growth, {name}", grown, GROWTH_MB + MANY_AT_ONCE * each)


def _rate(plan: Plan, ways: _Ways, way: Way, pid: int = 0, grown: list[float] | None = None) -> float:
    """MB a second; into `grown` by how many MB the process grew meanwhile."""
    before = _reset_peak(pid) if pid else 0.0
    started = perf_counter()
    way()
    seconds = perf_counter() - started
    if grown is not None:
        grown.append(_peak(pid) - before)
    ways.clean()
    return plan.bytes / 1e6 / seconds


def _reset_peak(pid: int) -> float:
    """Resident MB now, from which the kernel notes the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} is gone")


def _rows(plan: Plan, found: dict[str, list[float]], grown: dict[str, list[float]]) -> Iterator[Row]:
    group, against = f"bytes, one file of {plan.name}", found[CURL]
    for way, target in ((SDK, None), (PLAIN, None), (FORM, FAST), (RAW, FAST)):
        yield compared(group, way, found[way], "MB/s", baseline=CURL, against=against, target=target)
    yield _growth(group, f"memory growth, {PLAIN}", grown[PLAIN], GROWTH_MB, target=None)
    for way in (FORM, RAW):
        yield _growth(group, f"memory growth, {way}", grown[way], GROWTH_MB)


def _growth(
    group: str, name: str, figures: list[float], allowed: float, target: Target | None = SMALL
) -> Row:
    # Nothing grown would be a ratio of nothing; and the greatest, not the median, is what must fit.
    most = max(1.0, *figures)
    return compared(
        group,
        name,
        [most],
        "MB",
        baseline="allowed",
        against=[allowed],
        target=target,
    )


@contextlib.contextmanager
def _file(size: int, folder: Path | None) -> Iterator[Path]:
    block = os.urandom(1_000_000)
    with tempfile.NamedTemporaryFile(suffix=".bin", dir=folder) as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.flush()
        yield Path(file.name)
