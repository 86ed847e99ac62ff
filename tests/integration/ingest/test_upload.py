"""The way of a file through ingest, without a catalog: object, event, record, answer."""

import hashlib
import uuid

from services.ingest import numbers
from shared.events import topology
from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway

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
