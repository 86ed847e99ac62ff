"""Ingest as a process of its own: its memory, its disk, and its end."""

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.ports import free_port
from shared.events import topology
from shared.events.jetstream import BusSettings, connect
from tests.fixtures.servers import Broker, ObjectStore
from tests.integration.ingest import small
from tests.integration.ingest.conftest import SECRET, Start, Wire, eventually, request_head, token

MEBIBYTE = 1024 * 1024
SIZE = 96 * MEBIBYTE
PIECE = bytes(range(256)) * 1024


class Process:
    """`python -m services.ingest`, as it runs in earnest."""

    def __init__(self, child: asyncio.subprocess.Process, port: int, folder: Path) -> None:
        self.child = child
        self.port = port
        self.folder = folder
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token('ann')}"},
            timeout=60,
        )

    async def end(self) -> None:
        """SIGTERM, and what has to follow within ten seconds."""
        if self.child.returncode is None:
            self.child.terminate()
            async with asyncio.timeout(10):
                await self.child.wait()
        assert self.child.returncode in {0, -15}

    def peak(self) -> int:
        """The most memory that was ever resident, in bytes."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.child.pid}/status").read_text())
        assert found
        return int(found.group(1)) * 1024


@pytest.fixture
async def process(broker: Broker, object_store: ObjectStore, tmp_path: Path) -> AsyncIterator[Process]:
    port = free_port(set())
    folder = tmp_path / "scratch"
    folder.mkdir()
    environment = {
        "TRIPOD_ENV": "production",
        "TRIPOD_HTTP_PORT": str(port),
        "TRIPOD_NATS_URL": broker.url,
        "TRIPOD_S3_ENDPOINT": object_store.endpoint,
        "TRIPOD_S3_BUCKET": object_store.bucket,
        "TRIPOD_S3_ACCESS_KEY": object_store.access_key,
        "TRIPOD_S3_SECRET_KEY": object_store.secret_key,
        "TRIPOD_JWT_SECRET": SECRET,
        "TRIPOD_INGEST_LEASE": "1",
        "TRIPOD_INGEST_SWEEP": "0.3",
        "TMPDIR": str(folder),
        "PATH": os.environ["PATH"],
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ingest",
        env=environment,
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.DEVNULL,
    )
    running = Process(child, port, folder)
    bus = await connect(BusSettings(url=broker.url))
    await bus.ensure(topology.TOPOLOGY)
    await bus.kv(topology.COUNTERS).create("media.number", b"1")
    await bus.close()

    async def ready() -> bool:
        try:
            return (await running.http.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(ready, "the process to be ready", 30)
    yield running
    await running.http.aclose()
    await running.end()


async def body(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield PIECE


async def form(pieces: int) -> AsyncIterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    async for piece in body(pieces):
        yield piece
    yield b"\r\n--x--\r\n"


@pytest.mark.parametrize("way", ["multipart", "raw"])
async def test_invariant_2_nothing_is_spooled_whole(
    process: Process, object_store: ObjectStore, way: str
) -> None:
    async def send(pieces: int) -> dict[str, str]:
        if way == "multipart":
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = await process.http.post("/v1/uploads", content=form(pieces), headers=headers)
        else:
            headers = {"Content-Length": str(pieces * len(PIECE))}
            answer = await process.http.put("/v1/uploads/raw/a.bin", content=body(pieces), headers=headers)
        assert answer.status_code == 202, answer.text
        found: dict[str, str] = answer.json()
        return found

    await send(4)
    before = process.peak()
    pieces = SIZE // len(PIECE)
    media = await send(pieces)
    growth = process.peak() - before

    assert media["sha256"] == hashlib.sha256(PIECE * pieces).hexdigest()
    assert sum(file.size for file in object_store.files()) == SIZE + 4 * len(PIECE)
    assert list(process.folder.rglob("*")) == []
    assert growth < (32 if way == "multipart" else 12) * MEBIBYTE, f"{growth / MEBIBYTE:.1f} MiB"


async def test_a_stop_in_the_middle_of_an_upload_leaves_nothing(
    process: Process, broker: Broker, start: Start
) -> None:
    wire = Wire(process.port)
    await wire.send(request_head("/v1/uploads/raw/a.bin", {"Content-Length": "100000000"}, "PUT"))
    await wire.send(bytes(9 * MEBIBYTE))
    bus = await connect(BusSettings(url=broker.url))
    await eventually(lambda: bus.kv(topology.INTENTS).keys(), "the intent")
    await bus.close()

    await process.end()
    wire.close()
    async with start() as living:
        await eventually(living.nothing_is_left, "the sweep")


async def test_a_stop_lets_an_upload_that_is_nearly_done_be_done(
    process: Process, object_store: ObjectStore
) -> None:
    stopping = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield PIECE
        process.child.terminate()
        await eventually(lambda: refused(process.port), "the process to take no more connections")
        stopping.set()
        yield PIECE

    headers = {"Content-Length": str(2 * len(PIECE))}
    answer = await process.http.put("/v1/uploads/raw/a.bin", content=slow(), headers=headers)
    assert answer.status_code == 202
    assert stopping.is_set()
    assert [file.size for file in object_store.files()] == [2 * len(PIECE)]


async def refused(port: int) -> bool:
    try:
        Wire(port).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_who_asks_first_is_refused_without_a_100_and_asked_once_for_what_is_taken(
    process: Process, broker: Broker, object_store: ObjectStore
) -> None:
    async def answered(body: bytes = b"", *headers: str, path: str = "a.txt") -> list[int]:
        head = small.head("PUT", f"/v1/uploads/raw/{path}", "Expect: 100-continue", *headers, close=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
        client = small.Client(reader, writer)
        await client.send(head)
        answer = await client.answer()
        if answer.startswith(b"HTTP/1.1 100"):
            await client.send(body)
            answer += await client.answer()
        writer.close()
        await writer.wait_closed()
        return small.statuses(answer)

    assert await answered(b"text", "Content-Length: 4") == [100, 202]
    assert await answered(b"4\r\ntext\r\n0\r\n\r\n", "Transfer-Encoding: chunked") == [100, 202]
    assert len(object_store.files()) == 2
    assert await answered(b"", "Content-Length: 4", "Authorization: Bearer x") == [400]
    assert await answered(b"", f"Content-Length: {10**12}") == [413]
    assert await answered(b"", "Content-Length: 4", "Content-Type: image/png") == [415]
    assert await answered(b"", "Content-Length: 4", path="a.txt?profile=nope") == [422]
    await asyncio.to_thread(broker.stop)
    assert await answered(b"", "Content-Length: 4") == [503]
    assert len(object_store.files()) == 2
