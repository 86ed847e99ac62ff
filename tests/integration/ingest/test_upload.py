"""The way of a file through ingest, without a catalog: object, event, record, answer."""

import asyncio
import hashlib
import uuid

from services.ingest import numbers
from shared.events import topology
from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import claiming_sides, encoded, picture
from tests.integration.ingest.conftest import Gateway, Start

JPEG = encoded(picture(64, 48))


async def test_invariant_1_a_2xx_means_stored_and_announced(gateway: Gateway) -> None:
    answer = await gateway.upload(
        JPEG, "Sommer.JPG", caption="On the beach", tags="sea, sun", is_public="yes"
    )

    assert answer.status_code == 202, answer.text
    media = answer.json()
    assert uuid.UUID(media["id"]).version == 7
    assert media["number"] == 1
    assert media["status"] == "processing"
    assert (media["mime_type"], media["media_type"], media["filename"]) == (
        "image/jpeg",
        "image",
        "Sommer.JPG",
    )
    assert (media["size"], media["sha256"]) == (len(JPEG), hashlib.sha256(JPEG).hexdigest())
    assert (media["caption"], media["tags"], media["is_public"]) == ("On the beach", ["sea", "sun"], True)
    assert media["owner"] == "ann"
    assert answer.headers["location"] == f"http://origin.test/v1/uploads/{media['id']}"

    (event,) = await gateway.events()
    assert isinstance(event, MediaUploaded)
    assert str(event.id) == media["id"]
    (message,) = await gateway.messages()
    assert message.subject == topology.uploaded("image", "fresh")
    (file,) = gateway.files()
    assert file.read_bytes() == JPEG
    assert file.key == event.key
    assert event.key.endswith(f"{event.id}_sommer.jpg")
    assert await gateway.keys(topology.INTENTS) == []
    assert await gateway.keys(topology.UPLOADS) == [media["id"]]
    counter = await gateway.bus.kv(topology.COUNTERS).get(numbers.KEY)
    assert counter is not None
    assert counter.value == b"101"


async def test_the_most_that_an_upload_may_say_fits_the_event(gateway: Gateway) -> None:
    fields = {
        "description": "\U0001f3d4" * 5000,
        "alt_text": "\U0001f3d4" * 1000,
        "caption": "\U0001f3d4" * 2000,
        "tags": ",".join("\U0001f3d4" * 62 + f"{n:02}" for n in range(50)),
        "metadata": '{"a": "' + "\U0001f3d4" * 4090 + '"}',
    }
    answer = await gateway.upload(JPEG, "\U0001f3d4" * 300 + ".jpg", headers=None, **fields)
    assert answer.status_code == 202, answer.text
    (event,) = await gateway.events()
    assert isinstance(event, MediaUploaded)
    assert event.description == fields["description"]
    assert len(event.tags) == 50
    (message,) = await gateway.messages()
    assert 62_000 < len(message.data) <= 63 * 1024


async def test_two_replicas_give_every_upload_its_own_number(start: Start) -> None:
    async with start() as one, start() as two:
        answers = await asyncio.gather(*(g.upload(JPEG) for g in (one, two) for _ in range(15)))
        assert {a.status_code for a in answers} == {202}
        assert len({a.json()["number"] for a in answers}) == len({a.json()["id"] for a in answers}) == 30
        assert len(one.files()) == len(await one.events()) == 30
        assert await one.keys(topology.INTENTS) == []


async def test_an_owner_of_very_many_uploads_does_not_delay_others(start: Start) -> None:
    async with start(bulk_above=2) as gateway:
        for _ in range(3):
            await gateway.upload(JPEG)
        async with gateway.client("bob") as bob:
            await bob.post("/v1/uploads", files={"file": ("a.jpg", JPEG)})
        lanes = [message.subject.rsplit(".", 1)[1] for message in await gateway.messages()]
        assert lanes == ["fresh", "fresh", "bulk", "fresh"]


async def test_a_large_picture_counts_for_many_small_ones(start: Start) -> None:
    async with start(bulk_above=10) as gateway:
        for picture in (claiming_sides(JPEG, 6000, 6000), claiming_sides(JPEG, 2000, 2000), JPEG, JPEG):
            assert (await gateway.upload(picture)).status_code == 202
        lanes = [message.subject.rsplit(".", 1)[1] for message in await gateway.messages()]
        assert lanes == ["fresh", "fresh", "bulk", "bulk"]  # 9, 1, and then none are left


async def test_uploads_are_counted(gateway: Gateway) -> None:
    await gateway.upload(JPEG)
    await gateway.upload(b"text")
    metrics = (await gateway.http.get("/metrics")).text
    assert 'tripod_ingest_uploads_total{outcome="stored"} 1.0' in metrics
    assert 'tripod_ingest_uploads_total{outcome="unsupported_type"} 1.0' in metrics
    assert f"tripod_ingest_bytes_total {float(len(JPEG))}" in metrics
