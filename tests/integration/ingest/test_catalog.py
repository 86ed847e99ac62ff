"""Ingest beside a catalog: 201 on its commit, its word on where an upload stands, and its deletes."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import httpx
import msgspec
import pytest

from services.ingest.app import REAL, Outside
from services.ingest.settings import IngestSettings
from shared import profiles
from shared.dialects.settings import DialectSettings
from shared.env import Env
from shared.events import topology
from shared.events.bus import REPLY_HEADER, Message
from shared.events.messages import Event, MediaCreated, MediaDeleted, MediaUploaded, Progress, decode, encode
from shared.ids import new_id, public_id
from shared.media import Media, from_upload
from shared.storage.blobs import Blobs
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, Start, delete, eventually
from tests.integration.ingest.mortal import Life, Mortal

JPEG = encoded(picture(64, 48))
FACE = encoded(picture(120, 110))


class Catalog:
    """As much of the catalog as ingest sees: a heartbeat, an answer to each upload, and what it knows."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.known: dict[str, Media] = {}
        self.answers = True
        self.heard: list[Message] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Catalog"]:
        bus = self.gateway.bus
        async with (
            bus.listen("media.v1.uploaded.>") as uploads,
            bus.serve(topology.CATALOG_FIND_UPLOAD, "catalog", self._find),
        ):
            tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._follow(uploads))]
            await eventually(self._alive, "the heartbeat to be heard")
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _alive(self) -> bool:
        return self.gateway.ingest.heartbeat.alive

    async def _beat(self) -> None:
        while True:
            await self.gateway.bus.broadcast(topology.CATALOG_HEARTBEAT, b"")
            await asyncio.sleep(0.05)

    async def _follow(self, uploads: AsyncIterator[Message]) -> None:
        async for message in uploads:
            self.heard.append(message)
            _, event = decode(message.data)
            assert isinstance(event, MediaUploaded)
            self.known[str(event.id)] = from_upload(event, "http://origin.test")
            if self.answers and (reply := message.headers.get(REPLY_HEADER)):
                await self.gateway.bus.broadcast(reply, b"{}")

    async def _find(self, message: Message) -> bytes:
        wanted = msgspec.json.decode(message.data)["id"]
        found = self.known.get(wanted)
        return msgspec.json.encode(found) if found else b""


@pytest.fixture
async def catalog(gateway: Gateway) -> AsyncIterator[Catalog]:
    async with Catalog(gateway).running() as running:
        yield running


async def test_invariant_1_201_says_that_the_catalog_has_committed(
    gateway: Gateway, catalog: Catalog
) -> None:
    answers = await asyncio.gather(*(gateway.upload(JPEG) for _ in range(8)))
    for answer in answers:
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"http://origin.test/v1/media/{answer.json()['id']}"
        assert answer.json()["url"] == answer.headers["location"]
    assert len(catalog.known) == 8
    assert await gateway.keys(topology.INTENTS) == []


async def test_a_catalog_that_does_not_answer_in_time_makes_it_202(
    gateway: Gateway, catalog: Catalog
) -> None:
    catalog.answers = False
    started = time.monotonic()
    answer = await gateway.upload(JPEG)
    assert answer.status_code == 202
    assert 0.3 <= time.monotonic() - started < 5
    assert catalog.heard[0].headers[REPLY_HEADER]


async def test_who_does_not_want_to_wait_does_not(gateway: Gateway, catalog: Catalog) -> None:
    answer = await gateway.upload(JPEG, headers={"Prefer": "handling=lenient, respond-async"})
    assert answer.status_code == 202
    assert REPLY_HEADER not in (await gateway.messages())[0].headers
    await eventually(lambda: status(gateway, answer), "the catalog to know it all the same")
    assert catalog.known


async def test_without_a_heartbeat_nobody_waits(gateway: Gateway) -> None:
    assert not gateway.ingest.heartbeat.alive
    answer = await gateway.upload(JPEG)
    assert answer.status_code == 202
    assert REPLY_HEADER not in (await gateway.messages())[0].headers


async def status(gateway: Gateway, answer: httpx.Response) -> dict[str, object]:
    found = await gateway.http.get(f"/v1/uploads/{answer.json()['id']}")
    assert found.status_code == 200, found.text
    assert found.headers["cache-control"] == "no-store"
    shown: dict[str, object] = found.json()
    return shown


async def test_the_catalog_knows_best_where_an_upload_stands(gateway: Gateway, catalog: Catalog) -> None:
    answer = await gateway.upload(JPEG)
    media_id = answer.json()["id"]
    catalog.known[media_id] = msgspec.structs.replace(catalog.known[media_id], status="ready", width=64)
    found = await status(gateway, answer)
    assert (found["status"], found["received"], found["size"]) == ("ready", len(JPEG), len(JPEG))
    assert found["media"]["width"] == 64  # type: ignore[index]
    del catalog.known[media_id]
    assert (await status(gateway, answer))["status"] == "processing"


async def test_progress_is_shown_while_it_is_processed(gateway: Gateway) -> None:
    answer = await gateway.upload(JPEG)
    media_id = uuid.UUID(answer.json()["id"])
    now = datetime.now(UTC)
    event = Progress(id=media_id, owner="ann", stage="variants", percent=60, at=now)
    data = encode(event, source="t", event_id="1", subject=str(media_id), time=now, traceparent=None)
    await gateway.bus.broadcast(topology.progress(str(media_id)), data)

    async def shown() -> bool:
        return (await status(gateway, answer))["progress"] == {"stage": "variants", "percent": 60}

    await eventually(shown, "the progress")


