"""What is like something rejected is flagged, whichever of the two came first; what a person has said stays."""

import asyncio
import uuid
from typing import Any

import pytest

from services.catalog.database import Database
from services.catalog.moderation import decide
from services.catalog.moderation_flags import REASON, Spreading
from services.catalog.moderation_schemas import ModerationRequest
from services.catalog.projector import project, take_in
from shared.auth import Caller
from shared.events.messages import MediaUpdated, MediaUploaded, decode
from shared.ids import new_id
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows

BASE = "http://origin.test"
MODERATOR = Caller(sub="m", roles=frozenset({"moderator"}))
HASH = 0x8F0E1D2C3B4A5968


def turned(bits: int) -> str:
    """The hash of a picture that differs from the rejected one in so many bits, spread over all of them."""
    return f"{HASH ^ sum(1 << (place * 11 % 64) for place in range(bits)):016x}"


async def take(database: Database, event: Any, sequence: int | None = None) -> str:
    outcome, _ = await project(database, event, sequence=sequence or new_id().int % 2**62, base_url=BASE)
    return outcome


async def there(database: Database, bits: int | None = 0, **changes: Any) -> MediaUploaded:
    """A processed media of other bytes, whose hash differs in that many bits; None: it has no telling one."""
    changes = {"owner": "bob", "sha256": uuid.uuid4().hex * 2, "is_public": True, **changes}
    upload = stories.uploaded(**changes)
    await take(database, upload)
    await take(database, stories.processed(upload, phash=turned(bits or 0), degenerate=bits is None))
    return upload


async def say(database: Database, media_id: uuid.UUID, state: str, reason: str | None = "why") -> None:
    asked = ModerationRequest(state=state, reason=reason)  # type: ignore[arg-type] # one of four
    await decide(database, MODERATOR, media_id, asked, if_match=None, base_url=BASE)


async def state_of(database: Database, media_id: uuid.UUID) -> str:
    return next(str(row["moderation"]) for row in await all_rows(database, "media") if row["id"] == media_id)


async def spread(database: Database) -> None:
    spreading = Spreading(database, distance=5, base_url=BASE)
    while await spreading.look():
        pass


async def test_what_comes_after_a_rejection_is_flagged_within_five_bits(database: Database) -> None:
    bad = await there(database, owner="ann")
    await say(database, bad.id, "rejected")
    for bits, state in ((0, "flagged"), (5, "flagged"), (6, "approved"), (None, "approved")):
        found = await there(database, bits)
        assert await state_of(database, found.id) == state, bits
    same = await there(database, None, sha256=bad.sha256)
    waiting = await there(database, 3, moderation="pending")
    history = {row["media_id"]: row for row in await all_rows(database, "moderation_decisions")}
    decision = history[same.id]
    assert (decision["matched"], decision["distance"], decision["reviewer"]) == (bad.id, None, None)
    assert (decision["reason"], decision["was"]) == (REASON, "approved")
    assert (history[waiting.id]["distance"], history[waiting.id]["was"]) == (3, "pending")


async def test_what_was_there_before_a_rejection_is_flagged_behind_it(database: Database) -> None:
    bad, near = await there(database, 0), await there(database, 5, owner="cid")
    same, far = await there(database, None, sha256=bad.sha256), await there(database, 20)
    kept = await there(database, 1)
    await say(database, kept.id, "approved", None)  # by a person: it stays as they said
    await say(database, bad.id, "rejected")
    await spread(database)
    states = [await state_of(database, each.id) for each in (near, same, far, kept)]
    assert states == ["flagged", "flagged", "approved", "approved"]
    assert all(
        row["spread_at"]
        for row in await all_rows(database, "moderation_decisions")
        if row["state"] == "rejected"
    )
    assert not await Spreading(database, distance=5, base_url=BASE).look()


