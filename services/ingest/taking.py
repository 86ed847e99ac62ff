"""One file from its first byte to its acknowledged event: intent, store, announcement, and what undoes it."""

import contextlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias

import structlog

from services.ingest import (
    announce,
    answers,
    claims,
    duplicates,
    early,
    importing,
    intents,
    lanes,
    progress,
    proofs,
    records,
    rules,
    unplaced,
)
from services.ingest.attempt import Attempt, File, Wish
from services.ingest.context import Ingest
from services.ingest.fields import Options
from services.ingest.idempotency import Answer, fingerprint
from services.ingest.intents import Announcement, Intent
from services.ingest.leases import Lease, Lost, now_plus, renewed
from services.ingest.limits import RETRY_SECONDS, ClientGone
from services.ingest.planning import intent_for
from services.ingest.source import Source
from services.ingest.transfer import Head, read_head
from shared import failpoints, profiles
from shared.attaching import check_hung_on
from shared.auth import Caller
from shared.dialects.users import integer_id
from shared.entities import Entity
from shared.errors import Conflict, Invalid, TripodError, Unavailable
from shared.events.messages import MediaRejected, MediaUploaded
from shared.formats import Format
from shared.ids import id_time
from shared.profiles import Profile, Profiles
from shared.storage import keys, leftovers

log = structlog.get_logger()

Pay: TypeAlias = Callable[[Source], Awaitable[Source]]


async def take(ingest: Ingest, wish: Wish, source: Source, attempt: Attempt, pay: Pay) -> Answer:
    """Raises the TripodError that refuses the file; what it has left is undone. `pay` gives the same file that pays
    for itself: after what is refused, or there already, whatever is left of a quota."""
    entity = await check_early(ingest, wish.caller, source)
    await duplicates.look_early(ingest, wish, source, attempt.id)
    source = await pay(source)
    head = await read_head(source.chunks)
    if wish.key is not None:
        attempt.head = fingerprint(source.filename, head.data)
    found = None
    try:
        found = claims.recognise(
            head.data,
            whole=head.whole,
            filename=source.filename,
            declared=source.declared,
            from_older_system=wish.imported is not None,
        )
        file = looked_at(ingest.settings.profiles, source, head, found, entity)
        return await _store_and_announce(ingest, wish, attempt, file)
    except TripodError as error:
        if error.status < 500 and not isinstance(error, (ClientGone, Conflict)):
            rejection = _rejection(wish, source, found, error, media_id=attempt.id)
            await announce.reject(ingest, rejection)
        raise


async def check_early(ingest: Ingest, caller: Caller, source: Source) -> Entity | None:
    """What the fields before the file say is checked before the file is taken; the entity that they name."""
    if not source.profile_known:
        return None
    profile = profiles.find(ingest.settings.profiles, source.early.profile)
    rules.check_caller(caller, profile, source.early.profile)
    early.check_claims(profile, source.early.profile, source)
    return await check_entity(ingest, caller, source.early, profile)


async def check_entity(ingest: Ingest, caller: Caller, options: Options, profile: Profile) -> Entity | None:
    """What the options hang the file on; None where that is nothing. Raises what forbids it."""
    if options.entity is None:
        return None
    check_hung_on(options.entity, profile, options.profile)
    if options.within is not None:
        return await rules.check_part(ingest.entities, caller, options.entity, options.within, profile)
    return await rules.check_entity(ingest.entities, caller, options.entity, profile)


