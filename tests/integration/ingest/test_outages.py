"""Broker or store away: refused before the body is read, nothing pretends, and all comes back by itself."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.ingest.app import create_app
from shared.errors import Unavailable
from shared.events import topology
from shared.events.jetstream import BusSettings, connect
from shared.storage.s3 import S3Settings
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.servers import Broker, ObjectStore
from tests.integration.ingest.conftest import (
    Gateway,
    Start,
    Wire,
    eventually,
    request_head,
    serving,
    settings_for,
)
from tests.integration.ingest.mortal import Life, dying

JPEG = encoded(picture(64, 48))
FORM = {"Content-Length": "5000000", "Content-Type": "multipart/form-data; boundary=x"}


async def checks(gateway: Gateway) -> dict[str, str]:
    found: dict[str, str] = (await gateway.http.get("/health/ready")).json()["checks"]
    return found


async def accepted(gateway: Gateway) -> bool:
    return (await gateway.upload(JPEG)).status_code == 202


async def test_a_broker_that_hangs_is_told_within_seconds(gateway: Gateway, broker: Broker) -> None:
    broker.send_signal(signal.SIGSTOP)
    try:
        assert gateway.ingest.bus.connected

        async def told() -> bool:
            return (await checks(gateway))["nats"] == "no answer within 2 s"

        await eventually(told, "the broker to be told as hanging")
    finally:
        broker.send_signal(signal.SIGCONT)
    assert (await checks(gateway))["nats"] == "ok"


async def test_with_the_broker_down_uploads_are_refused_before_the_body_and_come_back(
    gateway: Gateway, broker: Broker
) -> None:
    broker.stop()

    async def noticed() -> bool:
        return not gateway.ingest.bus.connected

    await eventually(noticed, "the loss to be noticed")
    for path, method in (("/v1/uploads", "POST"), ("/v1/uploads/raw/a.jpg", "PUT")):
        wire = Wire(gateway.port)
        await wire.send(request_head(path, FORM, method))
        answer = await wire.answer()
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: " in answer
        assert b"connection: close" in answer
        wire.close()
    found = await checks(gateway)
    assert "broker" in found["nats"]
    assert (await gateway.http.get("/health/live")).status_code == 200
    status = await gateway.http.get("/v1/uploads/01890000-0000-7000-8000-000000000000")
    assert status.status_code == 503
    assert gateway.files() == []

    broker.start()
    await eventually(lambda: accepted(gateway), "uploads to work again")
    assert set((await checks(gateway)).values()) == {"ok"}


async def test_a_broker_lost_in_the_middle_of_an_upload_is_503_and_the_rest_is_swept(
    gateway: Gateway, broker: Broker
) -> None:
    wire = Wire(gateway.port)
    await wire.send(
        request_head("/v1/uploads/raw/a.bin", {"Content-Length": "100000"}, "PUT") + bytes(70_000)
    )
    await eventually(lambda: gateway.keys(topology.INTENTS), "the intent")
    broker.stop()
    await wire.send(bytes(30_000))
    answer = await wire.answer()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: " in answer
    wire.close()
    broker.start()
    await eventually(gateway.nothing_is_left, "the sweep")


async def test_ingest_starts_without_broker_and_store_and_becomes_ready(
    broker: Broker, object_store: ObjectStore
) -> None:
    broker.stop()
    async with (
        serving(create_app(settings_for(broker.url, object_store))) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["s3"] == "ok"
        broker.start()

        async def waiting_for_the_counter() -> bool:
            found = (await http.get("/health/ready")).json()["checks"]
            return found["nats"] == "ok" and "media.number" in found["counter"]

        await eventually(waiting_for_the_counter, "the broker to be back")
        bus = await connect(BusSettings(url=broker.url))
        await bus.kv(topology.COUNTERS).create("media.number", b"1")
        await bus.close()

        async def ready() -> bool:
            return (await http.get("/health/ready")).status_code == 200

        await eventually(ready, "readiness")


async def test_without_the_counter_uploads_are_refused_before_the_body(start: Start) -> None:
    async with start(counter=False) as gateway:
        await gateway.bus.ensure(topology.TOPOLOGY)
        wire = Wire(gateway.port)
        await wire.send(request_head("/v1/uploads", FORM))
        answer = await wire.answer()
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"media.number" in answer
        wire.close()


class Gate:
    """A store that can be taken away: a relay in front of it."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, up_writer), (up_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # the other side is gone, which ends the relay
        finally:
            sink.close()


@pytest.fixture
async def store_gate(object_store: ObjectStore) -> AsyncIterator[Gate]:
    host, port = object_store.endpoint.removeprefix("http://").split(":")
    gate = Gate((host, int(port)))
    await gate.open()
    yield gate
    await gate.close()


async def test_with_the_store_down_uploads_are_refused_and_come_back_at_once(
    start: Start, store_gate: Gate, object_store: ObjectStore
) -> None:
    s3 = S3Settings(
        endpoint=f"http://127.0.0.1:{store_gate.port}",
        bucket=object_store.bucket,
        access_key=object_store.access_key,
        secret_key=object_store.secret_key,
    )
    async with start(s3=s3) as gateway:
        await store_gate.close()
        first = await gateway.upload(JPEG)
        assert first.status_code == 503
        assert int(first.headers["retry-after"]) >= 1
        wire = Wire(gateway.port)
        await wire.send(request_head("/v1/uploads", FORM))
        assert await wire.status() == 503
        wire.close()
        assert (await checks(gateway))["s3"] != "ok"
        assert gateway.files() == []

        await store_gate.open()
        assert (await gateway.upload(JPEG)).status_code == 202
        assert len(await gateway.events()) == 1

        async def swept() -> bool:
            return not await gateway.keys(topology.INTENTS)

        await eventually(swept, "the intent of the first to be undone")
        assert len(gateway.files()) == 1


async def test_a_publish_without_an_answer_is_503_and_the_upload_is_kept(start: Start) -> None:
    life = Life(before="publish")
    async with start(dying(life)) as gateway:
        answer = await gateway.upload(JPEG)
        assert answer.status_code == 503
        assert "stored" not in answer.json()["code"]
        assert int(answer.headers["retry-after"]) >= 1
        assert len(gateway.files()) == 1
        assert len(await gateway.keys(topology.INTENTS)) == 1
        life.before, life.over = "", False

        async def announced() -> bool:
            return len(await gateway.events()) == 1

        await eventually(announced, "its own sweep to announce it")


async def test_no_answer_from_the_broker_is_not_taken_for_a_refusal(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = type(gateway.ingest.bus).publish
    failures = 2

    async def flaky(self: Any, *args: Any, **options: Any) -> int:
        nonlocal failures
        sequence: int = await publish(self, *args, **options)
        if failures:
            failures -= 1
            raise Unavailable("no answer")
        return sequence

    monkeypatch.setattr(type(gateway.ingest.bus), "publish", flaky)
    answer = await gateway.upload(JPEG)
    assert answer.status_code == 202
    assert failures == 0
    assert len(await gateway.events()) == 1


async def test_every_answer_and_event_carries_the_trace_of_its_request(gateway: Gateway) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    answer = await gateway.upload(JPEG, headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert answer.headers["x-trace-id"] == trace_id
    (message,) = await gateway.messages()
    assert json.loads(message.data)["traceparent"].split("-")[1] == trace_id
    assert message.headers["traceparent"].split("-")[1] == trace_id
