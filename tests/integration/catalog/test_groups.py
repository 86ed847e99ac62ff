"""Groups of duplicates: what hangs together, page by page, and nothing that the caller may not see."""

import random
import uuid
from typing import Any

import httpx
import pytest

from services.catalog import groups as grouping
from services.catalog import linking
from services.catalog.database import Database
from shared.events.messages import MediaUploaded
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service, all_rows

BASE = 0xF0F0_1234_5678_9ABC


async def have(
    catalog: Service, owner: str, *bits: int, base: int = BASE, **changes: Any
) -> list[MediaUploaded]:
    """Pictures of this owner; each has the bits of `base` turned over from the first one up to so many."""
    made = []
    for many in bits:
        upload = stories.uploaded(owner, **{"sha256": f"{random.getrandbits(256):064x}", **changes})
        await catalog.have(upload, stories.processed(upload, phash=f"{base ^ (2**many - 1):016x}"))
        made.append(upload)
    await linked(catalog.database)
    return made


async def linked(database: Database) -> None:
    """Do what the catalog would do within a second."""

    async def look() -> bool:
        await linking.link_some(database)
        return not await all_rows(database, "unlinked")

    await eventually_async(look, "everything to be linked")


async def asked(client: httpx.AsyncClient, **params: Any) -> list[set[uuid.UUID]]:
    answer = await client.get("/v1/media/duplicates", params=params)
    assert answer.status_code == 200, answer.text
    return [{uuid.UUID(one["id"]) for one in group["members"]} for group in answer.json()["items"]]


def ids(*uploads: MediaUploaded) -> set[uuid.UUID]:
    return {upload.id for upload in uploads}


async def test_copies_hang_together_directly_or_through_others(catalog: Service) -> None:
    near = await have(catalog, "ann", 0, 4, 8, 20)  # the third is like the second alone, the last like none
    twins = await have(catalog, "ann", 40, 64, sha256="ab" * 32)
    await have(catalog, "bob", 0, 0, sha256="ab" * 32)
    async with catalog.caller("ann") as ann:
        assert await asked(ann) == [ids(*twins)]
        assert await asked(ann, kind="near", max_distance=4) == [ids(*near[:3])]
        assert await asked(ann, kind="near", max_distance=3) == []
        assert await asked(ann, kind="near", max_distance=10) == [ids(*near[:3])]
        # The one in the middle goes, and with it what held them together.
        assert (await ann.delete(f"/v1/media/{near[1].id}")).status_code == 204
        await linked(catalog.database)
        assert await asked(ann, kind="near", max_distance=4) == []
        assert await asked(ann, kind="near", max_distance=8) == [ids(near[0], near[2])]
        assert not [row for row in await catalog.rows("likenesses") if near[1].id in row.values()]


async def test_the_largest_is_to_be_kept_and_the_others_tell_what_they_take(catalog: Service) -> None:
    first, large, third = (stories.uploaded("ann", size=size, sha256="cd" * 32) for size in (10, 30, 20))
    for upload, width in ((first, 100), (large, 200), (third, 100)):
        await catalog.have(upload, stories.processed(upload, phash=f"{BASE:016x}", width=width, height=100))
    await linked(catalog.database)
    async with catalog.caller("ann") as ann:
        answer = (await ann.get("/v1/media/duplicates?kind=near&max_distance=0")).json()
        (group,) = answer["items"]
        assert (group["keep"], group["bytes_to_free"], group["count"], group["complete"]) == (
            str(large.id), 30, 3, True,
        )  # fmt: skip
        assert answer["bytes_to_free"] == 30
        assert group["members"][0]["id"] == str(large.id)
        assert {one["id"] for one in group["members"]} == {str(one.id) for one in (large, first, third)}
        assert {(one["distance"], one["label"], one["same_bytes"]) for one in group["members"]} == {
            (0, "identical", True)
        }


async def test_pages_go_on_where_the_last_one_ended(catalog: Service) -> None:
    groups = [
        ids(*await have(catalog, "ann", 0, 1, base=random.Random(seed).getrandbits(64))) for seed in range(5)
    ]
    async with catalog.caller("ann") as ann:
        seen: list[set[uuid.UUID]] = []
        params: dict[str, Any] = {"kind": "near", "limit": 2}
        while True:
            answer = (await ann.get("/v1/media/duplicates", params=params)).json()
            seen += [{uuid.UUID(one["id"]) for one in group["members"]} for group in answer["items"]]
            if answer["next_cursor"] is None:
                break
            params["cursor"] = answer["next_cursor"]
        assert seen == groups
        params["kind"] = "exact"
        assert (await ann.get("/v1/media/duplicates", params=params)).status_code == 422


async def test_of_another_owner_only_what_one_may_see_counts(catalog: Service) -> None:
    public = await have(catalog, "bob", 0, 8, is_public=True)
    hidden = await have(catalog, "bob", 4, 1)
    async with catalog.caller("ann") as ann, catalog.caller("mod", "moderator") as moderator:
        assert await asked(ann, kind="near") == []
        assert await asked(ann, kind="near", owner="bob") == []  # what links them is hidden from her
        assert await asked(ann, kind="near", owner="bob", max_distance=8) == [ids(*public)]
        assert await asked(moderator, kind="near", owner="bob") == [ids(*public, *hidden)]
    assert (await catalog.nobody.get("/v1/media/duplicates?owner=bob")).status_code == 401


async def test_a_picture_that_says_nothing_is_like_none_but_its_copies(catalog: Service) -> None:
    flat = [stories.uploaded("ann", sha256="ef" * 32) for _ in range(2)]
    for upload in flat:
        await catalog.have(upload, stories.processed(upload, phash=f"{BASE:016x}", degenerate=True))
    await linked(catalog.database)
    async with catalog.caller("ann") as ann:
        assert await asked(ann, kind="near", max_distance=10) == []
        answer = (await ann.get("/v1/media/duplicates")).json()
        assert [one["distance"] for one in answer["items"][0]["members"]] == [None, None]


async def test_many_equal_ones_need_few_links_and_outlive_those_that_held_them(
    catalog: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "NEAREST", 3)
    many = await have(catalog, "ann", *[0] * 8)
    async with catalog.caller("ann") as ann:
        assert await asked(ann, kind="near") == [ids(*many)]
        assert len(await catalog.rows("likenesses")) <= len(many) * linking.NEAREST
        for upload in sorted(many, key=lambda one: one.id)[:5]:
            assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
        await linked(catalog.database)
        (left,) = await asked(ann, kind="near")
        assert len(left) == 3


async def test_a_group_larger_than_is_counted_says_so(
    catalog: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MEMBERS_COUNTED", 3)
    monkeypatch.setattr(grouping, "MEMBERS_SHOWN", 2)
    await have(catalog, "ann", 0, 0, 0, 0)
    async with catalog.caller("ann") as ann:
        (group,) = (await ann.get("/v1/media/duplicates?kind=near")).json()["items"]
        assert (group["count"], len(group["members"]), group["complete"]) == (3, 2, False)
