"""The queue of what waits for moderators: its order and filters, stable while it changes; claims that keep two from one
media."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, update

from services.catalog.models import moderation_claims
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

FLAG = {"state": "flagged", "reason": "Look at it."}


async def waiting(catalog: Service, count: int, **changes: Any) -> list[str]:
    """Ids of that many new media that wait, oldest first."""
    events = [stories.uploaded(**{"moderation": "pending", **changes}) for _ in range(count)]
    await catalog.have(*events)
    return [str(event.id) for event in events]


async def ids(client: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(f"/v1/moderation?{query}")
    assert answer.status_code == 200, answer.text
    return [item["media"]["id"] for item in answer.json()["items"]]


async def claim(client: httpx.AsyncClient, limit: int, **more: Any) -> list[str]:
    answer = await client.post("/v1/moderation/claims", json={"limit": limit, **more})
    assert answer.status_code == 200, answer.text
    return [item["media"]["id"] for item in answer.json()["items"]]


async def test_the_queue_is_oldest_first_and_narrowed_and_counted(catalog: Service) -> None:
    pending = await waiting(catalog, 3)
    (video,) = await waiting(
        catalog, 1, media_type="video", mime_type="video/mp4", owner="bob", profile="post"
    )
    (aged,) = await waiting(catalog, 1, created_at=stories.now() - timedelta(days=3))
    approved = stories.uploaded()
    await catalog.have(approved)
    async with catalog.caller("m", "moderator") as m:
        assert await ids(m) == [aged, *pending, video]
        assert (await m.post(f"/v1/media/{pending[1]}/moderation", json=FLAG)).status_code == 200
        assert await ids(m) == [aged, *pending, video]
        assert await ids(m, "state=flagged") == [pending[1]]
        assert await ids(m, "state=approved") == [str(approved.id)]
        assert await ids(m, "state=pending&state=approved") == [
            aged, pending[0], pending[2], video, str(approved.id),
        ]  # fmt: skip
        assert await ids(m, "owner=bob") == await ids(m, "profile=post") == [video]
        assert await ids(m, "media_type=video") == [video]
        assert await ids(m, "older_than=86400") == [aged]
        first = (await m.get("/v1/moderation?state=flagged&count=true")).json()
        assert first["counts"] == {"flagged": {"value": 1, "capped": False}}
        (item,) = first["items"]
        assert (item["decision"]["reason"], item["decision"]["reviewer"], item["claim"]) == (
            "Look at it.",
            "m",
            None,
        )
        assert item["since"] == item["decision"]["decided_at"]
        counts = (await m.get("/v1/moderation?count=true&owner=ann")).json()["counts"]
        assert {state: count["value"] for state, count in counts.items()} == {"pending": 3, "flagged": 1}


async def test_the_queue_is_for_moderators(catalog: Service) -> None:
    (media_id,) = await waiting(catalog, 1)
    routes = (
        ("GET", "/v1/moderation"), ("POST", "/v1/moderation/claims"), ("GET", "/v1/moderation/claims"),
        ("DELETE", "/v1/moderation/claims"), ("DELETE", f"/v1/moderation/claims/{media_id}"),
    )  # fmt: skip
    async with catalog.caller("ann") as ann:
        for client, status in ((catalog.nobody, 401), (ann, 403)):
            for method, route in routes:
                answer = await client.request(method, route, json={} if method == "POST" else None)
                assert (answer.status_code, media_id in answer.text) == (status, False) or "claims/" in route
                assert answer.status_code == status, (method, route)


async def test_the_queue_is_walked_once_whatever_comes_or_is_decided_meanwhile(catalog: Service) -> None:
    there = await waiting(catalog, 7)
    async with catalog.caller("m", "moderator") as m:
        walked: list[str] = []
        following: str | None = ""
        while following is not None:
            page = (await m.get(f"/v1/moderation?limit=2{following and f'&cursor={following}'}")).json()
            walked += [item["media"]["id"] for item in page["items"]]
            following = page["next_cursor"]
            if len(walked) == 2:  # one of those behind is decided, one before comes back, one comes
                await m.post(f"/v1/media/{there[4]}/moderation", json={"state": "approved"})
                await m.post(f"/v1/media/{there[0]}/moderation", json=FLAG)
                came = await waiting(catalog, 1)
        assert walked == [media_id for media_id in there if media_id != there[4]] + came
        assert (await m.get("/v1/moderation?cursor=xx")).status_code == 422
        refused = (await m.get("/v1/moderation?state=lost")).json()
        assert (refused["field"], refused["errors"][0]["key"]) == ("state", "state")
        assert "'state': " in refused["detail"]


async def test_no_two_moderators_are_given_the_same(catalog: Service) -> None:
    there = await waiting(catalog, 9)
    names = ("m", "n", "o")
    clients = [catalog.caller(name, "moderator") for name in names]
    async with clients[0] as m, clients[1] as n, clients[2] as o:
        taken = await asyncio.gather(*(claim(client, 3) for client in (m, n, o)))
        assert sorted(media_id for each in taken for media_id in each) == sorted(there)
        assert all(each == sorted(each, key=there.index) for each in taken)
        assert await claim(m, 3) == taken[0]  # asked again: the same, and no more
        assert await claim(o, 50) == taken[2]  # nothing is left for more
        assert await ids(m, "claimed=free") == []
        assert await ids(m, "claimed=mine") == taken[0]
        body = {"state": "approved", "expected": "pending"}
        foreign = await m.post(f"/v1/media/{taken[1][0]}/moderation", json=body)
        assert (foreign.status_code, "claimed" in foreign.text) == (409, True)
        assert (await n.post(f"/v1/media/{taken[1][0]}/moderation", json=body)).status_code == 200
        assert (await n.get(f"/v1/media/{taken[1][1]}/moderation")).json()["claim"]["reviewer"] == "n"
        assert [
            item["media"]["id"] for item in (await n.get("/v1/moderation/claims")).json()["items"]
        ] == taken[1][1:]
        assert (await m.delete(f"/v1/moderation/claims/{taken[1][1]}")).json() == {"released": 0}
        assert (await n.delete(f"/v1/moderation/claims/{taken[1][1]}")).json() == {"released": 1}
        assert (await m.delete("/v1/moderation/claims")).json() == {"released": 3}
        assert await claim(o, 50) == sorted([*taken[0], taken[1][1], *taken[2]], key=there.index)
        async with catalog.caller("boss", "admin") as admin:
            assert (await admin.post(f"/v1/media/{taken[2][0]}/moderation", json=body)).status_code == 200
            assert (await admin.delete(f"/v1/moderation/claims/{taken[2][1]}")).json() == {"released": 1}


async def test_a_repeated_decision_leaves_the_claim_of_whoever_looks_at_it_now(catalog: Service) -> None:
    (there,) = await waiting(catalog, 1)
    async with catalog.caller("m", "moderator") as m, catalog.caller("n", "moderator") as n:
        assert await claim(m, 1) == [there]
        assert (await m.post(f"/v1/media/{there}/moderation", json=FLAG)).status_code == 200
        assert await claim(n, 1) == [there]  # flagged: a second person is to look
        again = await m.post(f"/v1/media/{there}/moderation", json=FLAG)  # a retry that comes late
        assert (again.status_code, again.json()["claim"]["reviewer"]) == (200, "n")
        assert await ids(n, "claimed=mine") == [there]
        approved = {"state": "approved"}
        assert (await m.post(f"/v1/media/{there}/moderation", json=approved)).status_code == 409
        assert (await n.post(f"/v1/media/{there}/moderation", json=approved)).json()["claim"] is None
        assert await claim(m, 1) == []


async def test_a_claim_ends_by_itself(catalog: Service) -> None:
    there = await waiting(catalog, 2)
    async with catalog.caller("m", "moderator") as m, catalog.caller("n", "moderator") as n:
        assert await claim(m, 2, minutes=1) == there
        assert await claim(n, 2) == []
        async with catalog.database.writing(tell=False) as connection:  # a minute goes by
            past = update(moderation_claims).values(until=func.now() - timedelta(seconds=1))
            await connection.execute(past)
        assert await ids(m, "claimed=mine") == []
        assert (await m.get("/v1/moderation/claims")).json() == {"items": [], "until": None}
        assert await claim(n, 1) == there[:1]
        assert await claim(m, 2) == there[1:]


async def test_a_claim_takes_of_what_was_asked_for_and_no_more_than_is_allowed(catalog: Service) -> None:
    await waiting(catalog, 1)
    async with catalog.caller("m", "moderator") as m:
        for narrowed in (
            {"owner": "bob"},
            {"media_type": "video"},
            {"profile": "post"},
            {"state": "flagged"},
        ):
            said = {"moderation": narrowed["state"]} if "state" in narrowed else narrowed
            (wanted,) = await waiting(catalog, 1, **said)
            assert await claim(m, 1, **narrowed) == [wanted]
            assert (await m.delete("/v1/moderation/claims")).json() == {"released": 1}
        for fault in (
            ("limit", 0),
            ("limit", 101),
            ("minutes", 0),
            ("minutes", 241),
            ("x", 1),
            ("state", "approved"),
        ):
            answer = await m.post("/v1/moderation/claims", json=dict([fault]))
            assert (answer.status_code, fault[0] in answer.text) == (422, True), answer.text
