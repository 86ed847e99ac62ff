"""Reverse image search: a picture is taken like an upload, told what it is known by, and forgotten.

It lies in the store as a scratch object while the processor looks at it. An intent says so before its first byte comes,
so the sweep that undoes broken uploads erases what a dying process leaves behind.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NoReturn

import msgspec
import structlog

from services.ingest import charging, claims, intents, rules
from services.ingest.attempt import Attempt, File, Wish
from services.ingest.charging import Charge
from services.ingest.context import Ingest
from services.ingest.fields import Options
from services.ingest.intents import Intent
from services.ingest.leases import Lease, Lost, now_plus, renewed
from services.ingest.limits import RETRY_SECONDS, ClientGone
from services.ingest.source import Reading, Source
from services.ingest.transfer import read_head
from shared import failpoints, trace
from shared.errors import Invalid, TooSlow, Unavailable, UnsupportedType
from shared.events import fingerprints, topology
from shared.events.bus import NoAnswer
from shared.events.fingerprints import Fingerprinted, FingerprintRequest, NotFingerprinted
from shared.ids import new_id
from shared.similar import Asked, Look, Neighbours
from shared.storage import keys, leftovers
from shared.turns import TURNS, Tolerance, tolerated

log = structlog.get_logger()

PROFILE = "default"
"""Whose limits go for such pictures, and by whose recipe they are looked at."""
_TAKE_SECONDS = 60.0  # a slow client has a place that others wait for
_LOOK_SECONDS = 30.0
_FIND_SECONDS = 5.0
_NOT_LOOKED_AT = frozenset({"image/svg+xml"})

OpenSource = Callable[[], Awaitable[Source]]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How far from the picture, which other ways to lie, and how many at most."""

    max_distance: int
    tolerance: frozenset[Tolerance]
    limit: int


def no_fields(said: Mapping[str, Sequence[str]], /, *, complete: bool = True) -> Options:  # noqa: ARG001 - as Parse
    """Raises Invalid: the form is the picture alone, and what to look for is in the query."""
    for name in said:
        raise Invalid(
            f"The field {name[:80]!r} is unknown; the form has the file alone, the query what to look for.",
            field=name[:80],
        )
    return Options(profile=PROFILE)


READING = Reading(parse=no_fields, profile_known=lambda _said: True, profiles=(PROFILE,))


async def search(ingest: Ingest, wish: Wish, wanted: Wanted, open_source: OpenSource) -> Neighbours:
    """What the caller may see that looks like the picture. Raises the TripodError that refuses it; whatever happens,
    nothing of it is left, or will be after the next sweep."""
    async with ingest.searches.one(wish.owner):
        await _check_parts(ingest)
        rules.check_caller(wish.caller, ingest.settings.profiles[PROFILE], PROFILE)
        attempt = Attempt(new_id(), 0, None)
        async with charging.charged(ingest, wish, attempt) as charge:
            await charge.early()
            found = await _looked_at(ingest, wish, charge, open_source, attempt)
        neighbours = await _found(ingest, wish, wanted, found)
        log.info("similar.searched", scratch=str(attempt.id), found=len(neighbours.items))
        return neighbours


async def _check_parts(ingest: Ingest) -> None:
    """Before a byte of the body is read."""
    if not ingest.bus.connected:
        _unavailable("The message broker is not reachable, so nothing can be searched for now.")
    if not ingest.heartbeat.alive:
        _unavailable("The catalog is away, so nothing can be searched for now.")
    await ingest.store.check()


async def _looked_at(
    ingest: Ingest, wish: Wish, charge: Charge, open_source: OpenSource, attempt: Attempt
) -> Fingerprinted:
    loop, timing = asyncio.get_running_loop(), ingest.settings.timing
    deadline = loop.time() + _TAKE_SECONDS
    async with _in_time(deadline):
        file = await _recognised(ingest, await charge.of(await open_source()))
    lease, _ = await intents.begin(ingest.intents, _intent(ingest, wish, attempt, file))
    try:
        async with renewed(lease, every=timing.renew, lasting=timing.lease):
            async with _in_time(deadline):
                await _into_store(ingest, wish, attempt, file, lease.record.key)
            failpoints.reach("ingest.after_store")
            return await _fingerprint(ingest, lease.record, file)
    finally:
        await asyncio.shield(asyncio.ensure_future(_erase(ingest, lease)))


