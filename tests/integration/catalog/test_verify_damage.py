"""Each way in which a system can be damaged is told by `verify --deep`, of the very media, and by its name.

One system, a media for each damage: whatever is found of one comes from what was done to it.
"""

import hashlib
import io
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
from PIL import Image
from sqlalchemy import text

from services.catalog import commands, orphans, relay
from services.catalog.census import take_census
from services.catalog.checks import Acknowledged, Finding
from services.catalog.database import Database
from services.catalog.failed import Ages
from services.catalog.janitor import Tidied, tidy
from services.catalog.outbox import EVENT, REGISTRY
from services.catalog.projector import project
from services.catalog.replayed import replayed
from services.catalog.schemas import MediaPatch
from services.catalog.verify import verify
from shared.auth import Caller
from shared.errors import Unavailable
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import Event, MediaProcessed, MediaUploaded, decode, encode
from shared.storage.memory import MemoryBlobs
from shared.storage.unreferenced import erasing
from tests.fixtures.pictures import encoded, photo, picture
from tests.integration.catalog import stories

BASE = "http://origin.test"
BODY, VARIANT = stories.BODY, stories.BODY[::-1]
ANN = Caller(sub="ann")


class Moody(MemoryBlobs):
    """A store that cannot read some of its objects."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable = set[str]()

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async with super().get(key, start=start, length=length) as chunks:
            if key in self.unreadable:
                raise Unavailable(f"The object store is not reachable (ClientPayloadError): read {key}")
            yield chunks


class System:
    """A catalog's parts over a database, and twins of broker and store."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bus = MemoryBus()
        self.blobs = Moody()
        self.ledger: list[Acknowledged] = []

    async def begin(self) -> None:
        await self.bus.ensure(topology.TOPOLOGY)
        await self.blobs.ensure_bucket()

    async def tell(self, event: MediaUploaded | MediaProcessed) -> None:
        kind = "uploaded" if isinstance(event, MediaUploaded) else "processed"
        subject = (
            topology.uploaded("image", "fresh")
            if kind == "uploaded"
            else topology.media_subject(kind, event.media_type)
        )
        message_id = uuid.uuid4().hex
        data = encode(
            event,
            source="test",
            event_id=message_id,
            subject=str(event.id),
            time=stories.now(),
            traceparent=None,
        )
        sequence = await self.bus.publish(subject, data, message_id=message_id)
        await project(self.database, event, sequence=sequence, base_url=BASE)

    async def media(self, variant: bytes = VARIANT) -> MediaUploaded:
        """One that is ready; its variants have these bytes, as its result says."""
        upload = stories.uploaded("ann")
        told = stories.processed(upload)
        digest = hashlib.sha256(variant).hexdigest()
        refs = [msgspec.structs.replace(ref, size=len(variant), sha256=digest) for ref in told.variants]
        await self.blobs.put_bytes(upload.key, BODY, content_type="image/jpeg")
        for ref in refs:
            await self.blobs.put_bytes(ref.key, variant, content_type=ref.mime_type)
        await self.tell(upload)
        await self.tell(msgspec.structs.replace(told, variants=tuple(refs)))
        self.ledger.append(Acknowledged(id=upload.id, sha256=upload.sha256, size=upload.size))
        return upload

    async def settle(self) -> None:
        while await relay.tell_batch(self.database, self.bus, EVENT) + await relay.tell_batch(
            self.database, self.bus, REGISTRY
        ):
            pass
        while await relay.erase_batch(self.database, self.bus):
            pass

    async def look(self) -> list[Finding]:
        census = await take_census(self.database, self.bus, self.blobs, silent)
        report = await verify(
            census, self.database, self.blobs, tuple(self.ledger), silent, complete=False, deep=True
        )
        return [*report.findings, *[found async for found in replayed(self.database, self.bus, silent)]]

    async def sql(self, statement: str, media_id: uuid.UUID) -> None:
        async with self.database.writing(tell=False) as connection:
            done = await connection.execute(text(statement), {"id": media_id})
            assert done.rowcount, statement

    async def tidy(self) -> Tidied:
        return await tidy(
            self.database,
            self.bus,
            self.blobs,
            silent,
            grace=timedelta(0),
            stale=timedelta(hours=1),
            base_url=BASE,
            ages=Ages(),
            dry_run=False,
        )


def silent(_what: str, _count: int) -> None:
    """Nobody watches."""


@pytest.fixture
async def system(database: Database) -> AsyncIterator[System]:
    """With both services that erase what they wrote."""
    own = System(database)
    await own.begin()

    async def ours(_key: str) -> bool:
        return True

    async with AsyncExitStack() as serving:
        for subject in (topology.INGEST_ERASE, topology.PROCESSOR_ERASE):
            await serving.enter_async_context(own.bus.serve(subject, "test", erasing(own.blobs, ours)))
        yield own


Damage = Callable[[System, MediaUploaded], Awaitable[None]]


