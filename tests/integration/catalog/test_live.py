"""WS /v1/live: what happens to what the caller may see, with its trace and its place in the stream."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import jwt
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.catalog.registry import put_entity
from services.catalog.routes import live as live_route
from services.catalog.settings import CatalogSettings
from shared.entities import Entity
from shared.events import messages, topology
from shared.events.messages import MediaUpdated, MediaUploaded, Progress
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, serving


@asynccontextmanager
async def live(catalog: Service, sub: str, *roles: str) -> AsyncIterator[ClientConnection]:
    """A connection that the feed knows of."""
    url = catalog.url.replace("http", "ws", 1) + "/v1/live?token=" + catalog.token(sub, *roles)
    before = await listeners(catalog)
    async with connect(url) as socket:

        async def known() -> bool:
            return await listeners(catalog) > before

        await eventually_async(known, "the connection to be known")
        yield socket


async def listeners(catalog: Service) -> float:
    text = (await catalog.nobody.get("/metrics")).text
    return float(
        next(line for line in text.splitlines() if line.startswith("tripod_live_listeners ")).split()[1]
    )


async def hear(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(await socket.recv()) for _ in range(count)]


async def report(catalog: Service, upload: MediaUploaded, percent: int) -> None:
    event = Progress(id=upload.id, owner=upload.owner, stage="decode", percent=percent, at=stories.now())
    data = messages.encode(
        event, source="processor", event_id="x", subject="x", time=stories.now(), traceparent=None
    )
    await catalog.bus.broadcast(topology.progress(str(upload.id)), data)


async def test_invariant_12_the_trace_of_the_upload_reaches_the_socket_in_the_order_of_the_stream(
    catalog: Service,
) -> None:
    upload = stories.uploaded()
    trace_id = os.urandom(16).hex()
    traced = f"00-{trace_id}-{os.urandom(8).hex()}-01"
    async with live(catalog, "ann") as socket:
        for event in (upload, stories.processed(upload)):
            await catalog.settled(await catalog.tell(event, traceparent=traced))
        await catalog.told()  # what is deleted before it is told is not told
        async with catalog.caller("ann") as ann:
            await ann.delete(f"/v1/media/{upload.id}")
        heard = await hear(socket, 3)
    assert [m["type"] for m in heard] == ["media.created", "media.updated", "media.deleted"]
    assert {m["id"] for m in heard} == {str(upload.id)}
    assert [m["trace_id"] for m in heard[:2]] == [trace_id] * 2
    assert [m["media"]["status"] for m in heard[:2]] == ["processing", "ready"]
    assert heard[0]["sequence"] < heard[1]["sequence"] < heard[2]["sequence"]
    deletion = await catalog.bus.read(topology.MEDIA, heard[2]["sequence"])
    assert deletion is not None
    assert deletion.subject == "media.v1.deleted.image"


async def test_invariant_10_live_tells_nobody_of_what_is_not_theirs(catalog: Service) -> None:
    async with catalog.caller("svc", "service") as service:
        await service.put("/v1/entities/post/1", json={"owners": ["cleo"]})
    private = stories.uploaded("bob")
    public = stories.uploaded("bob", is_public=True)
    hung = stories.uploaded("bob", entity=stories.link())
    async with (
        live(catalog, "ann") as ann,
        live(catalog, "cleo") as cleo,
        live(catalog, "m", "moderator") as all_of_it,
    ):
        for upload in (private, hung, public):
            await report(catalog, upload, 50)
            await catalog.have(upload)
            await catalog.told()
        names = {str(u.id): name for name, u in (("private", private), ("hung", hung), ("public", public))}
        assert [names[m["id"]] for m in await hear(ann, 1)] == ["public"]
        assert [names[m["id"]] for m in await hear(cleo, 2)] == ["hung", "public"]
        heard = await hear(all_of_it, 6)
        assert {(names[m["id"]], m["type"]) for m in heard} == {
            (name, kind) for name in names.values() for kind in ("progress", "media.created")
        }


async def test_who_has_the_number_hears_of_what_a_service_has_uploaded_for_it_and_of_nobody_elses(
    catalog: Service,
) -> None:
    claims = {"sub": "ann", "uid": 42, "exp": stories.now() + timedelta(hours=1)}
    token = jwt.encode(claims, catalog.settings.auth.secret, algorithm="HS256")
    for_42, somebodys = stories.uploaded("42", owner_uid=42), stories.uploaded("42", owner_uid=7)
    before = await listeners(catalog)
    async with connect(f"{catalog.url.replace('http', 'ws', 1)}/v1/live?token={token}") as socket:

        async def known() -> bool:
            return await listeners(catalog) > before

        await eventually_async(known, "the connection to be known")
        own = stories.uploaded("ann")
        await catalog.have(somebodys, for_42, own)
        assert [m["id"] for m in await hear(socket, 2)] == [str(for_42.id), str(own.id)]


async def test_progress_is_heard_by_the_owner(catalog: Service) -> None:
    upload = stories.uploaded("ann")
    async with live(catalog, "ann") as socket:
        await report(catalog, upload, 40)
        (message,) = await hear(socket, 1)
    assert message == {"type": "progress", "id": str(upload.id), "stage": "decode", "percent": 40}


async def test_the_connection_ends_with_its_token(catalog: Service) -> None:
    token = catalog.token("ann", lives=timedelta(seconds=1))
    async with connect(f"{catalog.url.replace('http', 'ws', 1)}/v1/live?token={token}") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "expired" in closed.value.rcvd.reason) == (1008, True)


async def test_a_token_without_end_does_not_keep_a_connection_for_ever(
    catalog: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_route, "MAX_SECONDS", 0.2)
    token = jwt.encode({"sub": "ann"}, catalog.settings.auth.secret, algorithm="HS256")
    async with connect(f"{catalog.url.replace('http', 'ws', 1)}/v1/live?token={token}") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "connect again" in closed.value.rcvd.reason) == (1008, True)


async def test_how_a_media_was_made_is_told_to_who_may_change_it(catalog: Service) -> None:
    upload = stories.uploaded("bob", is_public=True)
    async with (
        live(catalog, "ann") as ann,
        live(catalog, "bob") as bob,
        live(catalog, "s", "service") as service,
    ):
        await catalog.have(upload, stories.processed(upload))
        for socket, told in ((ann, False), (bob, True), (service, True)):
            _, updated = await hear(socket, 2)
            assert (updated["media"]["timings"] != {}) is told
            assert updated["media"]["owner"] == "bob"


async def test_who_governs_the_entity_is_told_of_its_public_media_what_its_owner_is_told(
    catalog: Service,
) -> None:
    await put_entity(catalog.database, Entity(type="post", id="1", owners=("cleo",), admins=("dora", "m")))
    upload = stories.uploaded("bob", is_public=True, entity=stories.link())
    result = stories.processed(upload)
    async with (
        live(catalog, "ann") as ann,
        live(catalog, "bob") as bob,
        live(catalog, "cleo") as cleo,
        live(catalog, "dora") as dora,
        live(catalog, "m", "moderator") as m,
        live(catalog, "n", "moderator") as n,
    ):
        await catalog.have(upload, result)
        for socket, whole in ((ann, False), (bob, True), (cleo, True), (dora, True), (m, True), (n, False)):
            created, updated = await hear(socket, 2)
            assert (created["type"], updated["type"]) == ("media.created", "media.updated")
            assert ("gps" in updated["media"]["exif"]) is whole
            assert (updated["media"]["timings"] != {}) is whole


async def test_invariant_10_what_was_public_and_is_told_late_is_not_told_when_it_is_private_by_now(
    catalog: Service,
) -> None:
    closed, still = stories.uploaded("bob"), stories.uploaded("bob", is_public=True)
    await catalog.have(closed, still)
    await catalog.told()
    async with live(catalog, "ann") as ann, live(catalog, "bob") as bob:
        for upload in (closed, still):  # as a relay tells them to which the broker was away for an hour
            shown = {"is_public": True, "moderation": "approved", "caption": "as it was then"}
            event = MediaUpdated(id=upload.id, owner="bob", media=shown)
            then = stories.now() - timedelta(hours=1)
            data = messages.encode(
                event, source="catalog", event_id="x", subject="x", time=then, traceparent=None
            )
            await catalog.bus.broadcast(topology.live(str(upload.id)), data)
        assert [m["id"] for m in await hear(bob, 2)] == [str(closed.id), str(still.id)]
        assert [m["id"] for m in await hear(ann, 1)] == [str(still.id)]


@pytest.mark.parametrize("query", ["", "?token=nonsense"])
async def test_without_a_token_that_holds_nothing_is_told(catalog: Service, query: str) -> None:
    async with connect(catalog.url.replace("http", "ws", 1) + "/v1/live" + query) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_page_of_another_origin_is_not_served(settings: CatalogSettings, catalog: Service) -> None:
    http = msgspec.structs.replace(settings.http, cors_origins=("https://app.test",))
    token = catalog.token("ann")
    async with serving(msgspec.structs.replace(settings, http=http)) as url:
        address = url.replace("http", "ws", 1) + f"/v1/live?token={token}"
        async with connect(address, additional_headers={"Origin": "https://evil.test"}) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert "evil.test" in closed.value.rcvd.reason
        async with connect(address, additional_headers={"Origin": "https://app.test"}) as socket:
            await catalog.have(stories.uploaded("ann"))
            assert json.loads(await socket.recv())["type"] == "media.created"
