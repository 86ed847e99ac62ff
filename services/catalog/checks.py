"""What must hold of the whole system when it is at rest, each promise a function from the census to what breaks it."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime

import msgspec
from sqlalchemy import select

from services.catalog import rights
from services.catalog.census import Audience, Census, Derived, Row
from services.catalog.contested import stand_in
from services.catalog.counters import recount
from services.catalog.database import Database
from services.catalog.models import media
from shared import entities
from shared.auth import Caller
from shared.events.dead_letters import summary
from shared.events.topology import TOPOLOGY
from shared.ids import public_id
from shared.storage import keys


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A promise that does not hold: which one, of what, and how."""

    check: str
    subject: str
    detail: str


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a client's own ledger: an upload that was answered 2xx. `deleted`: and deleted later on."""

    id: uuid.UUID
    sha256: str
    size: int
    deleted: bool = False


Ledger = tuple[Acknowledged, ...]

_STRANGER = "a caller that owns nothing"
_ASKED = 50  # owners that are asked for
_GIVEN_UP = "interrupted"  # the processor's code for a job that never got to a verdict
_DECODING = tuple(
    durable.name
    for durable in TOPOLOGY.durables
    if durable.name.startswith("processor-") and durable.name != "processor-eraser"
)


def finding_of(check: str, media_id: uuid.UUID, detail: str) -> Finding:
    return Finding(check=check, subject=f"{public_id(media_id)} ({media_id})", detail=detail)


def acknowledged(census: Census, ledger: Ledger) -> Iterator[Finding]:
    """I1: every upload that was answered 2xx is there with the same bytes, unless it was deleted."""
    for line in ledger:
        row = census.rows.get(line.id)
        if line.deleted:
            if row is not None or line.id not in census.tombstones:
                yield finding_of("ledger", line.id, "it was deleted, and is there or has no tombstone")
        elif row is None:
            yield finding_of("ledger", line.id, "it was acknowledged and has no row")
        elif (row.sha256, row.size) != (line.sha256, line.size):
            yield finding_of(
                "ledger",
                line.id,
                f"{line.size} bytes {line.sha256} were sent, the row says {row.size} bytes {row.sha256}",
            )


async def counted(database: Database) -> list[Finding]:
    """The statistics are those of the rows. Raises Unavailable."""
    return [
        Finding(
            check="counted",
            subject=", ".join(f"{name} {value}" for name, value in one.key.items() if value),
            detail=f"{one.table} lack {one.objects} media and {one.bytes} bytes; `tripod recount` mends it",
        )
        for one in await recount(database, repair=False)
    ]


def complete(census: Census, ledger: Ledger) -> Iterator[Finding]:
    """I4: nothing came of a retry but the media that was acknowledged. Only where the ledger names all there is."""
    known = {line.id for line in ledger}
    for media_id in census.rows.keys() - known:
        yield finding_of("duplicate", media_id, "nobody was told of it: a retry has made it")
    for media_id, times in Counter(line.id for line in ledger).items():
        if times > 1:
            yield finding_of("duplicate", media_id, f"{times} uploads were answered with this one media")


def originals(census: Census) -> Iterator[Finding]:
    """I2: every row has its original, whole."""
    for row in census.rows.values():
        found = census.objects.get(row.key)
        if found is None:
            yield finding_of("original", row.id, f"{row.key} is not in the object store")
        elif found.size != row.size:
            yield finding_of("original", row.id, f"{row.key} has {found.size} bytes, the row says {row.size}")


def derived(census: Census) -> Iterator[Finding]:
    """I2: every variant of a row is there, whole, and a row has those that the newest result has told."""
    for row in census.rows.values():
        for file in row.variants:
            found = census.objects.get(file.key)
            if found is None:
                yield finding_of("variant", row.id, f"{file.name}: {file.key} is not in the object store")
            elif found.size != file.size:
                yield finding_of(
                    "variant", row.id, f"{file.name}: {found.size} bytes are there, the row says {file.size}"
                )
        yield from _as_told(row, census.story.derived.get(row.id))


def _as_told(row: Row, told: Derived | None) -> Iterator[Finding]:
    if told is None and row.made is None:
        return
    if told is None or row.made != told.made:
        newest = f"the newest in the stream is of {_moment(told.made)}" if told else "the stream has none"
        yield finding_of("projected", row.id, f"it has the result of {_moment(row.made)}, {newest}")
        return
    ours, theirs = ({file.name: file for file in files} for files in (row.variants, told.variants))
    for name in theirs.keys() - ours.keys():
        yield finding_of("variant", row.id, f"{name}: its result names it, and the catalog has no row of it")
    for name in ours.keys() - theirs.keys():
        yield finding_of(
            "variant", row.id, f"{name}: the catalog has a row of it, and its result does not name it"
        )
    for name in ours.keys() & theirs.keys():
        differing = [
            f for f in ours[name].__struct_fields__ if getattr(ours[name], f) != getattr(theirs[name], f)
        ]
        if differing:
            yield finding_of(
                "variant", row.id, f"{name}: row and result disagree about {', '.join(differing)}"
            )