def looked_at(known: Profiles, source: Source, head: Head, found: Format, entity: Entity | None) -> File:
    """Raises what can be told of the file's beginning: a type, an announced size or sides that are not allowed."""
    name = source.early.profile
    rules.check_media_type(source.early.media_type, found)
    sides = rules.sides(found, head.data)
    if source.profile_known:
        limit, of = rules.limit_of(known[name], name, found), f"{found.media_type} in profile {name!r}"
        rules.check_sides(sides, known[name], name)
    else:
        candidates = {one: known[one] for one in source.profiles} or known
        limit, of = rules.widest_limit(candidates, found), found.media_type
        rules.check_pixels(sides, rules.most_pixels(candidates))
    file = File(source=source, head=head, found=found, sides=sides, entity=entity, limit=limit, of=of)
    size = len(head.data) if head.whole else source.size
    if size is not None and source.profile_known:
        rules.check_size(size, known[name], name, found)
    elif size is not None and size > limit:
        raise file.too_large(size)
    return file


async def _store_and_announce(ingest: Ingest, wish: Wish, attempt: Attempt, file: File) -> Answer:
    timing = ingest.settings.timing
    lease, former = await intents.begin(ingest.intents, intent_for(ingest.settings, wish, attempt, file))
    attempt.begun = True
    failpoints.reach("ingest.after_intent")
    try:
        async with renewed(
            lease,
            every=timing.renew,
            lasting=timing.lease,
            changes=lambda: {"received": attempt.transfer.received},
        ):
            if former is not None:
                await leftovers.erase(ingest.blobs, former.key)
            await _into_store(ingest, wish, lease.record, attempt, file)
            failpoints.reach("ingest.after_store")
            options = await file.source.finish()
            await wish.promised.check()
            await _check_all(ingest, wish.caller, attempt, file, options=options)
            event = await _event(ingest, wish, attempt, file, options=options, key=lease.record.key)
            await duplicates.look(ingest, event, options.on_duplicate)
            decoded = rules.decoded_sides(file.found, file.head.data)
            moving = attempt.transfer.moving.pixels(decoded)
            cost = lanes.weight(event.media_type, decoded, event.size, moving=moving)
            floods = wish.owner if wish.imported else event.owner
            announcement = announce.prepare(event, ingest.lanes.of(floods, file.head.data, weight=cost))
            await lease.change(
                state="stored",
                size=event.size,
                received=event.size,
                until=now_plus(timing.lease),
                announcement=announcement,
            )
            attempt.stored = True
            failpoints.reach("ingest.before_publish")
            return await _announced(ingest, wish, attempt, lease, event=event, announcement=announcement)
    except BaseException as error:
        if not attempt.stored:
            await _undo(ingest, lease, error)
        if isinstance(error, Lost):
            raise Conflict(
                "This upload was taken over by a later request for the same.", retry_after=1
            ) from error
        raise


async def _into_store(ingest: Ingest, wish: Wish, intent: Intent, attempt: Attempt, file: File) -> None:
    transfer = attempt.transfer
    head, chunks = await unplaced.of(ingest.settings.profiles, file)
    body = transfer.flow(head, chunks, file.limit, file.too_large)
    body = proofs.proved(file.found, file.head.data, body)
    alone = None if file.source.waits else wish.asked.length
    body = progress.told(
        ingest, intent, transfer, body, expected=file.source.size or alone, last_word=file.source.waits
    )
    try:
        await ingest.blobs.put(
            intent.key,
            body,
            size=file.source.size,
            content_type=intent.mime_type,
            at_least=file.source.at_least,
        )
    except Unavailable as error:
        ingest.store.failed(error)
        raise Unavailable(error.detail, retry_after=RETRY_SECONDS) from error
    except ValueError as error:
        # The server holds a body to its Content-Length, so this is a body that lost its end.
        raise ClientGone(f"The body ended after {transfer.received} bytes.") from error


async def _check_all(
    ingest: Ingest, caller: Caller, attempt: Attempt, file: File, *, options: Options
) -> None:
    """Raises the TripodError that refuses the upload, now that all that it says is known."""
    name = options.profile
    profile = profiles.find(ingest.settings.profiles, name)
    rules.check_caller(caller, profile, name)
    rules.check_media_type(options.media_type, file.found)
    rules.check_size(attempt.transfer.received, profile, name, file.found)
    rules.check_sides(file.sides, profile, name)
    unplaced.check(profile, name, file)
    if options.entity is None and keys.needs_entity(profile.key):
        raise Invalid(
            f"The profile {name!r} is for the media of entities: entity_type and entity_id are missing.",
            field="entity_type",
        )
    if not (file.source.profile_known and options.entity == file.source.early.entity):
        await check_entity(ingest, caller, options, profile)