@asynccontextmanager
async def _in_time(deadline: float) -> AsyncIterator[None]:
    """Raises TooSlow for a picture that is not there by then."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise TooSlow(f"The picture did not come within {_TAKE_SECONDS:g} seconds.") from error


async def _recognised(ingest: Ingest, source: Source) -> File:
    """Raises what can be told by its beginning: that it is no picture, too large, or of sides that are not allowed."""
    profile = ingest.settings.profiles[PROFILE]
    head = await read_head(source.chunks)
    found = claims.recognise(head.data, whole=head.whole, filename=source.filename, declared=source.declared)
    if found.media_type != "image" or found.mime in _NOT_LOOKED_AT:
        raise UnsupportedType(
            f"The file is {found.mime}; only pictures whose pixels are read can be searched for.",
            found=found.mime,
        )
    sides = rules.sides(found, head.data)
    rules.check_sides(sides, profile, PROFILE)
    limit = rules.limit_of(profile, PROFILE, found)
    return File(
        source=source, head=head, found=found, sides=sides, entity=None, limit=limit,
        of=f"a picture in profile {PROFILE!r}",
    )  # fmt: skip


def _intent(ingest: Ingest, wish: Wish, attempt: Attempt, file: File) -> Intent:
    return Intent(
        holder=secrets.token_hex(8),
        until=now_plus(ingest.settings.timing.lease),
        id=attempt.id,
        number=attempt.number,
        owner=wish.owner,
        profile=PROFILE,
        filename=file.source.filename,
        mime_type=file.found.mime,
        media_type=file.found.media_type,
        key=keys.scratch(attempt.id),
        state="receiving",
        size=file.source.size,
        started_at=datetime.now(UTC),
    )


async def _into_store(ingest: Ingest, wish: Wish, attempt: Attempt, file: File, key: str) -> None:
    source, transfer = file.source, attempt.transfer
    body = transfer.flow(file.head, source.chunks, file.limit, file.too_large)
    try:
        await ingest.blobs.put(
            key, body, size=source.size, content_type=file.found.mime, at_least=source.at_least
        )
    except Unavailable as error:
        ingest.store.failed(error)
        raise Unavailable(error.detail, retry_after=RETRY_SECONDS) from error
    except ValueError as error:
        raise ClientGone(f"The body ended after {transfer.received} bytes.") from error
    await source.finish()
    await wish.promised.check()
    rules.check_size(transfer.received, ingest.settings.profiles[PROFILE], PROFILE, file.found)


async def _fingerprint(ingest: Ingest, scratch: Intent, file: File) -> Fingerprinted:
    profile = ingest.settings.profiles[PROFILE]
    asked = FingerprintRequest(
        id=scratch.id,
        key=scratch.key,
        mime_type=scratch.mime_type,
        recipe=profile.recipe,
        limits=rules.picture_limits(profile, file.found),
    )
    data = await _ask(
        ingest, topology.PROCESSOR_FINGERPRINT, fingerprints.encode(asked), "No processor", _LOOK_SECONDS
    )
    try:
        found = fingerprints.read_answer(data)
    except msgspec.MsgspecError:
        _unavailable("The processor's answer cannot be read.")
    if isinstance(found, NotFingerprinted):
        if (
            found.retryable or found.code == "missing"
        ):  # only a sweep that took us for dead can have erased it
            _unavailable(found.detail)
        raise Invalid(found.detail, field="file", reason=found.code)
    if found.degenerate:
        raise Invalid(
            "The picture has too little in it to compare: one colour, a gradient or a single shape, or sides of "
            "less than 16 pixels.",
            field="file",
            reason="degenerate",
        )
    return found


async def _found(ingest: Ingest, wish: Wish, wanted: Wanted, found: Fingerprinted) -> Neighbours:
    turned = dict(zip(TURNS, found.phash_turned, strict=False))
    looks = [Look(transform="none", phash=found.phash)]
    looks += [
        Look(transform=turn, phash=turned[turn]) for turn in tolerated(wanted.tolerance) if turn in turned
    ]
    asked = Asked(
        caller=wish.caller, looks=tuple(looks), max_distance=wanted.max_distance, limit=wanted.limit
    )
    data = await _ask(
        ingest, topology.CATALOG_FIND_SIMILAR, msgspec.json.encode(asked), "No catalog", _FIND_SECONDS
    )
    try:
        return msgspec.json.decode(data, type=Neighbours)
    except msgspec.MsgspecError:
        _unavailable("The catalog's answer cannot be read.")


async def _ask(ingest: Ingest, subject: str, data: bytes, nobody: str, seconds: float) -> bytes:
    current = trace.traceparent()
    headers = {trace.HEADER: current} if current else None
    try:
        return await ingest.bus.request(subject, data, timeout=seconds, headers=headers)
    except NoAnswer:
        _unavailable(f"{nobody} has answered, so nothing can be searched for now.")


def _unavailable(detail: str) -> NoReturn:
    raise Unavailable(detail, retry_after=RETRY_SECONDS)


async def _erase(ingest: Ingest, lease: Lease[Intent]) -> None:
    """The scratch object first: while the intent is there, a sweep finds what is left of it."""
    try:
        await leftovers.erase(ingest.blobs, lease.record.key)
        await lease.delete()
    except (Unavailable, Lost) as error:
        log.warning("similar.left_to_sweep", scratch=lease.key, error=str(error))
