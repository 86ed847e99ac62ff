"""What is down is waited for, and said so; everything heals by itself."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import httpx
import pytest

from services.catalog.settings import CatalogSettings
from shared.errors import Unavailable
from shared.events.bus import Bus
from shared.storage.blobs import Blobs
from tests.fixtures.servers import Broker, Servers
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, serving


@contextmanager
def down(servers: Servers, name: str) -> Iterator[None]:
    servers.stop(name)
    try:
        yield
    finally:
        servers.start(name)


async def checks(catalog: Service) -> dict[str, str]:
    found: dict[str, str] = (await catalog.nobody.get("/health/ready")).json()["checks"]
    return found


async def test_a_restart_of_postgres_costs_no_event_and_heals(catalog: Service, servers: Servers) -> None:
    upload = await catalog.ready()
    late = stories.uploaded()
    async with catalog.caller("ann") as ann:
        with down(servers, "postgres"):
            answer = await ann.get(f"/v1/media/{upload.id}")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["detail"] == "The database does not answer."
            for method, path in (("GET", "/v1/media"), ("DELETE", f"/v1/media/{upload.id}")):
                assert (await ann.request(method, path)).status_code == 503
            assert (await checks(catalog))["postgres"] != "ok"
            assert (await catalog.nobody.get("/health/live")).status_code == 200
            await catalog.tell(late)

        async def there() -> bool:
            return (await ann.get(f"/v1/media/{late.id}")).status_code == 200

        await eventually_async(there, "the upload of the outage to be taken in", 40)
        assert (await ann.get(f"/v1/media/{upload.id}")).status_code == 200
        assert (await ann.get("/v1/media?count=exact")).json()["count"]["value"] == 2
    assert set((await checks(catalog)).values()) == {"ok"}


async def test_with_the_broker_down_reads_and_changes_go_on_and_are_told_later(
    catalog: Service, broker: Broker
) -> None:
    upload = await catalog.ready()
    await catalog.told()
    broker.stop()
    async with catalog.caller("ann") as ann:

        async def noticed() -> bool:
            return (await checks(catalog))["nats"] != "ok"

        await eventually_async(noticed, "the outage to be noticed")
        assert (await ann.patch(f"/v1/media/{upload.id}", json={"caption": "x"})).status_code == 200
        assert (await ann.get("/v1/media")).json()["items"][0]["caption"] == "x"
        assert len(await catalog.rows("outbox")) == 1
        broker.start()
        await catalog.told()
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204

        async def erased() -> bool:
            return not await catalog.rows("stored_events")

        await eventually_async(erased, "the stream to be erased")


async def test_with_the_store_down_delivery_says_503(catalog: Service, servers: Servers) -> None:
    upload = await catalog.ready()
    async with catalog.caller("ann") as ann:
        with down(servers, "s3"):
            answer = await ann.get(f"/v1/media/{upload.id}/download")
            assert answer.status_code == 503, answer.text
            assert (await ann.get(f"/v1/media/{upload.id}")).status_code == 200

        async def whole() -> bool:
            return (await ann.get(f"/v1/media/{upload.id}/download")).content == stories.BODY

        await eventually_async(whole, "the bytes to be there again")


async def test_it_comes_up_while_all_is_down_and_becomes_ready(
    settings: CatalogSettings, broker: Broker, bus: Bus, blobs: Blobs, servers: Servers
) -> None:
    assert bus.connected
    broker.stop()
    async with AsyncExitStack() as running:
        with down(servers, "postgres"), down(servers, "s3"):
            with pytest.raises(Unavailable):
                await blobs.check()
            url = await running.enter_async_context(serving(settings))
            client = await running.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
            answer = await client.get("/health/ready")
            assert answer.status_code == 503
            assert "ok" not in answer.json()["checks"].values()
        broker.start()

        async def ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await eventually_async(ready, "the catalog to be ready")
