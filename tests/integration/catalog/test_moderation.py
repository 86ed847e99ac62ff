"""Moderation: decisions, who may take them, what the public sees, and that no two moderators undo each other's."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy import select, update

from services.catalog.models import media, moderation_decisions
from services.catalog.registry import put_entity
from services.catalog.replayed import replayed
from shared.entities import Entity
from shared.events.messages import MediaModerated, MediaUpdated
from shared.ids import new_id, public_id
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service
from tests.integration.catalog.test_live import hear, live

DONE = {"state": "approved"}
NO = {"state": "rejected", "reason": "It shows somebody else."}


async def decide(client: httpx.AsyncClient, media_id: object, body: dict[str, Any], **headers: str) -> Any:
    return await client.post(f"/v1/media/{media_id}/moderation", json=body, headers=headers)


async def seen(client: httpx.AsyncClient, media_id: object) -> dict[str, int]:
    """How a caller gets each form of a media."""
    tails = ("", "/download", "/variants/thumbnail", "/render?preset=small", "/similar")
    found = {tail: (await client.get(f"/v1/media/{media_id}{tail}")).status_code for tail in tails}
    listed = (await client.get("/v1/media?limit=200")).json()["items"]
    asked = {"filter": {"field": "id", "operator": "eq", "value": str(media_id)}}
    hits = (await client.post("/v1/media/search", json=asked)).json().get("items", [])
    return {**found, "list": len([m for m in listed if m["id"] == str(media_id)]), "search": len(hits)}


async def test_the_public_sees_only_what_is_approved_and_owners_what_is_theirs(catalog: Service) -> None:
    upload = await catalog.ready(is_public=True, moderation="pending")
    async with (
        catalog.caller("ann") as ann,
        catalog.caller("bob") as bob,
        catalog.caller("m", "moderator") as m,
    ):
        links = [
            (await ann.post(f"/v1/media/{upload.id}/links", json=body)).json()["url"]
            for body in ({}, {"variant": "thumbnail"}, {"render": {"preset": "small"}})
        ]
        for state in ("pending", "rejected", "flagged"):
            if state != "pending":
                assert (await decide(m, upload.id, {"state": state, "reason": "why"})).status_code == 200
            found = await seen(bob if state == "pending" else catalog.nobody, upload.id)
            assert set(found.values()) <= {404, 401, 0}, (state, found)
            for url in links:
                assert (await bob.get(url.removeprefix("http://origin.test"))).status_code == 404, (
                    state,
                    url,
                )
            own = await seen(ann, upload.id)
            assert (own[""], own["/download"], own["/variants/thumbnail"], own["list"]) == (200, 200, 200, 1)
            async with catalog.database.reading_for(None, linked=upload.id) as connection:
                assert await connection.scalar(select(media.c.id)) is None, (
                    "the policies know it by themselves"
                )
        assert (await decide(m, upload.id, DONE)).status_code == 200
        found = await seen(catalog.nobody, upload.id)
        assert (found[""], found["/download"], found["/variants/thumbnail"], found["list"]) == (
            200,
            200,
            200,
            1,
        )
        for url in links[:2]:
            assert (await bob.get(url.removeprefix("http://origin.test"))).status_code == 200


async def test_who_may_decide_and_who_is_told_what(catalog: Service) -> None:
    await put_entity(catalog.database, Entity(type="post", id="1", owners=("eve",)))
    upload = await catalog.ready(is_public=True, entity=stories.link())
    route = f"/v1/media/{upload.id}/moderation"
    hidden = await catalog.ready()
    async with catalog.caller("ann") as ann, catalog.caller("bob") as bob:
        for client, status in ((catalog.nobody, 401), (bob, 403), (ann, 403)):
            assert (await decide(client, upload.id, NO)).status_code == status
        assert (await decide(bob, hidden.id, NO)).status_code == 404
        assert (await decide(bob, new_id(), NO)).status_code == 404
        for client, status in ((catalog.nobody, 401), (bob, 403), (ann, 200)):
            assert (await client.get(route)).status_code == status
        assert (await bob.get(f"/v1/media/{hidden.id}/moderation")).status_code == 404
        for role in ("moderator", "admin", "service"):
            async with catalog.caller(role, role) as who:
                last = await decide(who, upload.id, {**NO, "note": role, "expected": "approved"})
                assert last.status_code == 200, last.text
                assert (
                    await decide(who, upload.id, {"state": "approved", "expected": "rejected"})
                ).is_success
                shown = (await who.get(route)).json()
                assert (shown["state"], shown["reason"]) == ("approved", None)
                assert [step["reviewer"] for step in shown["history"][:2]] == [role, role]
                assert [step["note"] for step in shown["history"][:2]] == [None, role]
        mine = (await ann.get(route)).json()
        async with catalog.caller("eve") as eve:  # who governs the entity is told what the owner is
            assert (await eve.get(route)).json() == mine
            assert (await decide(eve, upload.id, NO)).status_code == 403
        assert [step["reason"] for step in mine["history"]] == [None, NO["reason"]] * 3
        assert not [step for step in mine["history"] if step["reviewer"] or step["note"] or step["automatic"]]
        assert (mine["public_id"], mine["claim"]) == (public_id(upload.id), None)
        moments = [datetime.fromisoformat(step["decided_at"]) for step in mine["history"]]
        assert moments == sorted(moments, reverse=True)


FAULTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"state": "rejected"}, "reason"),
    ({"state": "flagged", "reason": "  "}, "reason"),
    ({"state": "rejected", "reason": "x" * 501}, "500"),
    ({"state": "approved", "note": "x" * 2001}, "2000"),
    ({"state": "approved", "note": "\0"}, "U+0000"),
    ({"state": "gone"}, "state"),
    ({}, "state"),
    ({"state": "approved", "expected": "x"}, "expected"),
)


async def test_what_is_no_decision_is_refused_by_name(catalog: Service) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    async with catalog.caller("m", "moderator") as m:
        for body, word in FAULTS:
            answer = await decide(m, upload.id, body)
            assert (answer.status_code, word in answer.text) == (422, True), answer.text
        assert (await m.get(f"/v1/media/{upload.id}/moderation")).json()["history"] == []


async def test_two_moderators_do_not_overwrite_each_other(catalog: Service) -> None:
    upload = await catalog.ready(moderation="pending")
    async with catalog.caller("m", "moderator") as m, catalog.caller("n", "moderator") as n:
        at_once = await asyncio.gather(decide(m, upload.id, NO), decide(n, upload.id, DONE))
        assert sorted(answer.status_code for answer in at_once) == [200, 409]
        (refused,) = [answer for answer in at_once if answer.status_code == 409]
        first, second = (m, n) if refused is at_once[1] else (n, m)
        state = refused.json()["state"]
        other = DONE if state == "rejected" else NO
        stale = await decide(second, upload.id, {**other, "expected": "pending"})
        assert (stale.status_code, stale.json()["state"]) == (409, state)
        tag = (await second.get(f"/v1/media/{upload.id}")).headers["etag"]
        assert (await decide(second, upload.id, other, **{"If-Match": '"x"'})).status_code == 412
        known = await decide(second, upload.id, other, **{"If-Match": tag})
        assert known.status_code == 200
        now = (await second.get(f"/v1/media/{upload.id}")).headers["etag"]
        assert known.headers["etag"] == now != tag
        blind = await decide(first, upload.id, NO if other is DONE else DONE, **{"If-Match": "*"})
        assert blind.status_code == 409
        again = await decide(second, upload.id, other, **{"If-Match": tag})  # a retry
        assert (again.status_code, len(again.json()["history"])) == (200, 2)
        assert (await decide(first, upload.id, {**other, "expected": other["state"]})).status_code == 200


async def test_a_decision_is_told_once_with_its_state_and_goes_with_the_media(catalog: Service) -> None:
    upload = await catalog.ready(is_public=True)
    async with catalog.caller("m", "moderator") as m, catalog.caller("ann") as ann:
        before = (await ann.get(f"/v1/media/{upload.id}")).json()
        for _ in range(2):
            assert (await decide(m, upload.id, {**NO, "note": "as said"})).status_code == 200
        after = (await ann.get(f"/v1/media/{upload.id}")).json()
        assert after == {**before, "moderation": "rejected", "updated_at": after["updated_at"]}
        await catalog.told()
        told = [event for _, event in await catalog.stream()]
        (decision,) = [event for event in told if isinstance(event, MediaModerated)]
        assert (decision.id, decision.was, decision.state) == (upload.id, "approved", "rejected")
        assert (decision.reason, decision.note, decision.reviewer) == (NO["reason"], "as said", "m")
        last = told[-1]
        assert isinstance(last, MediaUpdated)
        assert last.media == after
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
    for table in ("moderation_decisions", "moderation_claims"):
        assert [row for row in await catalog.rows(table) if row["media_id"] == upload.id] == []


async def test_the_owner_hears_of_a_decision_as_it_is_taken_and_nobody_hears_who_took_it(
    catalog: Service,
) -> None:
    upload = await catalog.ready(is_public=True)
    await catalog.told()
    async with live(catalog, "ann") as socket, catalog.caller("m4711", "moderator") as m:
        assert (await decide(m, upload.id, {**NO, "note": "n4712"})).status_code == 200
        (heard,) = await hear(socket, 1)
    assert (heard["type"], heard["media"]["moderation"]) == ("media.updated", "rejected")
    assert "m4711" not in str(heard)
    assert "n4712" not in str(heard)


async def test_the_stream_alone_tells_every_decision_and_every_flag(catalog: Service) -> None:
    """So that a rebuild has states and history as they were."""
    bad = await catalog.ready(is_public=True)
    # It looks like none of the others, or a flag could come before the decision.
    waits = stories.uploaded("ann", moderation="pending", sha256="a" * 64)
    await catalog.have(waits, stories.processed(waits, phash="f0f0f0f0f0f0f0f0"))
    async with catalog.caller("m", "moderator") as m:
        await decide(m, bad.id, NO)
        copy = await catalog.ready("bob")
        await decide(m, waits.id, {**DONE, "note": "fine"})
        await decide(m, bad.id, {**NO, "reason": "Another."})
    await catalog.told()
    states = {row["id"]: row["moderation"] for row in await catalog.rows("media")}
    assert states == {bad.id: "rejected", waits.id: "approved", copy.id: "flagged"}
    assert len(await catalog.rows("moderation_decisions")) == 4

    def silent(_what: str, _count: int) -> None:
        """Nobody watches."""

    assert [found async for found in replayed(catalog.database, catalog.bus, silent)] == []
    async with catalog.database.writing(tell=False) as connection:
        await connection.execute(update(moderation_decisions).values(reason="forged"))
    assert len([found async for found in replayed(catalog.database, catalog.bus, silent)]) == 4
