"""How much of each file has come, told while it comes: live on the broker, and at GET /v1/uploads/{id}."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from services.ingest import progress
from shared.events import topology
from shared.events.messages import Progress, decode
from tests.integration.ingest.conftest import Wire, eventually, request_head
from tests.integration.ingest.in_memory import FORM_TYPE, Small, form, part, running

PIECE = b"\x00\x01binary" * 20_000


class Told:
    """What was told of each file, newest last."""

    def __init__(self) -> None:
        self.of: dict[str, list[Progress]] = {}

    async def of_name(self, name: str) -> Progress | None:
        return self.of.get(name, [None])[-1]


@contextlib.asynccontextmanager
async def listening(small: Small) -> AsyncIterator[Told]:
    told = Told()

    async def hear() -> None:
        async with small.bus.listen(topology.progress("*")) as messages:
            listens.set()
            async for message in messages:
                event = decode(message.data)[1]
                if isinstance(event, Progress):
                    told.of.setdefault(str(event.filename), []).append(event)

    listens = asyncio.Event()
    task = asyncio.create_task(hear())
    await listens.wait()
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def small(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Small]:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0)
    async with running() as found:
        yield found


async def test_each_file_of_a_batch_is_followed_while_it_arrives(small: Small) -> None:
    body = form(part("files", b"words", "a.txt"), part("files", PIECE * 3, "b.bin"))
    head = request_head("/v1/uploads/batch", {**FORM_TYPE, "Content-Length": str(len(body))})
    wire = Wire(small.port)
    async with listening(small) as told, small.client() as http, small.client("bob") as bob:
        await wire.send(head + body[: -2 * len(PIECE)])
        first = await eventually(lambda: told.of_name("a.txt"), "word of the first file")
        assert (first.stage, first.percent, first.received, first.size) == ("receiving", 100, 5, 5)
        assert first.owner == "ann"
        second = await eventually(lambda: told.of_name("b.bin"), "word of the second file")
        assert (second.percent, second.size) == (0, None)  # nobody knows yet how large it will be
        assert second.received is not None
        assert 0 < second.received < 2 * len(PIECE)
        found = (await http.get(f"/v1/uploads/{second.id}")).json()
        assert found["status"] == "uploading"
        assert second.received <= found["received"] < 2 * len(PIECE)
        assert found["progress"] == {"stage": "receiving", "percent": 0}
        whole = (await http.get(f"/v1/uploads/{first.id}")).json()
        assert (whole["status"], whole["received"], whole["size"]) == ("uploading", 5, 5)
        assert (await bob.get(f"/v1/uploads/{second.id}")).status_code == 404
        await wire.send(body[-2 * len(PIECE) :])
        assert await wire.status() == 202
        assert (await http.get(f"/v1/uploads/{second.id}")).json()["status"] == "processing"
        assert told.of["b.bin"][-1].percent == 100


async def test_a_body_of_known_length_tells_its_share(small: Small) -> None:
    size = 4 * len(PIECE)
    head = request_head("/v1/uploads/raw/c.bin", {"Content-Length": str(size)}, method="PUT")
    wire = Wire(small.port)
    async with listening(small) as told:
        await wire.send(head + PIECE)
        heard = await eventually(lambda: told.of_name("c.bin"), "word of the file")
        assert heard.received is not None
        assert (heard.percent, heard.size) == (heard.received * 100 // size, size)
        await wire.send(3 * PIECE)
        assert await wire.status() == 202


async def test_a_file_that_is_there_at_once_is_no_news(monkeypatch: pytest.MonkeyPatch, small: Small) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 60)
    async with listening(small) as told, small.client() as http:
        assert (await http.put("/v1/uploads/raw/d.bin", content=PIECE)).status_code == 202
        answer = await http.post(
            "/v1/uploads/batch", content=form(part("file", b"x", "e")), headers=FORM_TYPE
        )
        assert answer.status_code == 202
        await eventually(lambda: told.of_name("e"), "word of the file of a batch")
        assert list(told.of) == ["e"]