def _moment(made: tuple[int, datetime] | None) -> str:
    return f"generation {made[0]}, {made[1]:%F %T}" if made else "none"


def orphans(census: Census) -> Iterator[Finding]:
    """I3: there is no object that neither a row names nor the newest result of a media, and no unfinished one."""
    for key in sorted(census.objects.keys() - named(census)):
        info = census.objects[key]
        yield Finding(
            check="orphan",
            subject=key,
            detail=f"{info.size} bytes of {info.modified:%F %T} that no row names",
        )
    for upload in census.unfinished:
        yield Finding(
            check="unfinished", subject=upload.key, detail=f"a multipart upload begun {upload.begun:%F %T}"
        )


def named(census: Census) -> set[str]:
    """Every key that a row names, or should: the newest result of its media names it. No row names a rendering; it
    belongs to its media as long as that is there."""
    keys_of_rows = {row.key for row in census.rows.values()}
    keys_of_files = {file.key for row in census.rows.values() for file in row.variants}
    told = census.story.derived
    due = {file.key for media_id in census.rows.keys() & told.keys() for file in told[media_id].variants}
    rendered = {key for key in census.objects if keys.rendering_of(key) in census.rows}
    return keys_of_rows | keys_of_files | due | rendered


def intents(census: Census) -> Iterator[Finding]:
    """I3: no upload is left half way."""
    for intent in census.intents:
        yield finding_of(
            "intent", intent.id, f"an upload begun {intent.started_at:%F %T} is still {intent.state!r}"
        )


def unique(census: Census) -> Iterator[Finding]:
    """I4: numbers, keys and names of variants are given once."""
    rows = census.rows.values()
    for what, counted in (
        ("number", Counter(str(row.number) for row in rows)),
        ("key", Counter(row.key for row in rows)),
        ("variant", Counter(f"{row.id} {file.name}" for row in rows for file in row.variants)),
    ):
        for value, times in counted.items():
            if times > 1:
                yield Finding(check="unique", subject=f"{what} {value}", detail=f"it is given {times} times")


def told(census: Census) -> Iterator[Finding]:
    """Invariants 1 and 13: what the stream tells has a row or a tombstone, and the other way round."""
    for media_id, uploads in census.story.told.items():
        row = census.rows.get(media_id)
        if media_id in census.tombstones:
            yield finding_of("erased", media_id, "it is deleted and its upload is still in the stream")
        elif row is None:
            yield finding_of(
                "projected", media_id, "its upload is in the stream and has neither row nor tombstone"
            )
        elif any((row.key, row.sha256) != (e.key, e.sha256) or not _of(row, e.number) for e in uploads):
            yield finding_of("projected", media_id, "row and upload disagree about number, key or bytes")
    for media_id in census.rows.keys() - census.story.told.keys():
        yield finding_of("projected", media_id, "it has a row, and its upload is not in the stream")
    for place in census.story.unreadable:
        yield Finding(check="projected", subject=f"event {place}", detail="it cannot be read")


def _of(row: Row, number: int) -> bool:
    """Whether the number that was told is the row's, or another media's that was told of it first."""
    return row.number in {number, stand_in(row.id)}


def buried(census: Census) -> Iterator[Finding]:
    """Invariant 6: of a deleted media nothing remains but the tombstone."""
    for media_id in census.tombstones & census.rows.keys():
        yield finding_of("erased", media_id, "it has a tombstone and a row")
    for listed in census.letters:
        of = listed.letter.media_id
        if of is not None and of in census.tombstones and not listed.letter.of_deletion:
            yield finding_of(
                "erased", of, f"it is deleted and dead letter {listed.sequence} still tells of it"
            )
    for media_id in census.tombstones & census.story.remains.keys():
        left = ", ".join(sorted(set(census.story.remains[media_id])))
        yield finding_of("erased", media_id, f"it is deleted and the stream still holds {left}")


def final(census: Census) -> Iterator[Finding]:
    """I5: every media is ready or failed, and no result waits for a media that does not come."""
    for row in census.rows.values():
        if row.status not in {"ready", "failed"}:
            yield finding_of("final", row.id, f"it is {row.status}")
    for media_id in census.early:
        yield finding_of("final", media_id, "a result waits for its upload to be told")


