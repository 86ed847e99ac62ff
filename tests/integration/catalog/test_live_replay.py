"""/v1/live for those who were away: what they missed comes first, by WebSocket and as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from websockets.asyncio.client import ClientConnection, connect

from services.catalog import commands, missed
from services.catalog.app import create_app
from services.catalog.models import media
from services.catalog.registry import put_entity
from services.catalog.routes import live as live_route
from services.catalog.settings import CatalogSettings
from shared.entities import Entity
from shared.events.messages import MediaUploaded
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, running


@asynccontextmanager
async def socket(catalog: Service, sub: str, **query: Any) -> AsyncIterator[ClientConnection]:
    address = httpx.URL(catalog.url.replace("http", "ws", 1) + "/v1/live", params={**query})
    headers = {"Authorization": f"Bearer {catalog.token(sub)}"}
    async with connect(str(address), additional_headers=headers) as found:
        yield found


async def hear(found: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(await asyncio.wait_for(found.recv(), 10)) for _ in range(count)]


@asynccontextmanager
async def stream(
    catalog: Service, sub: str, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """Server-sent events as their fields."""
    async with (
        catalog.caller(sub) as client,
        client.stream("GET", "/v1/live", params=query, headers=headers or {}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parsed(answer)


async def parsed(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            yield fields
            fields = {}
            continue
        name, _, value = line.partition(": ")
        fields[name] = value


async def test_what_came_behind_a_place_is_told_first_and_nothing_twice(catalog: Service) -> None:
    first, second = stories.uploaded(), stories.uploaded()
    await catalog.have(first, stories.processed(first))
    await catalog.told()
    async with socket(catalog, "ann", since=0) as ann:
        before = await hear(ann, 2)
    assert [(m["type"], m["id"]) for m in before] == [
        ("media.created", str(first.id)),
        ("media.updated", str(first.id)),
    ]
    await catalog.have(second)
    async with catalog.caller("ann") as client:
        await client.delete(f"/v1/media/{first.id}")
    await catalog.told()
    async with socket(catalog, "ann", since=before[0]["sequence"]) as ann:
        await catalog.have(stories.processed(second))
        after = await hear(ann, 3)
    # Of what was deleted meanwhile, that alone.
    assert [(m["type"], m["id"]) for m in after] == [
        ("media.created", str(second.id)),
        ("media.deleted", str(first.id)),
        ("media.updated", str(second.id)),
    ]
    places = [m["sequence"] for m in after]
    assert places == sorted(set(places))


async def test_invariant_10_what_was_public_then_and_is_private_now_is_not_told_again(
    catalog: Service,
) -> None:
    theirs, open_ = stories.uploaded("bob", is_public=True), stories.uploaded("bob", is_public=True)
    await catalog.have(theirs, open_, stories.processed(open_))
    async with catalog.caller("bob") as bob:
        assert (await bob.patch(f"/v1/media/{theirs.id}", json={"is_public": False})).status_code == 200
    await catalog.told()
    async with socket(catalog, "ann", since=0) as ann:
        heard = await hear(ann, 3)  # of two media in any order
    created, updated = (message for message in heard if message["id"] == str(open_.id))
    assert (created["type"], updated["type"]) == ("media.created", "media.updated")
    assert updated["media"]["timings"] == {}
    (hidden,) = (message for message in heard if message["id"] == str(theirs.id))
    assert (hidden["type"], "media" in hidden) == ("media.hidden", False)


async def behind(catalog: Service, upload: MediaUploaded, sub: str, *roles: str) -> list[str | None]:
    """The captions of all that a caller is told of a media, up to the one that ends the story."""
    heard: list[str | None] = []
    async with stream(
        catalog, sub, {"Authorization": f"Bearer {catalog.token(sub, *roles)}"}, since=0
    ) as told:
        async for event in told:
            message = json.loads(event.get("data", "{}"))
            if message.get("id") == str(upload.id) and "media" in message:
                heard.append(message["media"]["caption"])
                if heard[-1] == "the end":
                    break
    return heard


async def say(catalog: Service, upload: MediaUploaded, **changes: Any) -> None:
    async with catalog.caller("s", "service") as service:
        assert (await service.patch(f"/v1/media/{upload.id}", json=changes)).status_code == 200


async def test_invariant_10_the_private_past_of_what_is_public_now_is_told_to_whom_it_was_never_hidden_from(
    catalog: Service,
) -> None:
    await put_entity(catalog.database, Entity(type="post", id="1", owners=("cleo",)))
    upload = stories.uploaded("bob", entity=stories.link())
    await catalog.have(upload)
    await say(catalog, upload, caption="secret")
    await say(catalog, upload, caption="open", is_public=True)
    await say(catalog, upload, caption="secret again", is_public=False)
    await say(catalog, upload, caption="the end", is_public=True)
    await catalog.told()
    everything = [None, "secret", "open", "secret again", "the end"]
    assert await behind(catalog, upload, "ann") == ["open", "the end"]
    for who in (("bob",), ("cleo",), ("s", "service"), ("m", "moderator")):
        assert await behind(catalog, upload, *who) == everything, who


async def test_invariant_10_what_was_rejected_then_and_is_approved_now_is_told_as_it_is_now(
    catalog: Service,
) -> None:
    upload = stories.uploaded("bob", is_public=True, moderation="pending")
    await catalog.have(upload)
    await say(catalog, upload, caption="not to be seen")
    async with catalog.caller("m", "moderator") as m:
        for state in ("rejected", "flagged", "approved"):
            body = {"state": state, "reason": "why"}
            assert (await m.post(f"/v1/media/{upload.id}/moderation", json=body)).status_code == 200
            await say(catalog, upload, caption=state)
    await say(catalog, upload, caption="the end")
    await catalog.told()
    # The decision itself is told while the caption is still the one before it.
    assert await behind(catalog, upload, "ann") == ["flagged", "approved", "the end"]
    assert len(await behind(catalog, upload, "bob")) == 9


async def test_invariant_10_whoever_governs_the_entity_of_now_is_not_told_what_hung_on_another(
    catalog: Service,
) -> None:
    for entity_id, owner in (("1", "cleo"), ("2", "dora")):
        await put_entity(catalog.database, Entity(type="post", id=entity_id, owners=(owner,)))
    upload = stories.uploaded("bob", entity=stories.link("1"))
    await catalog.have(upload)
    await say(catalog, upload, caption="between bob and cleo")
    async with catalog.database.writing() as connection:
        await connection.execute(update(media).values(entity_id="2", caption="moved"))
        await commands.tell_updated(connection, upload.id, "http://origin.test")
    await say(catalog, upload, caption="the end", is_public=True)
    await catalog.told()
    assert await behind(catalog, upload, "dora") == ["moved", "the end"]
    assert await behind(catalog, upload, "cleo") == ["the end"]
    assert len(await behind(catalog, upload, "bob")) == 4


async def test_who_saw_what_is_public_no_more_is_told_to_take_it_away_and_nothing_of_it(
    catalog: Service,
) -> None:
    # Of other bytes each: a copy of what is rejected is flagged.
    closed, rejected = (stories.uploaded("bob", body, is_public=True) for body in (b"closed", b"rejected"))
    never = stories.uploaded("bob", b"never", is_public=True, moderation="pending")
    async with socket(catalog, "ann", since=0) as ann:
        await catalog.have(closed, rejected, never)
        assert [m["type"] for m in await hear(ann, 2)] == ["media.created"] * 2
        async with catalog.caller("m", "moderator") as m:
            for upload in (never, rejected):
                body = {"state": "rejected", "reason": "why"}
                assert (await m.post(f"/v1/media/{upload.id}/moderation", json=body)).status_code == 200
        await say(catalog, rejected, caption="secret")
        async with catalog.caller("bob") as bob:
            asked = {"refs": [str(closed.id)], "is_public": False}
            answer = await bob.post("/v1/media/batch/publish", json=asked)
            assert answer.status_code == 200, answer.text
        await say(catalog, closed, is_public=True)
        heard = await hear(ann, 3)
    assert [(m["type"], m["id"]) for m in heard] == [
        ("media.hidden", str(rejected.id)),
        ("media.hidden", str(closed.id)),
        ("media.updated", str(closed.id)),
    ]
    assert all(m.keys() <= {"type", "id", "sequence", "trace_id"} for m in heard[:2])
    async with socket(catalog, "ann", since=0) as ann:
        again = [m for m in await hear(ann, 4) if m["sequence"] >= heard[0]["sequence"]]
    assert again == heard


@pytest.mark.parametrize("since", [10**9, 0])
async def test_who_was_away_for_too_long_is_told_to_ask_for_everything(
    catalog: Service, monkeypatch: pytest.MonkeyPatch, since: int
) -> None:
    monkeypatch.setattr(missed, "MOST", 0)
    await catalog.have(stories.uploaded())
    await catalog.told()
    async with socket(catalog, "ann", since=since) as ann:
        assert await hear(ann, 1) == [{"type": "resync"}]


@pytest.mark.parametrize("since", ["9" * 4400, "9" * 19, "-1", "", "x"])
async def test_a_place_that_can_be_none_is_refused_by_name(catalog: Service, since: str) -> None:
    async with catalog.caller("ann") as ann:
        headers = {"Last-Event-ID": since} if since else {}
        answer = await ann.get("/v1/live", headers=headers, params={} if since else {"since": "9" * 4400})
    assert (answer.status_code, answer.json()["field"]) == (422, "since")


async def test_events_come_by_plain_http_too_and_a_browser_goes_on_where_it_was(
    catalog: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_route, "PING_SECONDS", 0.05)
    first, second = stories.uploaded(), stories.uploaded()
    async with stream(catalog, "ann") as events:
        assert (await anext(events)) == {"": "ping"}
        await catalog.have(first)
        created = [event async for event in until(events, "media.created")][-1]
    assert json.loads(created["data"])["media"]["id"] == str(first.id)
    await catalog.have(second)
    await catalog.told()
    async with stream(catalog, "ann", {"Last-Event-ID": created["id"]}) as events:
        found = [event async for event in until(events, "media.created")][-1]
    assert json.loads(found["data"])["id"] == str(second.id)


async def until(events: AsyncIterator[dict[str, str]], kind: str) -> AsyncIterator[dict[str, str]]:
    async for event in events:
        yield event
        if event.get("event") == kind:
            return


async def test_a_token_in_the_address_is_enough_for_browsers_and_none_is_refused(catalog: Service) -> None:
    refused = await catalog.nobody.get("/v1/live")
    assert refused.status_code == 401
    odd = await catalog.nobody.get(
        "/v1/live", params={"token": catalog.token("ann")}, headers={"Last-Event-ID": "x"}
    )
    assert (odd.status_code, odd.json()["field"]) == (422, "since")
    async with catalog.nobody.stream("GET", "/v1/live", params={"token": catalog.token("ann")}) as answer:
        assert answer.status_code == 200


async def test_a_replica_that_leaves_ends_its_streams_at_once(
    catalog: Service, settings: CatalogSettings
) -> None:
    app = create_app(settings)
    async with running(app) as url:
        leaving = Service(settings, catalog.database, catalog.bus, catalog.blobs, url)
        async with stream(leaving, "ann", since=0) as events, socket(leaving, "ann") as ann:
            await catalog.have(stories.uploaded())
            await hear(ann, 1)
            app.state["on_leaving"]()
            assert len([event async for event in events]) == 1
            await asyncio.wait_for(ann.wait_closed(), 10)
        assert (ann.close_code, ann.close_reason) == (1001, "This replica leaves; connect again.")
        await leaving.nobody.aclose()