async def _event(
    ingest: Ingest, wish: Wish, attempt: Attempt, file: File, *, options: Options, key: str
) -> MediaUploaded:
    profile = ingest.settings.profiles[options.profile]
    event = MediaUploaded(
        id=attempt.id,
        number=attempt.number,
        owner=options.owner or wish.owner,
        owner_uid=integer_id(options.owner, None) if options.owner else wish.caller.uid,
        owner_name=None if options.owner else wish.caller.name,
        profile=options.profile,
        recipe=profile.recipe,
        key=key,
        filename=file.source.filename,
        mime_type=file.found.mime,
        media_type=file.found.media_type,
        size=attempt.transfer.received,
        sha256=await attempt.transfer.digest.hexdigest(),
        is_public=profile.public if options.is_public is None else options.is_public,
        entity=options.entity,
        description=options.description,
        alt_text=options.alt_text,
        caption=options.caption,
        tags=options.tags,
        metadata=options.metadata,
        limits=rules.picture_limits(profile, file.found),
        moderation="pending" if profile.moderation == "pending" else "approved",
        created_at=id_time(attempt.id),
    )
    return await importing.told(ingest, wish, event)


async def _announced(
    ingest: Ingest,
    wish: Wish,
    attempt: Attempt,
    lease: Lease[Intent],
    *,
    event: MediaUploaded,
    announcement: Announcement,
) -> Answer:
    """Publish, note, and wait a moment for the catalog. From the acknowledgement on the answer is a 2xx."""

    async def publish(reply: str | None) -> None:
        attempt.sequence = await announce.publish(ingest, announcement, reply)
        failpoints.reach("ingest.after_ack")
        log.info(
            "media.uploaded",
            media_id=str(event.id),
            number=event.number,
            owner=event.owner,
            key=event.key,
            size=event.size,
            mime_type=event.mime_type,
        )

    return await answers.given(ingest, wish.answering, event, publish, lambda: records.settle(ingest, lease))


async def _undo(ingest: Ingest, lease: Lease[Intent], error: BaseException) -> None:
    """Erase what there may be, unless it is somebody else's by now."""
    try:
        if await _may_erase(ingest, lease, error):
            await leftovers.erase(ingest.blobs, lease.record.key)
            await lease.delete()
    except (Unavailable, Lost) as failure:
        log.warning("upload.left_to_sweep", media_id=lease.key, error=str(failure))


async def _may_erase(ingest: Ingest, lease: Lease[Intent], error: BaseException) -> bool:
    """The word that it is stored may be there although its answer was lost. First that has to be taken back, or the
    sweep, or a retry, would announce what is erased.

    A process that stood still for longer than its lease has lost the upload, perhaps to a retry that was acknowledged
    meanwhile under the same key.
    """
    if not isinstance(error, Lost):
        with contextlib.suppress(Lost):
            await lease.change(state="erasing", until=now_plus(ingest.settings.timing.lease))
            return True
    entry = await ingest.intents.get(lease.key)
    if entry is not None:
        return intents.decode(entry.value).state == "erasing"
    return await records.find(ingest, lease.record.id) is None


def _rejection(
    wish: Wish, source: Source, found: Format | None, error: TripodError, *, media_id: uuid.UUID
) -> MediaRejected:
    return MediaRejected(
        id=media_id,
        owner=wish.owner,
        profile=source.early.profile,
        filename=source.filename,
        media_type=found.media_type if found else "other",
        code=error.code,
        detail=error.detail,
        rejected_at=datetime.now(UTC),
    )