def row(change: str) -> Damage:
    return _statement(f"UPDATE media SET {change} WHERE id = :id")


def _statement(statement: str) -> Damage:
    async def damage(system: System, upload: MediaUploaded) -> None:
        await system.sql(statement, upload.id)

    return damage


def put(key: Callable[[MediaUploaded], str], body: bytes) -> Damage:
    async def damage(system: System, upload: MediaUploaded) -> None:
        await system.blobs.put_bytes(key(upload), body, content_type="image/jpeg")

    return damage


def lose(key: Callable[[MediaUploaded], str]) -> Damage:
    async def damage(system: System, upload: MediaUploaded) -> None:
        await system.blobs.delete(key(upload))

    return damage


def hide(key: Callable[[MediaUploaded], str]) -> Damage:
    async def damage(system: System, upload: MediaUploaded) -> None:
        system.blobs.unreadable.add(key(upload))

    return damage


def drop(kind: str) -> Damage:
    """The last event of that type of the media goes from the stream."""

    async def damage(system: System, upload: MediaUploaded) -> None:
        found = [place async for place, event in _stream(system, upload) if kind == event]
        await system.bus.erase(topology.MEDIA, found[-1])

    return damage


async def _stream(system: System, upload: MediaUploaded) -> AsyncIterator[tuple[int, str]]:
    for place in range(1, await system.bus.last_sequence(topology.MEDIA) + 1):
        message = await system.bus.read(topology.MEDIA, place)
        if message is not None:
            envelope, event = decode(message.data)
            if _media(event) == upload.id:
                yield place, envelope.type.split(".")[1]


def _media(event: Event) -> object:
    return getattr(event, "id", None)


async def open_intent(system: System, upload: MediaUploaded) -> None:
    intent = {"id": upload.id, "key": upload.key, "state": "stored", "started_at": stories.now()}
    await system.bus.kv(topology.INTENTS).create(str(upload.id), msgspec.json.encode(intent))


def original(upload: MediaUploaded) -> str:
    return upload.key


def small(upload: MediaUploaded) -> str:
    return stories.variant(upload.id, "small").key