def visible(census: Census) -> Iterator[Finding]:
    """I6: whom a media is shown to, and whose bytes are shown, is what its owner and the catalog have told."""
    uploaded = {event.key: event.id for events in census.story.told.values() for event in events}
    for row in census.rows.values():
        owners = {event.owner for event in census.story.told.get(row.id, ())}
        if owners - {row.audience.owner}:
            yield finding_of("visible", row.id, f"{row.audience.owner!r} owns the row, {owners} the upload")
        told = census.story.audiences.get(row.id)
        if told is not None and told != row.audience:
            yield finding_of(
                "visible", row.id, f"the row shows it to {row.audience}, what was told last to {told}"
            )
        strange = [file.key for file in row.variants if not file.key.startswith(keys.variants(row.id))]
        if row.key.startswith(keys.VARIANTS) or uploaded.get(row.key, row.id) != row.id:
            strange.append(row.key)
        for key in strange:
            yield finding_of("visible", row.id, f"it shows {key}, which belongs to another media")
    for key in sorted(census.entities.keys() | census.registered.keys()):
        ours, theirs = census.entities.get(key), census.registered.get(key)
        if ours != theirs:
            yield Finding(
                check="visible",
                subject=f"entity {key}",
                detail=f"the catalog has {ours}, the registry {theirs}",
            )


async def shown(database: Database, census: Census) -> AsyncIterator[Finding]:
    """I6: the database gives nobody, a stranger, and the owner of any media exactly what they may see."""
    owners = {row.audience.owner for row in census.rows.values()}
    for caller in (Caller(), *(Caller(sub=sub) for sub in (_STRANGER, *sorted(owners)[:_ASKED]))):
        async with database.reading() as connection:
            found = set((await connection.scalars(select(media.c.id).where(rights.readable(caller)))).all())
        async with database.reading_for(caller) as connection:
            given = set((await connection.scalars(select(media.c.id))).all())
        for media_id in sorted(found ^ given):
            yield finding_of(
                "visible", media_id, f"row-level security and rights disagree about {caller.sub!r}"
            )
        due = {row.id for row in census.rows.values() if _may_see(caller, row.audience, census)}
        for media_id in sorted(found & census.rows.keys() - due):
            yield finding_of("visible", media_id, f"{caller.sub or 'nobody'!r} sees it")
        for media_id in sorted(due - found):
            yield finding_of("visible", media_id, f"{caller.sub or 'nobody'!r} does not see it, and may")


def _may_see(caller: Caller, audience: Audience, census: Census) -> bool:
    entity = census.entities.get(entities.key(*audience.entity)) if audience.entity else None
    public = audience.is_public and audience.moderation == "approved"
    return rights.may_see(caller, owner=audience.owner, public=public, entity=entity)


def outlived(census: Census) -> Iterator[Finding]:
    """I7: whatever ended a decoder, its worker lived to tell: every final state is one that a worker has told, and no
    event has cost its workers their lives until it was given up on."""
    for row in census.rows.values():
        outcome = row.error_code or "ready"  # also of what is ready since before, and then failed
        if row.status == "processing" or row.id not in census.story.told:
            continue
        if (row.generation, outcome) not in census.story.results.get(row.id, ()):
            yield finding_of(
                "decoder", row.id, f"it is {outcome} as generation {row.generation}, which no worker told"
            )
        elif outcome == _GIVEN_UP:
            yield finding_of(
                "decoder", row.id, "it was given up on: its workers ended, and not only the decoder"
            )
    for listed in census.letters:
        if listed.letter.durable in _DECODING:
            yield Finding(
                check="decoder",
                subject=f"dead letter {listed.sequence}",
                detail=f"{listed.letter.durable} gave {listed.letter.subject} up: {summary(listed.letter.error)}",
            )


def settled(census: Census) -> Iterator[Finding]:
    """Nothing waits to be told, and nothing was given up on."""
    if census.outbox:
        yield Finding(
            check="outbox", subject="outbox", detail=f"{census.outbox} rows wait to be told to the broker"
        )
    if census.letters:
        yield Finding(
            check="dead letters",
            subject="dead letters",
            detail=f"{len(census.letters)} are there: see `tripod dead-letters list`",
        )


CHECKS: tuple[Callable[[Census], Iterator[Finding]], ...] = (
    originals, derived, orphans, intents, unique, told, buried, final, visible, outlived, settled,
)  # fmt: skip
