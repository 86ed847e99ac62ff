"""Entities and users as other systems tell of them: in any order, more than once, and with nonsense in between."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from services.catalog import counters, departures, registry
from services.catalog.departures import LEEWAY
from services.catalog.models import metadata
from services.catalog.rebuild import replay_all
from services.catalog.registry import AHEAD
from services.catalog.replayed import replayed, scratch
from shared.entities import Entity
from shared.events import messages, topology
from shared.events.kv_token import kv_token
from shared.events.messages import EntityDeleted, EntityUpserted, Event, UserDeleted
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows

LEAVER = "leaver 4711"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


async def tell_as_of(catalog: Service, subject: str, event: Event, time: datetime) -> None:
    name = uuid.uuid4().hex
    data = messages.encode(event, source="test", event_id=name, subject="", time=time, traceparent=None)
    await catalog.bus.publish(subject, data, message_id=name)


async def entity(catalog: Service, entity_id: str = "1") -> tuple[bool, list[str]] | None:
    rows = [row for row in await catalog.rows("entities") if row["id"] == entity_id]
    return (rows[0]["deleted"], rows[0]["owners"]) if rows else None


async def settled(catalog: Service) -> None:
    """What was told before is taken in: an entity that is told of now comes after it."""
    sign = uuid.uuid4().hex
    await catalog.tell(EntityUpserted(type="sign", id=sign))

    async def look() -> bool:
        return await entity(catalog, sign) is not None

    await eventually_async(look, "the sign to be taken in")


async def test_nothing_in_the_catalog_names_a_user_who_has_left(catalog: Service) -> None:
    await catalog.tell(EntityUpserted(type="post", id="1", owners=(LEAVER, "bob"), admins=(LEAVER,)))
    theirs, other = await catalog.ready(LEAVER, entity=stories.link()), await catalog.ready("bob")
    async with catalog.caller(LEAVER, "moderator") as leaver:
        decision = {"state": "rejected", "reason": "not nice"}
        for media_id in (theirs.id, other.id):
            answer = await leaver.post(f"/v1/media/{media_id}/moderation", json=decision)
            assert answer.status_code == 200, answer.text
        assert (await leaver.get(f"/v1/media/{theirs.id}/download")).status_code == 200
    quota = catalog.bus.kv(topology.QUOTAS)
    await quota.put(kv_token(LEAVER), b"{}")
    assert await tables_that_name(catalog, LEAVER) >= {"media", "entities", "moderation_decisions"}
    await catalog.tell(UserDeleted(sub=LEAVER))
    await catalog.tell(UserDeleted(sub=LEAVER))
    await catalog.tell(UserDeleted(sub="bob's neighbour, who had no quota"))
    await settled(catalog)
    await catalog.told()

    async def unnamed() -> bool:
        await counters.add_up_alone(catalog.database)
        return await tables_that_name(catalog, LEAVER) == set()

    await eventually_async(unnamed, "no table to name the user")
    assert [row["id"] for row in await catalog.rows("media")] == [other.id]
    assert await entity(catalog) == (False, ["bob"])
    assert await quota.get(kv_token(LEAVER)) is None
    stored = await catalog.bus.last_sequence(f"KV_{topology.QUOTAS}")
    assert stored == 1, "no mark of a delete has come"
    assert await catalog.bus.read(f"KV_{topology.QUOTAS}", stored) is None


async def tables_that_name(catalog: Service, sub: str) -> set[str]:
    found = set()
    async with catalog.database.reading() as connection:
        for name in metadata.tables:
            asked = text(f"SELECT count(*) FROM {name} WHERE CAST({name} AS text) LIKE :sub")
            if await connection.scalar(asked, {"sub": f"%{sub}%"}):
                found.add(name)
    return found


async def test_a_late_upload_of_a_user_who_has_left_is_deleted_at_once_and_a_new_one_stays(
    catalog: Service,
) -> None:
    await catalog.tell(UserDeleted(sub=LEAVER))
    await settled(catalog)
    await catalog.tell(EntityUpserted(type="post", id="1", owners=("bob",)))
    late = [stories.uploaded(LEAVER), stories.uploaded(LEAVER, entity=stories.link())]
    later = datetime.now(UTC) + LEEWAY + timedelta(seconds=1)
    again = stories.uploaded(LEAVER, created_at=later)
    # What is told of a media that is deleted does not stay stored: it cannot be waited for by its place in the stream.
    for upload in late:
        await catalog.tell(upload)
    await catalog.have(again)

    async def look() -> bool:
        buried = {row["media_id"] for row in await catalog.rows("tombstones")}
        return buried == {upload.id for upload in late}

    await eventually_async(look, "both late uploads to be deleted")
    assert [row["id"] for row in await catalog.rows("media")] == [again.id]


async def test_what_was_told_of_an_entity_before_changes_nothing_when_it_comes_after(
    catalog: Service,
) -> None:
    upserted, deleted = "entity.v1.upserted.post", "entity.v1.deleted.post"
    now = LONG_AGO + timedelta(hours=1)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="1", owners=("new",)), now)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="1", owners=("old",)), LONG_AGO)
    await tell_as_of(catalog, deleted, EntityDeleted(type="post", id="1"), LONG_AGO)
    await tell_as_of(catalog, deleted, EntityDeleted(type="post", id="2"), now)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="2", owners=("old",)), LONG_AGO)
    await settled(catalog)
    assert (await entity(catalog, "1"), await entity(catalog, "2")) == ((False, ["new"]), (True, []))
    await tell_as_of(catalog, deleted, EntityDeleted(type="post", id="1"), now + timedelta(seconds=1))
    await settled(catalog)
    assert await entity(catalog, "1") == (True, [])


async def test_nonsense_about_an_entity_ends_as_a_dead_letter_and_holds_nobody_up(catalog: Service) -> None:
    before = await catalog.bus.last_sequence(topology.DEAD)
    await tell_as_of(catalog, "entity.v1.upserted.x", EntityUpserted(type="No Type", id="1"), LONG_AGO)
    await catalog.bus.publish("user.v1.deleted", b"not json", message_id=uuid.uuid4().hex)
    nul = EntityUpserted(type="post", id="1", owners=("ann", "a\0nn"))
    await tell_as_of(catalog, "entity.v1.upserted.post", nul, LONG_AGO)
    await tell_as_of(catalog, "user.v1.deleted", UserDeleted(sub="a\0nn"), LONG_AGO)
    unzoned = LONG_AGO.replace(tzinfo=None)
    await tell_as_of(catalog, "user.v1.deleted", UserDeleted(sub="ann"), unzoned)
    await settled(catalog)

    async def buried() -> bool:
        return await catalog.bus.last_sequence(topology.DEAD) >= before + 5

    await eventually_async(buried, "all to be dead letters at once")
    assert await entity(catalog, "1") is None


async def test_an_event_from_before_a_request_does_not_undo_it_when_it_comes_again(catalog: Service) -> None:
    upserted, deleted = "entity.v1.upserted.post", "entity.v1.deleted.post"
    named = EntityUpserted(type="post", id="3", owners=("ann",), admins=("bob",))
    past = datetime.now(UTC)
    await tell_as_of(catalog, deleted, EntityDeleted(type="post", id="1"), past)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="2", owners=("ann",)), past)
    await tell_as_of(catalog, upserted, named, past)
    await settled(catalog)
    async with catalog.caller("gateway", "service") as gateway:
        for entity_id in "13":
            answer = await gateway.put(f"/v1/entities/post/{entity_id}", json={"owners": ["ann"]})
            assert answer.status_code == 200, answer.text
        assert (await gateway.delete("/v1/entities/post/2")).status_code == 204
    await tell_as_of(catalog, deleted, EntityDeleted(type="post", id="1"), past)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="2", owners=("ann",)), past)
    await tell_as_of(catalog, upserted, named, past)
    await settled(catalog)
    rows = {
        row["id"]: (row["deleted"], row["owners"], row["admins"]) for row in await catalog.rows("entities")
    }
    assert [rows[name] for name in "123"] == [(False, ["ann"], []), (True, [], []), (False, ["ann"], [])]


async def test_an_event_of_a_clock_that_is_far_ahead_does_not_keep_out_what_is_told_later(
    catalog: Service,
) -> None:
    upserted, far = "entity.v1.upserted.post", datetime.now(UTC) + timedelta(days=4000)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="1", owners=("ann",)), far)
    await tell_as_of(catalog, "user.v1.deleted", UserDeleted(sub=LEAVER), far)
    await settled(catalog)
    assert await entity(catalog) == (False, ["ann"])
    await catalog.tell(EntityUpserted(type="post", id="1", owners=("bob",)))
    await settled(catalog)
    assert await entity(catalog) == (False, ["bob"])
    latest = max(row["left_at"] for row in await catalog.rows("departed_users"))
    assert latest < datetime.now(UTC) + LEEWAY + AHEAD


async def test_of_what_is_told_of_one_moment_the_same_holds_in_either_order(catalog: Service) -> None:
    upserted, deleted = "entity.v1.upserted.post", "entity.v1.deleted.post"
    for first, second, at_first in (("1", "2", "ann"), ("2", "1", "bob")):
        for name in (at_first, {"ann": "bob", "bob": "ann"}[at_first]):
            event = EntityUpserted(type="post", id=first, owners=(name,))
            await tell_as_of(catalog, upserted, event, LONG_AGO)
        gone, there = EntityDeleted(type="post", id=f"gone {second}"), f"gone {second}"
        told: list[tuple[str, Event]] = [
            (deleted, gone),
            (upserted, EntityUpserted(type="post", id=there, owners=("ann",))),
        ]
        for subject, one in told if first == "1" else reversed(told):
            await tell_as_of(catalog, subject, one, LONG_AGO)
    await settled(catalog)
    assert await entity(catalog, "1") == await entity(catalog, "2") == (False, ["bob"])
    assert await entity(catalog, "gone 1") == await entity(catalog, "gone 2") == (True, [])


async def test_a_late_event_does_not_put_a_user_who_has_left_back_into_an_entity(catalog: Service) -> None:
    upserted, now = "entity.v1.upserted.post", datetime.now(UTC)
    left, late = now - timedelta(hours=1), now - timedelta(hours=2)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="1", owners=(LEAVER,)), LONG_AGO)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="back", owners=(LEAVER,)), now)
    await tell_as_of(catalog, "user.v1.deleted", UserDeleted(sub=LEAVER), left)
    for name in "12":
        named = EntityUpserted(type="post", id=name, owners=("bob", LEAVER), admins=(LEAVER,))
        await tell_as_of(catalog, upserted, named, late)
    await settled(catalog)
    async with catalog.caller("gateway", "service") as gateway:
        answer = await gateway.put("/v1/entities/post/3", json={"owners": [LEAVER]})
        assert answer.json()["owners"] == [LEAVER], "who comes back may own again"
        await catalog.tell(UserDeleted(sub=LEAVER))
        await settled(catalog)
        answer = await gateway.put("/v1/entities/post/3", json={"owners": [LEAVER, "bob"]})
        assert answer.json()["owners"] == ["bob"]
    rows = [(row["id"], row["owners"], row["admins"]) for row in await catalog.rows("entities")]
    assert sorted(row for row in rows if row[1]) == [(name, ["bob"], []) for name in "123"]


async def test_who_came_back_before_their_leaving_was_told_stays_in_what_was_told_since(
    catalog: Service,
) -> None:
    upserted, now = "entity.v1.upserted.post", datetime.now(UTC)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="1", owners=(LEAVER,)), now)
    await tell_as_of(catalog, "user.v1.deleted", UserDeleted(sub=LEAVER), now - timedelta(hours=1))
    await settled(catalog)
    assert await entity(catalog) == (False, [LEAVER])


async def test_an_entity_that_is_written_while_its_owner_leaves_ends_without_them(catalog: Service) -> None:
    wanted = Entity(type="post", id="1", owners=(LEAVER, "bob"))
    soon = datetime.now(UTC) + LEEWAY
    async with catalog.database.writing(tell=False) as under_way:
        await registry._without_departed(under_way, wanted, datetime.now(UTC))
        leaving = asyncio.create_task(departures.delete_user(catalog.database, LEAVER, until=soon))
        await waiting_for_a_lock(catalog, leaving)
        await registry._store(under_way, None, wanted, datetime.now(UTC))
    await leaving
    assert await entity(catalog) == (False, ["bob"])


async def waiting_for_a_lock(catalog: Service, working: asyncio.Task[int]) -> None:
    asked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    async def look() -> bool:
        async with catalog.database.reading() as connection:
            return bool(working.done() or await connection.scalar(asked))

    await eventually_async(look, "the other to be waited for")


async def test_the_whole_history_replayed_names_nobody_who_has_left_and_knows_when_all_was_told(
    catalog: Service,
) -> None:
    upserted, now = "entity.v1.upserted.post", datetime.now(UTC)
    named = EntityUpserted(type="post", id="1", owners=(LEAVER, "bob"))
    await tell_as_of(catalog, upserted, named, LONG_AGO)
    await tell_as_of(catalog, upserted, EntityUpserted(type="post", id="2", owners=("bob",)), now)
    theirs, other = await catalog.ready(LEAVER), await catalog.ready("bob")
    async with catalog.caller(LEAVER, "moderator") as leaver:
        decision = {"state": "rejected", "reason": "not nice"}
        assert (await leaver.post(f"/v1/media/{other.id}/moderation", json=decision)).status_code == 200
    await catalog.tell(UserDeleted(sub=LEAVER))
    await settled(catalog)
    await catalog.have(stories.uploaded(LEAVER))
    async with catalog.caller("gateway", "service") as gateway:
        assert (await gateway.put("/v1/entities/post/3", json={"owners": ["ann"]})).status_code == 200

    async def same() -> bool:
        return not [found async for found in replayed(catalog.database, catalog.bus, silent)]

    await eventually_async(same, "all to be told, and what is deleted to be erased from the stream")
    async with scratch(catalog.database) as made:
        await replay_all(made, catalog.bus, silent)
        assert await all_rows(made, "departed_users") == await catalog.rows("departed_users")
        told = {row["id"]: row for row in await all_rows(made, "entities")}
    held = {row["id"]: row for row in await catalog.rows("entities")}
    assert [(told[n]["told_at"], told[n]["owners"]) for n in "12"] == [(LONG_AGO, ["bob"]), (now, ["bob"])]
    assert timedelta(0) <= told["3"]["told_at"] - held["3"]["told_at"] < timedelta(seconds=30)
    assert theirs.id not in {row["id"] for row in await catalog.rows("media")}


def silent(_what: str, _count: int) -> None:
    pass