async def test_who_waits_for_a_result_is_answered_as_soon_as_the_media_is_gone(start: Start) -> None:
    patient = {
        "profiles": profiles.load(Env({"TRIPOD_ENV": "development"})),
        "dialects": DialectSettings(wait=60),
    }
    async with start(**patient) as gateway, Catalog(gateway).running() as catalog, asyncio.timeout(20):
        slot = "/v1/media/users/ann/avatar"
        upload = asyncio.create_task(gateway.http.post(slot, files={"file": ("a.jpg", FACE)}))
        await eventually(lambda: uploaded(catalog), "the upload to be told")
        await tell_gone(gateway, catalog)
        answer = await upload
    assert (answer.status_code, answer.json()["media"]["status"]) == (201, "processing")


async def uploaded(catalog: Catalog) -> bool:
    return bool(catalog.known)


async def tell_gone(gateway: Gateway, catalog: Catalog) -> None:
    """What the catalog's relay repeats of a media that a newer one has replaced at once."""
    (media,) = catalog.known.values()
    now = datetime.now(UTC)
    events: list[Event] = [
        MediaCreated(id=media.id, owner="ann", media=msgspec.to_builtins(media)),
        MediaDeleted(
            id=media.id, number=media.number, owner="ann", media_type="image", key=None,
            variants="variants/x/", deleted_at=now,
        ),
    ]  # fmt: skip
    for event in events:
        data = encode(event, source="t", event_id="1", subject=str(media.id), time=now, traceparent=None)
        await gateway.bus.broadcast(topology.live(str(media.id)), data)


@pytest.mark.parametrize("with_catalog", [True, False])
async def test_invariant_10_only_its_owner_and_staff_see_where_an_upload_stands(
    gateway: Gateway, *, with_catalog: bool
) -> None:
    async with Catalog(gateway).running() if with_catalog else contextlib.nullcontext():
        answer = await gateway.upload(JPEG)
        media_id = uuid.UUID(answer.json()["id"])
        absent = new_id()
        async with gateway.client("bob") as bob, gateway.client("eve", "moderator") as staff:
            refused = await bob.get(f"/v1/uploads/{media_id}")
            none = await bob.get(f"/v1/uploads/{absent}")
            assert refused.status_code == none.status_code == 404
            assert refused.json()["detail"].replace(str(media_id), "") == none.json()["detail"].replace(
                str(absent), ""
            )
            assert (await staff.get(f"/v1/uploads/{public_id(media_id)}")).status_code == 200
            assert (await bob.get("/v1/uploads/nonsense")).status_code == 404


async def test_an_upload_whose_bytes_still_flow_is_uploading(gateway: Gateway) -> None:
    shown: list[dict[str, object]] = []

    async def body() -> AsyncIterator[bytes]:
        yield bytes(70_000)
        (key,) = await eventually(lambda: gateway.keys(topology.INTENTS), "the intent")

        async def counted() -> bool:
            found = (await gateway.http.get(f"/v1/uploads/{key}")).json()
            shown.append(found)
            return bool(found["received"])

        await eventually(counted, "the bytes to be counted")
        yield bytes(10)

    answer = await gateway.http.put("/v1/uploads/raw/a.bin", content=body())
    assert answer.status_code == 202
    assert shown[-1]["id"] == answer.json()["id"]
    assert (shown[-1]["status"], shown[-1]["received"], shown[-1]["media"]) == ("uploading", 70_000, None)


async def test_invariant_6_a_deleted_media_leaves_nothing_of_ingest(gateway: Gateway) -> None:
    gone = await gateway.upload(JPEG, headers={"Idempotency-Key": "gone"})
    kept = await gateway.upload(JPEG, headers={"Idempotency-Key": "kept"})
    event = (await gateway.events())[0]
    assert isinstance(event, MediaUploaded)
    for _ in range(2):
        await delete(gateway, gone.json(), event.key)
    await delete(gateway, {"id": str(new_id()), "number": "7"}, None)

    async def erased() -> bool:
        return await gateway.keys(topology.UPLOADS) == [kept.json()["id"]]

    await eventually(erased, "the record to go, which is the last")
    assert len(gateway.files()) == 1
    records = [await gateway.ingest.idempotency.get(k) for k in await gateway.keys(topology.IDEMPOTENCY)]
    assert sorted(b'"answer":null' in r.value and b'"asked":null' in r.value for r in records if r) == [
        False,
        True,
    ]
    assert (await gateway.http.get(f"/v1/uploads/{gone.json()['id']}")).status_code == 404
    metrics = (await gateway.http.get("/metrics")).text
    assert 'tripod_events_dead_total{durable="ingest-eraser"}' not in metrics


async def test_a_delete_waits_for_a_store_that_is_away(start: Start) -> None:
    life = Life()

    def blobs(settings: IngestSettings) -> Blobs:
        return cast("Blobs", Mortal(life, REAL.blobs(settings)))

    async with start(Outside(bus=REAL.bus, blobs=blobs)) as gateway:
        media = (await gateway.upload(JPEG)).json()
        (event,) = await gateway.events()
        assert isinstance(event, MediaUploaded)
        life.over = True
        await delete(gateway, media, event.key)

        async def held() -> bool:
            return (
                'tripod_events_held{durable="ingest-eraser"} 1.0' in (await gateway.http.get("/metrics")).text
            )

        await eventually(held, "the delete to be held")
        assert gateway.files()
        life.over = False

        async def erased() -> bool:
            return not gateway.files()

        await eventually(erased, "the delete")
