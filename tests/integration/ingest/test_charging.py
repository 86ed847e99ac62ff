"""What uploads are charged to, over HTTP: refused before the body, settled after it, told by `GET /v1/quota`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import msgspec
import pytest

from services.ingest.accounts import Limits
from services.ingest.app import Outside, create_app
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.rates import RateLimits
from services.ingest.settings import IngestSettings
from shared.auth import AuthSettings
from shared.events import topology
from shared.events.bus import Bus, Message
from shared.events.jetstream import BusSettings
from shared.events.memory import MemoryBus
from shared.events.messages import MediaUploaded, decode
from shared.http import HttpSettings
from shared.storage.memory import MemoryBlobs
from shared.storage.s3 import S3Settings
from tests.fixtures.openapi import check
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import (
    PROFILES,
    SECRET,
    TIMING,
    eventually,
    request_head,
    serving,
)

JPEG = encoded(picture(64, 48))
SIZE = len(JPEG)


class Cashier:
    """An ingest on broker and store in memory, and a catalog that answers what is used."""

    def __init__(self, port: int, bus: MemoryBus) -> None:
        self.port = port
        self.bus = bus
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)

    async def ask(
        self, method: str, path: str, sub: str = "ann", claims: dict[str, Any] | None = None, **request: Any
    ) -> httpx.Response:
        token = jwt.encode({"sub": sub, **(claims or {})}, SECRET, "HS256")
        headers = {"Authorization": f"Bearer {token}", **request.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **request)

    async def put(self, sub: str = "ann", data: bytes = JPEG, **claims: Any) -> httpx.Response:
        return await self.ask("PUT", "/v1/uploads/raw/a.jpg", sub, claims, content=data)

    async def post(self, sub: str = "ann", data: bytes = JPEG, **claims: Any) -> httpx.Response:
        return await self.ask("POST", "/v1/uploads", sub, claims, files={"file": ("a.jpg", data)})

    async def quota(self, sub: str = "ann", **claims: Any) -> dict[str, Any]:
        answer = await self.ask("GET", "/v1/quota", sub, claims)
        assert answer.status_code == 200, answer.text
        check((await self.http.get("/openapi.json")).json(), "GET", "/v1/quota", answer)
        found: dict[str, Any] = answer.json()
        return found

    async def settled(self, size: int, objects: int, sub: str = "ann", **claims: Any) -> None:
        async def look() -> bool:
            told = await self.quota(sub, **claims)
            figures = told["bytes"]["used"], told["objects"]["used"], told["objects"]["reserved"]
            return figures == (size, objects, 0)

        await eventually(look, f"{size} bytes in {objects} files")

    async def events(self) -> list[tuple[str, MediaUploaded]]:
        found: list[Message | None] = [
            await self.bus.read(topology.MEDIA, n)
            for n in range(1, await self.bus.last_sequence(topology.MEDIA) + 1)
        ]
        told = [(message.subject, decode(message.data)[1]) for message in found if message]
        return [(subject, event) for subject, event in told if isinstance(event, MediaUploaded)]


@contextlib.asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Cashier]:
    bus, blobs = MemoryBus(), MemoryBlobs()

    async def connected(_settings: IngestSettings) -> Bus:
        return bus

    settings = IngestSettings(
        http=HttpSettings(port=8001, base_url="http://origin.test"),
        auth=AuthSettings(secret=SECRET),
        bus=BusSettings(url="nats://nowhere.test"),
        s3=S3Settings(access_key="key", secret_key="secret"),
        profiles={**PROFILES, "library": PROFILES["default"]},
        timing=TIMING,
    )
    app = create_app(
        msgspec.structs.replace(settings, **changes), Outside(bus=connected, blobs=lambda _: blobs)
    )
    await bus.ensure(topology.TOPOLOGY)
    await bus.kv(topology.COUNTERS).create("media.number", b"1")
    async with serving(app) as port:
        cashier = Cashier(port, bus)

        async def ready() -> bool:
            return (await cashier.http.get("/health/ready")).status_code == 200

        await eventually(ready, "ingest to be ready")
        yield cashier
        await cashier.http.aclose()


@pytest.fixture
async def poor() -> AsyncIterator[Cashier]:
    """Three pictures a head."""
    async with running(quota=Limits(bytes=3 * SIZE, objects=3)) as cashier:
        yield cashier


async def test_raw_and_form_uploads_are_charged_alike_and_refused_with_what_is_left(poor: Cashier) -> None:
    assert (await poor.put()).is_success
    assert (await poor.post()).is_success
    await poor.settled(2 * SIZE, 2)
    too_long = await poor.put(data=JPEG + b"x" * SIZE)
    too_long_form = await poor.post(data=JPEG + b"x" * SIZE)
    for answer in (too_long, too_long_form):
        assert answer.status_code == 429
        assert (answer.json()["code"], answer.json()["limit_bytes"]) == ("quota_exceeded", 3 * SIZE)
    assert (too_long.json()["left_bytes"], too_long.json()["left_objects"]) == (SIZE, 1)
    await poor.settled(2 * SIZE, 2)

    assert (await poor.put()).is_success
    await poor.settled(3 * SIZE, 3)
    assert await poor.quota() == {
        "owner": "ann",
        "bytes": {"used": 3 * SIZE, "reserved": 0, "limit": 3 * SIZE, "left": 0},
        "objects": {"used": 3, "reserved": 0, "limit": 3, "left": 0},
    }
    document = (await poor.http.get("/openapi.json")).json()
    check(document, "PUT", "/v1/uploads/raw/{filename}", await poor.put())
    check(document, "POST", "/v1/uploads", await poor.post())


async def test_what_is_refused_for_another_reason_costs_nothing(poor: Cashier) -> None:
    assert (await poor.put(data=b"no picture")).status_code == 415
    foreign = {"entity_type": "post", "entity_id": "9"}
    answer = await poor.ask("POST", "/v1/uploads", files={"file": ("a.jpg", JPEG)}, data=foreign)
    assert answer.status_code == 404
    await poor.settled(0, 0)


async def test_a_retry_with_its_key_pays_once(poor: Cashier) -> None:
    for _ in range(5):
        answer = await poor.ask(
            "PUT", "/v1/uploads/raw/a.jpg", content=JPEG, headers={"Idempotency-Key": "k"}
        )
        assert answer.is_success
    await poor.settled(SIZE, 1)


EXPECTING = {"Content-Type": "multipart/form-data; boundary=b", "Expect": "100-continue"}


async def first_word(cashier: Cashier, path: str, headers: dict[str, str]) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", cashier.port)
    writer.write(request_head(path, EXPECTING | headers))
    async with asyncio.timeout(8):
        line = await reader.readuntil(b"\r\n")
    writer.close()
    await writer.wait_closed()
    return line


@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/uploads/batch", "/v1/media/batch/upload"])
@pytest.mark.parametrize("sized", [{"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}])
async def test_who_has_nothing_left_is_refused_before_the_body(
    poor: Cashier, path: str, sized: dict[str, str]
) -> None:
    assert [(await poor.put()).is_success for _ in range(3)] == [True] * 3
    assert b" 429 " in await first_word(poor, path, sized)  # and not 100 Continue


async def test_a_form_whose_file_is_longer_than_what_is_left_is_refused_before_it(poor: Cashier) -> None:
    fits, over = FORM_OVERHEAD_BYTES + 3 * SIZE, FORM_OVERHEAD_BYTES + 3 * SIZE + 1
    assert b" 429 " in await first_word(poor, "/v1/uploads", {"Content-Length": str(over)})
    assert b" 100 " in await first_word(poor, "/v1/uploads", {"Content-Length": str(fits)})
    await poor.settled(0, 0)


async def test_a_batch_that_was_taken_is_answered_again_when_nothing_is_left(poor: Cashier) -> None:
    files = [("files", (f"{n}.jpg", JPEG)) for n in range(3)]
    key = {"Idempotency-Key": "k" * 255}  # the longest that there is
    answers = [await poor.ask("POST", "/v1/uploads/batch", files=files, headers=dict(key)) for _ in range(2)]
    assert [answer.json()["uploaded_count"] for answer in answers] == [3, 3], answers[0].text
    assert answers[1].headers["idempotent-replayed"] == "true"
    await poor.settled(3 * SIZE, 3)


async def test_a_token_names_another_quota_and_none_is_kept_for_what_has_no_limit(poor: Cashier) -> None:
    for _ in range(5):
        assert (await poor.put("rich", quota_bytes=0, quota_objects=0)).is_success
    assert await poor.bus.kv(topology.QUOTAS).keys() == []
    assert (await poor.put("thin", quota_bytes=SIZE - 1)).status_code == 429
    told = await poor.quota("thin", quota_bytes=SIZE - 1)
    assert (told["bytes"]["limit"], told["objects"]["limit"]) == (SIZE - 1, 3)
    assert (await poor.put("thin", quota_bytes=-1)).status_code == 401


async def test_anothers_quota_is_told_to_services_alone(poor: Cashier) -> None:
    assert (await poor.put()).is_success
    await poor.settled(SIZE, 1)
    refused = await poor.ask("GET", "/v1/quota?owner=ann", "bob")
    assert refused.status_code == 403
    told = await poor.ask("GET", "/v1/quota?owner=ann", "billing", {"roles": ["service"]})
    assert (told.json()["owner"], told.json()["objects"]["used"]) == ("ann", 1)


@pytest.mark.parametrize("owner", ["%00", "ann%00", "a%0Ab", "x" * 256])
async def test_what_can_be_no_owner_is_refused_by_name_of_the_field(poor: Cashier, owner: str) -> None:
    told = await poor.ask("GET", f"/v1/quota?owner={owner}", "billing", {"roles": ["service"]})
    assert (told.status_code, told.json()["field"]) == (422, "owner")
    check((await poor.http.get("/openapi.json")).json(), "GET", "/v1/quota", told)


async def test_what_a_service_uploads_for_a_user_is_the_users(poor: Cashier) -> None:
    files = {"file": ("a.jpg", JPEG)}
    service = {"roles": ["service"]}
    for _ in range(3):
        data = {"user_id": "42"}
        answer = await poor.ask("POST", "/media/upload", "shop", service, data=data, files=files)
        assert answer.status_code == 201, answer.text
    await poor.settled(3 * SIZE, 3, "42")
    await poor.settled(0, 0, "shop")
    refused = await poor.ask("POST", "/media/upload", "shop", service, data={"user_id": "42"}, files=files)
    assert refused.status_code == 429
    assert {event.owner for _, event in await poor.events()} == {"42"}


async def test_who_is_named_after_the_file_pays_for_it_all_the_same(poor: Cashier) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    field = b'\r\n--b\r\nContent-Disposition: form-data; name="user_id"\r\n\r\n43\r\n--b--\r\n'
    for status in (201, 201, 201, 429):
        answer = await poor.ask(
            "POST",
            "/media/upload",
            "shop",
            {"roles": ["service"]},
            content=head + JPEG + field,
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == status, answer.text
    await poor.settled(3 * SIZE, 3, "43")
    await poor.settled(0, 0, "shop")


async def test_each_file_of_a_batch_is_charged_by_itself(poor: Cashier) -> None:
    files = [("files", (f"{n}.jpg", JPEG)) for n in range(5)]
    answer = await poor.ask("POST", "/v1/uploads/batch", files=files)
    told = answer.json()
    assert (told["uploaded_count"], told["failed_count"]) == (3, 2), told
    assert {failed["problem"]["code"] for failed in told["failed"]} == {"quota_exceeded"}
    await poor.settled(3 * SIZE, 3)


async def test_without_a_limit_the_catalog_alone_knows_what_is_used() -> None:
    async with running() as cashier:
        assert (await cashier.put()).is_success
        silent = await cashier.ask("GET", "/v1/quota")
        assert silent.status_code == 503
        assert int(silent.headers["retry-after"]) > 0

        async def answer(message: Message) -> bytes:
            assert msgspec.json.decode(message.data)["owner"] == "ann"
            return msgspec.json.encode({"bytes": 7, "objects": 1})

        async with cashier.bus.serve(topology.CATALOG_USAGE, "catalog", answer):

            async def told() -> bool:
                await cashier.bus.broadcast(topology.CATALOG_HEARTBEAT, b"")
                return (await cashier.ask("GET", "/v1/quota")).status_code == 200

            await eventually(told, "the catalog to be heard")
            found = await cashier.quota()
        assert found["bytes"] == {"used": 7, "reserved": 0, "limit": None, "left": None}
        assert await cashier.bus.kv(topology.QUOTAS).keys() == []


async def test_too_many_uploads_a_minute_are_refused_before_the_body() -> None:
    async with running(rates=RateLimits(uploads=2)) as cashier:
        assert [(await cashier.put()).status_code for _ in range(2)] == [202, 202]
        answer = await cashier.post()
        assert answer.status_code == 429
        assert answer.json()["code"] == "rate_exceeded"
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert b" 429 " in await first_word(cashier, "/v1/uploads/batch", {"Content-Length": "100"})
        assert (await cashier.put("bob")).is_success
        assert [(await cashier.put("shop", roles=["service"])).status_code for _ in range(3)] == [202] * 3


async def test_who_sent_too_many_bytes_waits_for_them() -> None:
    async with running(rates=RateLimits(bytes=SIZE + 10)) as cashier:
        assert (await cashier.put(data=b"no picture")).status_code == 415
        assert (await cashier.post(data=JPEG + bytes(SIZE))).is_success  # who has room left may overdraw
        answer = await cashier.post()
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 60


async def test_an_owners_flood_takes_the_bulk_lane_and_nobody_elses() -> None:
    async with running(bulk_above=3) as cashier:
        for sub in ("ann", "ann", "ann", "ann", "bob", "ann", "bob"):
            assert (await cashier.put(sub)).is_success
        lanes = [(event.owner, subject.rpartition(".")[2]) for subject, event in await cashier.events()]
        assert lanes == [
            ("ann", "fresh"), ("ann", "fresh"), ("ann", "fresh"), ("ann", "bulk"), ("bob", "fresh"),
            ("ann", "bulk"), ("bob", "fresh"),
        ]  # fmt: skip
