"""Quotas over two replicas of ingest, beside the catalog whose rows they are held to, on real servers."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from deploy.ports import free_port
from services.catalog.settings import CatalogSettings
from services.ingest.accounts import Limits
from services.ingest.app import create_app
from shared.auth import AuthSettings
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.servers import Broker, ObjectStore
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import conftest as catalogs
from tests.integration.catalog.service import serving as serving_catalog
from tests.integration.ingest.conftest import SECRET, serving, settings_for, token

JPEG = encoded(picture(64, 48))
ROOM = 10
LIMITS = Limits(bytes=ROOM * len(JPEG), objects=ROOM + 5)


class Origin:
    """A catalog and two ingests; requests go to these in turns."""

    def __init__(self, catalog: str, ingests: list[str]) -> None:
        self.catalog = catalog
        self.ingests = ingests
        self.http = httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None))
        self._turn = 0

    async def ask(self, method: str, url: str, sub: str = "ann", **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token(sub)}", "Prefer": "respond-async"}
        return await self.http.request(method, url, headers=headers, **request)

    async def upload(self, sub: str = "ann") -> httpx.Response:
        self._turn += 1
        ingest = self.ingests[self._turn % len(self.ingests)]
        return await self.ask("PUT", f"{ingest}/v1/uploads/raw/a.jpg", sub, content=JPEG)

    async def upload_patiently(self, sub: str = "ann") -> httpx.Response:
        """Again as long as the refusal says that it may help."""
        final: list[httpx.Response] = []

        async def answered() -> bool:
            answer = await self.upload(sub)
            final.append(answer)
            return "retry-after" not in answer.headers

        await eventually_async(answered, "an answer that is final", 30)
        return final[-1]

    async def quota(self, sub: str = "ann", ingest: int = 0) -> dict[str, Any]:
        answer = await self.ask("GET", f"{self.ingests[ingest]}/v1/quota", sub)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def settled(self, size: int, objects: int, sub: str = "ann") -> None:
        """Wait until both replicas tell of these figures, and of nothing under way."""

        async def look() -> bool:
            told = [await self.quota(sub, ingest) for ingest in range(len(self.ingests))]
            figures = {(q["bytes"]["used"], q["objects"]["used"], q["objects"]["reserved"]) for q in told}
            return figures == {(size, objects, 0)}

        await eventually_async(look, f"the quota to be {size} bytes in {objects} files")


@pytest.fixture
async def origin(
    broker: Broker, object_store: ObjectStore, settings: CatalogSettings
) -> AsyncIterator[Origin]:
    ours = settings_for(broker.url, object_store, quota=LIMITS)
    async with contextlib.AsyncExitStack() as stack:
        auth = AuthSettings(secret=SECRET)
        catalog = await stack.enter_async_context(
            serving_catalog(msgspec.structs.replace(settings, auth=auth))
        )
        ports = [await stack.enter_async_context(serving(create_app(ours))) for _ in range(2)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        made = Origin(catalog, urls)
        stack.push_async_callback(made.http.aclose)

        async def ready() -> bool:
            answers = [await made.http.get(f"{url}/health/ready") for url in (catalog, *urls)]
            return all(answer.status_code == 200 for answer in answers)

        await eventually_async(ready, "all services to be ready")
        yield made


settings = catalogs.settings


async def test_fifty_uploads_at_once_over_two_replicas_never_over_run_a_quota(origin: Origin) -> None:
    await origin.settled(0, 0)
    answers = await asyncio.gather(*(origin.upload() for _ in range(50)))
    taken = [answer for answer in answers if answer.is_success]
    refused = [answer for answer in answers if not answer.is_success]
    assert len(taken) == ROOM
    assert {answer.status_code for answer in refused} == {429}
    for answer in refused:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["code"] == "quota_exceeded"
        assert problem["left_bytes"] < len(JPEG)
        assert problem["left_objects"] <= LIMITS.objects
    await origin.settled(ROOM * len(JPEG), ROOM)

    async def final() -> bool:
        late = await origin.upload()
        assert (late.status_code, late.json()["left_bytes"]) == (429, 0)
        return "retry-after" not in late.headers  # nothing is under way that could be given back

    await eventually_async(final, "a refusal that asking again cannot help")
    assert (await origin.upload("bob")).is_success

    media = f"{origin.catalog}/v1/media"

    async def rows() -> bool:
        return len((await origin.ask("GET", media)).json()["items"]) == ROOM

    await eventually_async(rows, "the rows to be those that were taken")
    for answer in taken[:3]:
        assert (await origin.ask("DELETE", f"{media}/{answer.json()['id']}")).status_code == 204
    assert (await origin.upload_patiently()).is_success  # at once, whatever the record knows of the deletion
    await origin.settled((ROOM - 2) * len(JPEG), ROOM - 2)
    again = await asyncio.gather(*(origin.upload() for _ in range(5)))
    assert sorted(answer.status_code // 100 for answer in again) == [2, 2, 4, 4, 4]


async def test_a_process_that_dies_in_the_middle_of_an_upload_gives_its_room_back(
    origin: Origin, broker: Broker, object_store: ObjectStore, tmp_path: Path
) -> None:
    port = free_port(set())
    environment = {
        "TRIPOD_HTTP_PORT": str(port),
        "TRIPOD_NATS_URL": broker.url,
        "TRIPOD_S3_ENDPOINT": object_store.endpoint,
        "TRIPOD_S3_BUCKET": object_store.bucket,
        "TRIPOD_S3_ACCESS_KEY": object_store.access_key,
        "TRIPOD_S3_SECRET_KEY": object_store.secret_key,
        "TRIPOD_JWT_SECRET": SECRET,
        "TRIPOD_QUOTA_BYTES": str(LIMITS.bytes),
        "TRIPOD_INGEST_LEASE": "1",
        "TRIPOD_FAILPOINT": "ingest.after_store",
        "TMPDIR": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.ingest"),
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.DEVNULL,
    )
    most = JPEG + bytes((ROOM - 1) * len(JPEG))
    mortal = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await origin.http.get(f"{mortal}/health/ready")).status_code == 200
        return False

    await eventually_async(ready, "the process to be ready", 30)
    with pytest.raises(httpx.TransportError):
        await origin.ask("PUT", f"{mortal}/v1/uploads/raw/a.jpg", content=most)
    assert await child.wait() == -9

    held = await origin.upload()
    assert held.status_code == 429
    assert int(held.headers["retry-after"]) > 0

    async def taken() -> bool:
        return (await origin.upload()).is_success

    await eventually_async(taken, "the lease of the dead to run out")
    await origin.settled(len(JPEG), 1)
