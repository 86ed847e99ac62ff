"""The path of a media through the catalog: told, listed, shown, changed."""

import msgspec

from shared.events import topology
from shared.events.bus import REPLY_HEADER
from shared.events.messages import MediaCreated, MediaUpdated
from shared.media import Media
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service


async def test_an_upload_becomes_a_row_that_its_owner_lists_and_gets(catalog: Service) -> None:
    upload = stories.uploaded(description="one", tags=("a", "b"), metadata={"k": [1]})
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        listed = (await ann.get("/v1/media")).json()["items"]
        one = (await ann.get(f"/v1/media/{upload.id}")).json()
    assert listed == [one]
    assert (one["status"], one["number"], one["tags"], one["metadata"]) == (
        "processing",
        upload.number,
        ["a", "b"],
        {"k": [1]},
    )
    assert one["url"] == f"http://origin.test/v1/media/{upload.id}"


async def test_ingest_is_answered_once_the_row_is_committed(catalog: Service) -> None:
    upload = stories.uploaded()
    inbox = catalog.bus.inbox()
    async with catalog.bus.listen(inbox) as answers:
        await catalog.tell(upload, **{REPLY_HEADER: inbox})
        answer = await anext(answers)
    assert msgspec.json.decode(answer.data, type=Media).id == upload.id
    assert [row["id"] for row in await catalog.rows("media")] == [upload.id]


async def test_what_is_told_holds_the_full_state(catalog: Service) -> None:
    upload = await catalog.ready()
    await catalog.told()
    async with catalog.caller("ann") as ann:
        shown = (await ann.get(f"/v1/media/{upload.id}")).json()
    created, updated = [e for _, e in await catalog.stream() if isinstance(e, MediaCreated | MediaUpdated)]
    assert isinstance(created, MediaCreated)
    assert created.media["status"] == "processing"
    assert isinstance(updated, MediaUpdated)
    assert updated.media == shown
    assert shown["status"] == "ready"
    assert (
        shown["thumbnail_url"]
        == f"http://origin.test/v1/media/{upload.id}/variants/thumbnail?v={stories.SPEC}"
    )


async def test_ingest_asks_for_an_upload_over_the_broker(catalog: Service) -> None:
    upload = await catalog.ready()

    async def ask(media_id: object) -> bytes:
        question = msgspec.json.encode({"id": str(media_id)})
        return await catalog.bus.request(topology.CATALOG_FIND_UPLOAD, question, timeout=5)

    found = msgspec.json.decode(await ask(upload.id), type=Media)
    assert (found.id, found.status, found.owner) == (upload.id, "ready", "ann")
    assert await ask(stories.uploaded().id) == b""
    assert await ask("nonsense") == b""


async def test_the_heartbeat_is_heard(catalog: Service) -> None:
    async with catalog.bus.listen(topology.CATALOG_HEARTBEAT) as beats:
        await anext(beats)
        await anext(beats)
