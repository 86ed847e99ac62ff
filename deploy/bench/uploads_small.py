"""Many small uploads at once: requests a second through ingest, the plain app, and straight to the store."""

import io
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import perf_counter

import msgspec
from minio import Minio

from deploy.bench import load, system
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.bench.rounds import interleaved
from deploy.services import BUCKET
from deploy.stack import EmbeddedStack

CLIENTS = 8
DIRECT, SDK, PLAIN = (
    "presigned PUT straight to the store",
    "minio SDK, 8 threads, straight",
    "UploadFile + minio SDK",
)
FORM, RAW, WAITED = "form, respond-async", "raw PUT, respond-async", "form, waiting for the catalog (201)"


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
    """Each method is one way to store so many files of one size; it returns how many a second."""

    def __init__(self, stack: EmbeddedStack, plain_url: str, size: Size) -> None:
        self._stack = stack
        self._plain_url = plain_url
        self._size = size
        self._sdk: Minio = system.sdk(stack)
        self._data = os.urandom(size.bytes)
        self._form = load.form(self._data, "bench.bin")
        self._names: Iterator[int] = itertools.count()
        self._authorization = {"Authorization": f"Bearer {stack.token('bench')}"}
        self.uploaded = 0
        self.statuses: list[int] = []

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
        return self._rate(load.send_all(self._plain_url, [exchange] * self._size.requests, CLIENTS)[0])

    def form(self) -> float:
        return self._through_ingest("POST", "/v1/uploads", self._form, _FORM_TYPE | _ASYNC)

    def raw(self) -> float:
        return self._through_ingest("PUT", "/v1/uploads/raw/bench.bin", self._data, _ASYNC)

    def waited(self) -> float:
        return self._through_ingest("POST", "/v1/uploads", self._form, _FORM_TYPE)

    def _through_ingest(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> float:
        url = self._stack.ingest_url + path
        exchange = load.request(method, url, body, headers | self._authorization)
        seconds, self.statuses = load.send_all(url, [exchange] * self._size.requests, CLIENTS)
        self.uploaded += self._size.requests
        return self._rate(seconds)

    def _key(self) -> str:
        return f"direct/{next(self._names)}"

    def _rate(self, seconds: float) -> float:
        return self._size.requests * self._size.per / seconds


_FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={load.BOUNDARY}"}
_ASYNC = {"Prefer": "respond-async"}


def measure(stack: EmbeddedStack, plain_url: str, setting: Setting) -> Iterator[Row]:
    """Rows for 20 KB and 1 MB. The processor must be stopped; the catalog works along, as it does in life."""
    before = 0
    for size in sizes(quick=setting.quick):
        ways = _Ways(stack, plain_url, size)
        committed: list[float] = []

        def through(way: str, ways: _Ways = ways, before: int = before) -> float:
            figure: float = getattr(ways, way)()
            system.settle(stack, before + ways.uploaded)
            return figure

        def waited(ways: _Ways = ways, committed: list[float] = committed) -> float:
            figure = through("waited", ways)
            committed.append(ways.statuses.count(201) / len(ways.statuses))
            return figure

        found = interleaved(
            setting.console,
            size.name,
            {
                DIRECT: ways.direct,
                SDK: ways.sdk,
                PLAIN: ways.plain,
                FORM: lambda: through("form"),
                RAW: lambda: through("raw"),
                WAITED: waited,
            },
            rounds=3 if setting.quick else 7,
        )
        before += ways.uploaded
        yield from _rows(size, found, sum(committed) / len(committed))


def _rows(size: Size, found: dict[str, list[float]], committed: float) -> Iterator[Row]:
    group, unit, against = f"bytes, {size.name}", size.unit, found[SDK]
    yield alone(group, DIRECT, found[DIRECT], unit)
    yield compared(group, PLAIN, found[PLAIN], unit, baseline=SDK, against=against)
    yield compared(group, FORM, found[FORM], unit, baseline=SDK, against=against, target=size.form)
    yield compared(group, RAW, found[RAW], unit, baseline=SDK, against=against, target=size.raw)
    note = f"{committed:.0%} were answered 201"
    yield compared(group, WAITED, found[WAITED], unit, baseline=SDK, against=against, note=note)