async def test_that_it_is_flagged_hides_what_everybody_saw_and_nothing_else(database: Database) -> None:
    early = await there(database, 4)
    bad = await there(database)
    await say(database, bad.id, "rejected")
    await spread(database)
    late, waited = [await there(database, 2, moderation=state) for state in ("approved", "pending")]
    private = await there(database, 1, is_public=False)
    told = [decode(bytes(row["data"]))[1] for row in await all_rows(database, "outbox")]
    hidden = {event.id for event in told if isinstance(event, MediaUpdated) and event.hidden is True}
    assert hidden == {bad.id, early.id, late.id}
    assert {await state_of(database, each.id) for each in (early, late, waited, private)} == {"flagged"}


async def test_what_a_person_has_said_outlives_further_results_and_repetitions(database: Database) -> None:
    bad = await there(database, 0)
    await say(database, bad.id, "rejected")
    near = await there(database, 2)
    assert await state_of(database, near.id) == "flagged"
    await say(database, near.id, "approved", None)
    for generation in (1, 2, 2):
        await take(database, stories.processed(near, generation, phash=turned(2)))
    await spread(database)
    assert await state_of(database, near.id) == "approved"


async def test_a_rejection_waits_for_whoever_did_not_see_it(database: Database) -> None:
    """A media that is taken in while the other is rejected sees nothing of it, and is seen by nobody yet."""
    bad = await there(database, 0)
    near = stories.uploaded("bob", sha256="0" * 64)
    await take(database, near)
    spreading = Spreading(database, distance=5, base_url=BASE)
    async with database.writing() as behind:
        await take_in(behind, stories.processed(near, phash=turned(1)), 77)
        await say(database, bad.id, "rejected")
        assert await spreading.look()
        assert await spreading.look()  # it is not done with
        assert await state_of(database, near.id) == "approved"
    while await spreading.look():
        pass
    assert await state_of(database, near.id) == "flagged"


async def test_many_copies_are_flagged_and_a_rejection_taken_back_flags_none(database: Database) -> None:
    bad, other = await there(database, 0), await there(database, None)
    copies = [await there(database, None, sha256=bad.sha256) for _ in range(5)]
    await say(database, other.id, "rejected")
    await say(database, other.id, "approved", None)
    await there(database, None, sha256=other.sha256)
    await say(database, bad.id, "rejected")
    await asyncio.gather(spread(database), spread(database))  # of two catalogs
    states = sorted(row["moderation"] for row in await all_rows(database, "media"))
    assert states == ["approved"] * 2 + ["flagged"] * len(copies) + ["rejected"]
    flags = [row for row in await all_rows(database, "moderation_decisions") if row["state"] == "flagged"]
    assert len(flags) == len(copies)


async def test_owners_are_told_no_more_than_that_somebody_is_to_look(catalog: Service) -> None:
    bad = await catalog.ready("ann", is_public=True)
    async with catalog.caller("m", "moderator") as m, catalog.caller("bob") as bob:
        body = {"state": "rejected", "reason": "why"}
        assert (await m.post(f"/v1/media/{bad.id}/moderation", json=body)).status_code == 200
        copy = await catalog.ready("bob", is_public=True)
        mine = await bob.get(f"/v1/media/{copy.id}/moderation")
        assert (mine.json()["state"], mine.json()["reason"]) == ("flagged", REASON)
        assert (mine.json()["history"][0]["automatic"], str(bad.id) in mine.text) == (True, False)
        (item,) = (await m.get("/v1/moderation?state=flagged")).json()["items"]
        assert (item["decision"]["matched"], item["decision"]["reviewer"]) == (str(bad.id), None)
        assert (await catalog.nobody.get(f"/v1/media/{copy.id}")).status_code == 404


@pytest.mark.parametrize("distance", [0, 10])
async def test_how_near_is_too_near_is_a_setting(database: Database, distance: int) -> None:
    bad = await there(database, 0)
    await say(database, bad.id, "rejected")
    upload = stories.uploaded("bob", sha256="1" * 64)
    await take(database, upload)
    result = stories.processed(upload, phash=turned(8))
    await project(database, result, sequence=99, base_url=BASE, distance=distance)
    assert await state_of(database, upload.id) == ("flagged" if distance == 10 else "approved")
