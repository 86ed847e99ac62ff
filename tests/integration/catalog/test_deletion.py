"""Invariant 6, the catalog's part: after a delete only a tombstone and the told deletion remain."""

from services.catalog.models import metadata
from shared.events.messages import EntityDeleted, EntityUpserted, MediaDeleted, UserDeleted
from shared.storage import keys
from tests.fixtures.waiting import eventually_async
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

MARKED = "a text found nowhere else"


async def only_tombstones(catalog: Service) -> bool:
    """Whether every table but three is empty, and the stream holds deletions only."""
    kept = {"tombstones", "marks", "entities"}
    for table in metadata.tables:
        if table not in kept and await catalog.rows(table):
            return False
    return all(isinstance(event, MediaDeleted) for _, event in await catalog.stream())


async def test_invariant_6_a_delete_leaves_a_tombstone_in_every_table_and_in_the_stream(
    catalog: Service,
) -> None:
    upload = await catalog.ready(description=MARKED, filename=f"{MARKED}.jpg")
    await catalog.told()
    async with catalog.caller("ann") as ann:
        assert (await ann.patch(f"/v1/media/{upload.id}", json={"caption": MARKED})).status_code == 200
        assert (await ann.post(f"/v1/media/{upload.id}/reprocess")).status_code == 202
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 404
        assert (await ann.get(f"/v1/media/{upload.id}")).status_code == 404
        assert (await ann.get("/v1/media")).json()["items"] == []

    await eventually_async(lambda: only_tombstones(catalog), "nothing but a tombstone to remain")
    (tombstone,) = await catalog.rows("tombstones")
    ((sequence, deleted),) = await catalog.stream()
    assert (tombstone["media_id"], tombstone["sequence"]) == (upload.id, sequence)
    assert isinstance(deleted, MediaDeleted)
    assert (deleted.key, deleted.variants) == (upload.key, keys.variants(upload.id))
    assert (deleted.owner, deleted.number) == ("ann", upload.number)


async def test_a_late_result_for_a_deleted_media_is_erased_again(catalog: Service) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
    await catalog.tell(stories.processed(upload, exif={"make": MARKED}))

    async def told_twice() -> bool:
        return len(await catalog.stream()) == 2 and await only_tombstones(catalog)

    await eventually_async(told_twice, "the late result to be erased from the stream and deleted again")


async def test_a_number_is_not_given_out_again_after_its_media_is_deleted(catalog: Service) -> None:
    upload = stories.uploaded(number=7_000_000)
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        assert (await ann.delete(f"/v1/media/{upload.id}")).status_code == 204
    counter = catalog.bus.kv("counters")
    await counter.delete("media.number")

    async def counted() -> bytes | None:
        entry = await counter.get("media.number")
        return entry.value if entry else None

    assert await eventually_async(counted, "the counter to be made again") == b"7000001"


async def test_a_user_goes_with_all_that_was_theirs(catalog: Service) -> None:
    theirs = [stories.uploaded("ann") for _ in range(3)]
    other = stories.uploaded("bob")
    await catalog.have(*theirs, other)
    await catalog.tell(UserDeleted(sub="ann"))

    async def gone() -> bool:
        return [row["owner"] for row in await catalog.rows("media")] == ["bob"]

    await eventually_async(gone, "the media of ann to be deleted")
    assert {row["media_id"] for row in await catalog.rows("tombstones")} == {upload.id for upload in theirs}


async def test_media_of_an_entity_that_goes_hang_on_nothing(catalog: Service) -> None:
    await catalog.tell(EntityUpserted(type="post", id="1", owners=("bob",)))
    upload = stories.uploaded("ann", entity=stories.link())
    await catalog.have(upload)
    async with catalog.caller("bob") as bob:

        async def seen() -> bool:
            return (await bob.get(f"/v1/media/{upload.id}")).status_code == 200

        await eventually_async(seen, "bob to see what hangs on his post")
        await catalog.tell(EntityDeleted(type="post", id="1"))

        async def unseen() -> bool:
            return (await bob.get(f"/v1/media/{upload.id}")).status_code == 404

        await eventually_async(unseen, "bob's right to be gone")

    async def detached() -> bool:
        return [row["entity_type"] for row in await catalog.rows("media")] == [None]

    await eventually_async(detached, "the media to hang on nothing")
