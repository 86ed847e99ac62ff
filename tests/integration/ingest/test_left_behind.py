"""What uploads leave that broke off, and what must stay although a process believes that it is its own to erase."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.ingest import intents, janitor, recover
from services.ingest.intents import Intent
from services.ingest.leases import now_plus
from shared.events import topology
from shared.events.bus import KeyConflict
from shared.storage.blobs import Unfinished
from shared.storage.memory import MemoryBlobs
from shared.storage.unreferenced import ask_to_abort
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import eventually
from tests.integration.ingest.in_memory import FORM_TYPE, Small, part, running

JPEG = encoded(picture(64, 48))
DAY = timedelta(days=1)


def left(blobs: MemoryBlobs, key: str, age: timedelta = DAY) -> Unfinished:
    """Parts that a dead process has stored."""
    upload = Unfinished(key=key, upload=uuid.uuid4().hex, begun=datetime.now(UTC) - age)
    blobs.uploads[upload.upload] = upload
    return upload


def intent(key: str, *, seconds: float) -> Intent:
    """An upload that somebody holds for so long."""
    return Intent(
        holder="somebody",
        until=now_plus(seconds),
        id=uuid.uuid4(),
        number=7,
        owner="ann",
        profile="default",
        filename="a.bin",
        mime_type="application/octet-stream",
        media_type="other",
        key=key,
        state="receiving",
        started_at=datetime.now(UTC),
    )


async def begin(small: Small, one: Intent) -> None:
    await small.bus.kv(topology.INTENTS).create(str(one.id), msgspec.json.encode(one))


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with running() as found:
        yield found


async def test_parts_that_a_dead_process_stored_go_with_its_intent(small: Small) -> None:
    dead = intent("2026/a.bin", seconds=-1)
    left(small.blobs, dead.key, timedelta(0))
    left(small.blobs, dead.key, timedelta(0))
    other = left(small.blobs, "2026/a.bin.more", timedelta(0))
    await begin(small, dead)
    await recover.sweep(small.ingest)

    async def gone() -> bool:  # its own sweep may have been faster, and may not be over
        return not await small.bus.kv(topology.INTENTS).keys()

    await eventually(gone, "the intent to be swept")
    assert list(small.blobs.uploads.values()) == [other]


async def test_old_parts_of_keys_without_an_intent_are_swept_and_no_others(small: Small) -> None:
    slow = intent("2026/slow.bin", seconds=60)
    await begin(small, slow)
    kept = [left(small.blobs, slow.key, 2 * DAY), left(small.blobs, "2026/young.bin", DAY / 2)]
    left(small.blobs, "2026/old.bin")
    assert await janitor.sweep_unfinished(small.ingest, DAY) == 1
    assert list(small.blobs.uploads.values()) == kept
    assert await janitor.sweep_unfinished(small.ingest, DAY) == 0


async def test_who_asks_to_abort_gets_no_upload_under_way_and_no_object_erased(small: Small) -> None:
    living = intent("2026/placeholder", seconds=60)
    living = msgspec.structs.replace(living, key=f"2026/{living.id}.bin")
    await begin(small, living)
    under_way = left(small.blobs, living.key)
    left(small.blobs, "2026/old.bin")
    await small.blobs.put_bytes("2026/old.bin", b"kept", content_type="text/plain")
    asked = [living.key, "2026/old.bin", "2026/never.bin"]
    assert await ask_to_abort(small.bus, topology.INGEST_ERASE, asked) == ["2026/old.bin"]
    assert list(small.blobs.uploads.values()) == [under_way]
    assert list(small.blobs.objects) == ["2026/old.bin"]


async def test_a_process_that_stood_still_does_not_erase_what_a_retry_was_acknowledged_for(
    small: Small,
) -> None:
    bucket, uploads = small.bus.kv(topology.INTENTS), small.bus.kv(topology.UPLOADS)
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield part("file", JPEG, "a.jpg") + b"--b\r\n"
        await go_on.wait()
        yield b'Content-Disposition: form-data; name="is_pubic"\r\n\r\n1\r\n--b--\r\n'

    async with small.client() as http:
        first = await http.post("/v1/uploads", files={"file": ("b.jpg", JPEG)})
        record = await uploads.get(first.json()["id"])
        assert record is not None
        sending = asyncio.create_task(http.post("/v1/uploads", content=body(), headers=FORM_TYPE))

        async def taken_over() -> Intent | None:
            """As a retry does whose first try has let its lease run out."""
            for key in await bucket.keys():
                entry = await bucket.get(key)
                found = intents.decode(entry.value) if entry else None
                if entry and found and found.key in small.blobs.objects:
                    theirs = msgspec.structs.replace(found, holder="the retry")
                    try:
                        await bucket.update(key, msgspec.json.encode(theirs), entry.revision)
                    except KeyConflict:
                        return None
                    return theirs
            return None

        retry = await eventually(taken_over, "the upload to be stored")
        await small.blobs.put_bytes(retry.key, JPEG, content_type="image/jpeg")
        await uploads.put(str(retry.id), record.value)
        await bucket.delete(str(retry.id))
        go_on.set()
        assert (await sending).status_code == 422
        assert retry.key in small.blobs.objects
