"""Many media at once: each answers for itself, in order and once, and what is done is told like any other change."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from services.catalog.registry import put_entity
from shared.entities import Entity
from shared.events.messages import MediaDeleted, MediaUpdated, MediaUploaded
from shared.ids import new_id, public_id
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

WHAT: dict[str, dict[str, Any]] = {
    "tag": {"add": ["x"]},
    "move": {"entity": None},
    "publish": {},
    "delete": {},
}
OTHER: dict[str, dict[str, Any]] = {**WHAT, "move": {"entity": {"type": "post", "id": "1"}}}


async def ask(client: httpx.AsyncClient, what: str, refs: list[Any], **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/media/batch/{what}", json={"refs": [str(ref) for ref in refs], **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["failed"] == sum(
        "problem" in item and item["problem"] is not None for item in found["items"]
    )
    assert found["succeeded"] + found["failed"] == len(found["items"])
    return found


def statuses(answer: dict[str, Any]) -> list[int]:
    return [item["status"] for item in answer["items"]]


async def have(catalog: Service, count: int, **changes: Any) -> list[MediaUploaded]:
    events = [stories.uploaded(**changes) for _ in range(count)]
    for event in events[:-1]:
        await catalog.tell(event)
    await catalog.have(events[-1])
    return events


@pytest.mark.parametrize("what", sorted(WHAT))
async def test_each_answers_for_itself_in_order_and_once(catalog: Service, what: str) -> None:
    await put_entity(catalog.database, Entity(type="post", id="1", owners=("ann",)))
    one, two = await have(catalog, 2)
    (hidden,), (public,) = (
        await have(catalog, 1, owner="bob"),
        await have(catalog, 1, owner="bob", is_public=True),
    )
    absent = new_id()
    refs = [two.id, hidden.id, public_id(one.id), "nonsense", public_id(two.id), absent, public.id, two.id]
    good = 204 if what == "delete" else 200
    async with catalog.caller("ann") as ann:
        answer = await ask(ann, what, refs, **OTHER[what])
        assert statuses(answer) == [good, 404, good, 404, 404, 403]
        assert [item["ref"] for item in answer["items"]] == [str(refs[n]) for n in (0, 1, 2, 3, 5, 6)]
        assert [item["id"] for item in answer["items"]] == [
            str(two.id), str(hidden.id), str(one.id), None, str(absent), str(public.id),
        ]  # fmt: skip
        unseen = [item["problem"]["detail"] for item in answer["items"] if item["status"] == 404]
        assert unseen == [f"There is no media {ref}." for ref in (hidden.id, "nonsense", absent)]
        again = await ask(ann, what, [one.id], **OTHER[what])
        assert statuses(again) == [404 if what == "delete" else 200]
    await catalog.told()
    told = [event for _, event in await catalog.stream() if isinstance(event, MediaUpdated | MediaDeleted)]
    assert sorted(str(event.id) for event in told) == sorted(map(str, (one.id, two.id)))
    assert all(isinstance(event, MediaDeleted) for event in told) == (what == "delete")
    for event in told:
        if isinstance(event, MediaUpdated):
            async with catalog.caller("ann") as ann:
                assert (await ann.get(f"/v1/media/{event.id}")).json() == event.media


async def test_who_governs_the_entity_or_all_may_as_well_and_nobody_else(catalog: Service) -> None:
    await put_entity(catalog.database, Entity(type="post", id="1", owners=("eve",)))
    (upload,) = await have(catalog, 1, entity=stories.link())
    callers = {"eve": (), "root": ("admin",), "svc": ("service",), "mod": ("moderator",), "bob": ()}
    expected = {"eve": 200, "root": 200, "svc": 200, "mod": 403, "bob": 404}
    for name, roles in callers.items():
        async with catalog.caller(name, *roles) as client:
            answer = await ask(client, "tag", [upload.id], add=[name])
            assert statuses(answer) == [expected[name]], name
    for what, body in WHAT.items():
        anonymous = await catalog.nobody.post(
            f"/v1/media/batch/{what}", json={"refs": [str(upload.id)], **body}
        )
        assert anonymous.status_code == 401


async def test_tags_are_added_removed_and_set(catalog: Service) -> None:
    (one,), (two,) = await have(catalog, 1, tags=("a", "b")), await have(catalog, 1)
    (full,) = await have(catalog, 1, tags=tuple(str(n) for n in range(50)))
    refs = [one.id, two.id, full.id]
    async with catalog.caller("ann") as ann:

        async def tags() -> list[list[str]]:
            return [(await ann.get(f"/v1/media/{ref}")).json()["tags"] for ref in refs[:2]]

        answer = await ask(ann, "tag", refs, add=["c", " a "], remove=["b"])
        assert statuses(answer) == [200, 200, 422]
        assert "50" in answer["items"][2]["problem"]["detail"]
        assert await tags() == [["a", "c"], ["c", "a"]]
        assert statuses(await ask(ann, "tag", refs, set=["z"])) == [200] * 3
        assert await tags() == [["z"], ["z"]]
        assert statuses(await ask(ann, "tag", refs, set=[])) == [200] * 3
        assert await tags() == [[], []]


async def test_what_is_published_the_public_sees_unless_a_moderator_has_not_approved_it(
    catalog: Service,
) -> None:
    (one,), (two,) = await have(catalog, 1), await have(catalog, 1, moderation="pending")
    async with catalog.caller("ann") as ann:
        assert statuses(await ask(ann, "publish", [one.id, two.id])) == [200, 200]
        seen = [(await catalog.nobody.get(f"/v1/media/{each.id}")).status_code for each in (one, two)]
        assert seen == [200, 404]
        assert statuses(await ask(ann, "publish", [one.id], is_public=False)) == [200]
    assert (await catalog.nobody.get(f"/v1/media/{one.id}")).status_code == 404


async def test_media_move_as_if_they_had_been_uploaded_there(catalog: Service) -> None:
    for entity in (
        Entity(type="post", id="1", owners=("ann",)),
        Entity(type="post", id="2", owners=("bob",)),
        Entity(type="user", id="ann", owners=("ann",)),
        Entity(type="post", id="gone", owners=("ann",), deleted=True),
    ):
        await put_entity(catalog.database, entity)
    one, two = await have(catalog, 2)
    (avatar,), (other) = await have(catalog, 1, profile="avatar"), await have(catalog, 1, profile="avatar")
    (lost,) = await have(catalog, 1, profile="of a file that went")
    here = {"type": "post", "id": "1", "field": "media"}
    async with catalog.caller("ann") as ann:

        async def move(refs: list[Any], **entity: str) -> list[int]:
            return statuses(await ask(ann, "move", refs, entity=entity))

        assert await move([one.id, avatar.id, lost.id], **here) == [200, 422, 422]
        shown = (await ann.get(f"/v1/media/{one.id}")).json()["entity"]
        assert shown == {**here, "is_primary": False, "sort_order": 0}
        assert await move([one.id], type="post", id="2") == [403]
        assert await move([one.id], type="post", id="gone") == [404]
        assert await move([one.id], type="post", id="never") == [404]
        assert await move([one.id], type="post", id="1", field="cover") == [200]
        listed = (await ann.get("/v1/media?entity_type=post&entity_id=1")).json()["items"]
        assert [item["id"] for item in listed] == [str(one.id)]
        # A slot for one takes one.
        slot = {"type": "user", "id": "ann", "field": "avatar"}
        answer = await ask(ann, "move", [avatar.id, other[0].id], entity=slot)
        assert statuses(answer) == [200, 409]
        assert "user/ann has one avatar already" in answer["items"][1]["problem"]["detail"]
        assert await move([avatar.id], **slot) == [200]
        assert statuses(await ask(ann, "move", [avatar.id, one.id, two.id], entity=None)) == [200] * 3
        assert await move([other[0].id, avatar.id], **slot) == [200, 409]
    for each in (one, two, avatar):
        async with catalog.caller("ann") as ann:
            assert (await ann.get(f"/v1/media/{each.id}")).json()["entity"] is None


FAULTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("tag", {}, "add"),
    ("tag", {"add": ["a"], "set": ["b"]}, "set"),
    ("tag", {"add": ["a"], "remove": ["a"]}, "'a'"),
    ("tag", {"add": ["x" * 65]}, "64"),
    ("tag", {"set": ["a,b"]}, "comma"),
    ("tag", {"add": ["\0"]}, "U+0000"),
    ("move", {"entity": {"type": "No", "id": "1"}}, "entity type"),
    ("move", {"entity": {"type": "post", "id": "\0"}}, "entity id"),
    ("move", {}, "entity"),
    ("publish", {"is_public": "maybe"}, "is_public"),
    ("publish", {"refs": []}, "refs"),
    ("publish", {"refs": ["x"] * 1001}, "1000"),
    ("delete", {"refs": ["x"] * 1001}, "1000"),
    ("delete", {"refs": []}, "refs"),
    ("delete", {"refs": ["x"], "media_ids": [1]}, "refs"),
)


async def test_what_is_no_batch_is_refused_whole_and_by_name(catalog: Service) -> None:
    (upload,) = await have(catalog, 1)
    async with catalog.caller("ann") as ann:
        for what, body, word in FAULTS:
            answer = await ann.post(f"/v1/media/batch/{what}", json={"refs": [str(upload.id)], **body})
            assert (answer.status_code, word in answer.text) == (422, True), answer.text
        assert (await ann.get(f"/v1/media/{upload.id}")).json()["tags"] == []


async def test_what_hangs_on_an_entity_that_is_deleted_at_the_same_time_hangs_on_nothing(
    catalog: Service,
) -> None:
    await put_entity(catalog.database, Entity(type="post", id="1", owners=("ann",)))
    (upload,) = await have(catalog, 1)
    async with catalog.caller("ann") as ann, catalog.caller("svc", "service") as service:
        body = {"refs": [str(upload.id)], "entity": {"type": "post", "id": "1"}}
        await asyncio.gather(
            ann.post("/v1/media/batch/move", json=body), service.delete("/v1/entities/post/1")
        )
        assert (await ann.get(f"/v1/media/{upload.id}")).json()["entity"] is None


async def test_more_than_one_chunk_is_done_within_seconds(catalog: Service) -> None:
    some = await have(catalog, 150)
    refs = [each.id for each in some]
    began = time.monotonic()
    async with catalog.caller("ann") as ann:
        for what in ("tag", "publish", "delete"):
            answer = await ask(ann, what, refs, **WHAT[what])
            assert answer["succeeded"] == len(refs)
    assert time.monotonic() - began < 10
    assert await catalog.rows("media") == []
    await catalog.told()
