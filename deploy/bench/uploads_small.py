"""Many small uploads at once: requests a second through ingest, the plain app, and straight to the store."""

import contextlib
import io
import itertools
import os
import signal
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import perf_counter

import msgspec
import psutil
from minio import Minio

from deploy.bench import load, system
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.bench.rounds import interleaved
from deploy.child import Child
from deploy.services import BUCKET
from deploy.stack import EmbeddedStack

CLIENTS = 8
DIRECT, SDK, PLAIN = (
    "presigned PUT straight to the store",
    "minio SDK, 8 threads, straight",
    "UploadFile + minio SDK",
)
FORM, RAW, WAITED = "form, respond-async", "raw PUT, respond-async", "form, waiting for the catalog (201)"
PAUSED = "form, respond-async, the catalog paused"


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """`per`: what one request counts in the unit of the figures."""

    name: str
    bytes: int
    requests: int
    unit: str
    per: float
    form: Target
    raw: Target


def sizes(*, quick: bool) -> tuple[Size, Size]:
    return (
        Size(
            name="20 KB",
            bytes=20_000,
            requests=160 if quick else 400,
            unit="requests/s",
            per=1,
            form=Target(sense="at least", ratio=1.3),
            raw=Target(sense="at least", ratio=1.3),
        ),
        Size(
            name="1 MB",
            bytes=1_000_000,
            requests=24 if quick else 80,
            unit="MB/s",
            per=1,
            form=Target(sense="at least", ratio=0.75),
            raw=Target(sense="at least", ratio=0.9),
        ),
    )


class _Ways:
    """Each method is one way to store so many files of one size; it returns how many a second. `cpu`: what each
    request cost the process that took it, in milliseconds; `committed`: the share of answers that were a 201."""

    def __init__(self, stack: EmbeddedStack, plain: tuple[str, int], size: Size, before: int) -> None:
        self._stack = stack
        self._plain_url, self._plain_pid = plain
        self._size = size
        self._sdk: Minio = system.sdk(stack)
        self._data = os.urandom(size.bytes)
        self._form = load.form(self._data, "bench.bin")
        self._names: Iterator[int] = itertools.count()
        self._authorization = {"Authorization": f"Bearer {stack.token('bench')}"}
        self.uploaded = before
        self.cpu: dict[str, list[float]] = {}
        self.committed: list[float] = []

    def direct(self) -> float:
        urls = [
            self._sdk.presigned_put_object(BUCKET, self._key(), timedelta(hours=1))
            for _ in range(self._size.requests)
        ]
        exchanges = [load.request("PUT", url, self._data, {}) for url in urls]
        return self._rate(load.send_all(self._stack.s3_endpoint, exchanges, CLIENTS)[0])

    def sdk(self) -> float:
        def put(_: int) -> None:
            self._sdk.put_object(BUCKET, self._key(), io.BytesIO(self._data), self._size.bytes)

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(put, range(CLIENTS)))  # connected and warm, as the others are
            started = perf_counter()
            list(threads.map(put, range(self._size.requests)))
            return self._rate(perf_counter() - started)

    def plain(self) -> float:
        exchange = load.request("POST", f"{self._plain_url}/uploads", self._form, _FORM_TYPE)
        with self._accounted(PLAIN, self._plain_pid):
            seconds, _ = load.send_all(self._plain_url, [exchange] * self._size.requests, CLIENTS)
        return self._rate(seconds)

    def form(self) -> float:
        return self._through_ingest(FORM, self._form_request(_ASYNC))

    def raw(self) -> float:
        url = self._stack.ingest_url + "/v1/uploads/raw/bench.bin"
        return self._through_ingest(RAW, load.request("PUT", url, self._data, _ASYNC | self._authorization))

    def waited(self) -> float:
        return self._through_ingest(WAITED, self._form_request({}))

    def paused(self) -> float:
        catalog = self._stack.child("catalog")
        catalog.signal(signal.SIGSTOP)
        try:
            return self._through_ingest(PAUSED, self._form_request(_ASYNC), after=catalog)
        finally:
            catalog.signal(signal.SIGCONT)

    def _form_request(self, headers: dict[str, str]) -> load.Exchange:
        url = self._stack.ingest_url + "/v1/uploads"
        return load.request("POST", url, self._form, _FORM_TYPE | headers | self._authorization)

    def _through_ingest(self, way: str, exchange: load.Exchange, after: Child | None = None) -> float:
        """`after` is let go on when the time is taken; then the catalog gets its time to catch up."""
        with self._accounted(way, self._stack.child("ingest").pid):
            seconds, statuses = load.send_all(
                self._stack.ingest_url, [exchange] * self._size.requests, CLIENTS
            )
        if after is not None:
            after.signal(signal.SIGCONT)
        if way == WAITED:
            self.committed.append(statuses.count(201) / len(statuses))
        self.uploaded += self._size.requests
        system.settle(self._stack, self.uploaded)
        return self._rate(seconds)

    @contextlib.contextmanager
    def _accounted(self, way: str, pid: int) -> Iterator[None]:
        process = psutil.Process(pid)
        before = process.cpu_times()
        yield
        after = process.cpu_times()
        milliseconds = (after.user + after.system - before.user - before.system) * 1000
        self.cpu.setdefault(way, []).append(milliseconds / self._size.requests)

    def _key(self) -> str:
        return f"direct/{next(self._names)}"

    def _rate(self, seconds: float) -> float:
        return self._size.requests * self._size.per / seconds


_FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={load.BOUNDARY}"}
_ASYNC = {"Prefer": "respond-async"}


def measure(stack: EmbeddedStack, plain: tuple[str, int], setting: Setting) -> Iterator[Row]:
    """Rows for 20 KB and 1 MB. The processor must be stopped; the catalog works along, as it does in life, but where
    the row says that it does not."""
    uploaded = 0
    for size in sizes(quick=setting.quick):
        ways = _Ways(stack, plain, size, uploaded)
        found = interleaved(
            setting.console,
            size.name,
            {
                DIRECT: ways.direct,
                SDK: ways.sdk,
                PLAIN: ways.plain,
                FORM: ways.form,
                RAW: ways.raw,
                PAUSED: ways.paused,
                WAITED: ways.waited,
            },
            rounds=3 if setting.quick else 7,
        )
        uploaded = ways.uploaded
        yield from _rows(size, found, ways)


def _rows(size: Size, found: dict[str, list[float]], ways: _Ways) -> Iterator[Row]:
    group, unit = f"bytes, {size.name}, {CLIENTS} clients", size.unit
    yield alone(group, DIRECT, found[DIRECT], unit)
    targets = {FORM: size.form, RAW: size.raw}
    for way in (PLAIN, FORM, RAW, PAUSED, WAITED):
        note = f"{statistics.median(ways.cpu[way]):.2f} ms CPU each"
        if way == WAITED:
            note += f", {statistics.mean(ways.committed):.0%} were a 201"
        yield compared(
            group, way, found[way], unit, baseline=SDK, against=found[SDK], target=targets.get(way), note=note
        )