def flipped(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


def with_exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Tripod Works"
    return encoded(picture(8, 8), kind, exif=exif.tobytes())


def commented_gif() -> bytes:
    out = io.BytesIO()
    picture(8, 8).save(out, "GIF", comment=b"by me")
    return out.getvalue()


ROWS_LOST = "DELETE FROM variants WHERE media_id = :id"
DAMAGES: dict[str, tuple[Damage, set[str], str]] = {
    # objects
    "an original is lost": (lose(original), {"original"}, "is not in the object store"),
    "a bit of an original is flipped": (put(original, flipped(BODY)), {"bytes"}, "originals/"),
    "an original is longer": (put(original, BODY + b"x"), {"original", "bytes"}, "bytes"),
    "an original cannot be read": (hide(original), {"unreadable"}, "ClientPayloadError"),
    "a variant is lost": (lose(small), {"variant"}, "small"),
    "a variant is noise of its size": (put(small, flipped(VARIANT)), {"bytes"}, "small"),
    "a variant cannot be read": (hide(small), {"unreadable"}, "small"),
    "there is an object of no row": (put(lambda u: f"originals/{u.id}-2.jpg", BODY), {"orphan"}, "no row names"),
    "an upload is half way": (open_intent, {"intent"}, "stored"),
    # rows
    "a row is lost": (
        _statement("DELETE FROM media WHERE id = :id"),
        {"ledger", "projected", "orphan", "replay"},
        "no such row",
    ),
    "a row is back in processing": (row("status = 'processing'"), {"final", "replay"}, "processing"),
    "a row has failed": (
        row("status = 'failed', error_code = 'x'"), {"decoder", "replay"}, "status, error_code"),
    "a row has another owner": (row("owner = 'eve'"), {"visible", "replay"}, "another owner "),
    "a row has another number": (row("number = number + 1000"), {"projected", "replay"}, "number"),
    "a row is of an older result": (row("derived_at = created_at"), {"projected", "replay"}, "derived_at"),
    "the rows of variants are lost": (_statement(ROWS_LOST), {"variant", "replay"}, "has no row of it"),
    "a variant says it is a page": (
        _statement("UPDATE variants SET mime_type = 'text/html' WHERE media_id = :id AND name = 'small'"),
        {"variant", "replay"},
        "mime_type",
    ),
    **{
        f"a row has another {column}": (row(f"{column} = {value}"), {"replay"}, f"another {column} ")
        for column, value in {
            "caption": "'x'",
            "filename": "'x'",
            "tags": "'{x}'",
            "metadata": "'{\"x\": 1}'",
            "mime_type": "'text/html'",
            "media_type": "'document'",
            "width": "1",
            "height": "1",
            "phash": "77",
            "owner_uid": "7",
            "owner_uuid": "gen_random_uuid()",
            "exif": "'{}'",
            "created_at": "created_at - interval '1 hour'",
        }.items()
    },
    # events
    "an upload is not told": (drop("uploaded"), {"projected", "replay"}, "not in the stream"),
    "a result is not told": (drop("processed"), {"projected", "decoder", "replay"}, "which no worker told"),
    "a creation is not told": (drop("created"), {"replay"}, "nothing in the stream tells of it"),
    "an edit is not told": (drop("updated"), {"replay"}, "caption"),
}  # fmt: skip
DELETED: dict[str, tuple[Damage, set[str], str]] = {
    "a deletion is not told": (drop("deleted"), {"replay"}, "nothing in the stream tells of it"),
    "a tombstone is lost": (
        _statement("DELETE FROM tombstones WHERE media_id = :id"), {"replay"}, "no such row"),
}  # fmt: skip
LEAKS = {
    "JPEG": (with_exif("JPEG"), "EXIF"),
    "WebP": (with_exif("WEBP"), "EXIF"),
    "JPEG with fill bytes": (photo(8, 8).replace(b"\xff\xe1", b"\xff\xff\xe1", 1), "EXIF"),
    "a photo behind a picture": (encoded(picture(8, 8), "JPEG") + photo(8, 8), "data behind the end"),
    "GIF": (commented_gif(), "comment"),
}


async def test_every_damage_is_told_by_its_name(system: System) -> None:
    whole = await system.media()
    hurt = {name: await system.media() for name in (*DAMAGES, *DELETED)}
    await commands.edit(
        system.database, ANN, hurt["an edit is not told"].id, MediaPatch(caption="new"), base_url=BASE
    )
    await system.settle()
    for name in DELETED:
        await commands.remove(system.database, ANN, hurt[name].id)
    system.ledger = [line for line in system.ledger if line.id not in {hurt[name].id for name in DELETED}]
    await system.settle()
    for upload in (hurt[name] for name in DELETED):  # the erasers
        for key in [key for key in system.blobs.objects if str(upload.id) in key]:
            await system.blobs.delete(key)
    assert await system.look() == []

    for name, (damage, _, _) in (DAMAGES | DELETED).items():
        await damage(system, hurt[name])
    async with system.database.writing(tell=False) as connection:
        await connection.execute(text("DELETE FROM marks WHERE name = 'highest_number'"))
    leaky = {name: await system.media(body) for name, (body, _) in LEAKS.items()}
    await system.settle()
    findings = await system.look()

    wanted = DAMAGES | DELETED | {name: (None, {"revealing"}, word) for name, (_, word) in LEAKS.items()}
    for name, upload in (hurt | leaky).items():
        _, checks, word = wanted[name]
        found = [finding for finding in findings if str(upload.id) in finding.subject]
        assert {finding.check for finding in found} == checks, (name, found)
        assert any(word in f"{finding.detail} " for finding in found), (name, found)
        findings = [finding for finding in findings if finding not in found]
    assert [finding.subject for finding in findings] == ["marks highest_number"], whole.id


async def test_a_store_that_does_not_answer_at_all_ends_it(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await system.media()
    await system.settle()
    system.blobs.unreadable.add(upload.key)

    async def gone() -> None:
        raise Unavailable("The object store does not answer.")

    monkeypatch.setattr(system.blobs, "check", gone)
    with pytest.raises(Unavailable, match="does not answer"):
        await system.look()


async def test_lost_rows_of_variants_are_made_again_and_their_objects_stay(system: System) -> None:
    upload, bare = await system.media(), await system.media()
    await system.settle()
    before = dict(system.blobs.objects)
    await system.sql(ROWS_LOST, upload.id)
    await system.sql(ROWS_LOST, bare.id)
    await system.blobs.delete(small(bare))
    swept = await orphans.sweep(system.database, system.bus, system.blobs, every=0, grace=timedelta(0))
    assert swept == []

    done = await system.tidy()
    assert (set(done.restored), done.erased, done.reprocessed) == ({upload.id, bare.id}, [], [bare.id])
    await system.settle()
    assert system.blobs.objects.keys() == before.keys() - {small(bare)}
    assert {finding.check for finding in await system.look()} == {"final", "variant"}  # of what is made again
    again = stories.processed(bare, generation=2, variants=stories.processed(bare).variants)
    await system.blobs.put_bytes(small(bare), VARIANT, content_type="image/jpeg")
    await system.tell(again)
    await system.settle()
    assert await system.look() == []


async def test_variants_whose_result_the_stream_has_lost_are_not_erased(system: System) -> None:
    upload = await system.media()
    await system.settle()
    before = dict(system.blobs.objects)
    await drop("processed")(system, upload)
    await system.sql(ROWS_LOST, upload.id)
    swept = await orphans.sweep(system.database, system.bus, system.blobs, every=0, grace=timedelta(0))
    assert (swept, (await system.tidy()).erased) == ([], [])
    assert system.blobs.objects == before
