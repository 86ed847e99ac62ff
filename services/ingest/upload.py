"""An upload as a request asks for it: whether it can be, whether it was before, and how it ended."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from services.ingest import admission, idempotency, importing, recover
from services.ingest.answers import answer_to
from services.ingest.attempt import Attempt, Wish
from services.ingest.charging import charged
from services.ingest.context import Ingest
from services.ingest.duplicates import Reused
from services.ingest.idempotency import Answer, Claim, Done
from services.ingest.leases import Lost, renewed
from services.ingest.limits import RETRY_SECONDS
from services.ingest.source import Source
from services.ingest.taking import take
from services.ingest.transfer import read_head
from shared import failpoints
from shared.errors import TripodError, Unavailable
from shared.ids import new_id

log = structlog.get_logger()

OpenSource = Callable[[], Awaitable[Source]]


async def check_parts(ingest: Ingest) -> None:
    """Before a byte of the body is read. Raises Unavailable when an upload could not succeed."""
    if not ingest.bus.connected:
        ingest.numbers.forget()
        raise Unavailable(
            "The message broker is not reachable, so nothing can be accepted now.", retry_after=RETRY_SECONDS
        )
    await ingest.store.check()
    await ingest.numbers.check()


async def upload(ingest: Ingest, wish: Wish, open_source: OpenSource) -> tuple[Answer, bool]:
    """The answer, and whether it stands for an earlier request. Raises the TripodError that refuses the upload;
    then nothing of it is left, or will be after the next sweep."""
    await check_parts(ingest)
    if wish.key is None:
        attempt = Attempt(*await _fresh(ingest, wish), None)
        answer = await _run(ingest, wish, open_source, attempt)
        failpoints.reach("ingest.before_answer")
        return answer, False
    where = idempotency.token(wish.owner, wish.key)
    claim = await idempotency.claim(
        ingest.idempotency,
        where,
        wish.asked,
        lambda: _fresh(ingest, wish),
        lasting=ingest.settings.timing.lease,
    )
    if isinstance(claim, Done):
        await _check_same(claim.head, open_source)
        return claim.answer, True
    return await _claimed(ingest, wish, open_source, claim)


async def _claimed(ingest: Ingest, wish: Wish, open_source: OpenSource, claim: Claim) -> tuple[Answer, bool]:
    timing, lease = ingest.settings.timing, claim.lease
    attempt = Attempt(lease.record.id, lease.record.number, lease.key)
    former = None
    try:
        async with renewed(lease, every=timing.renew, lasting=timing.lease):
            if claim.resumed:
                former = await recover.finish_former(ingest, attempt.id)
            if former is not None:
                await _check_same(former.head, open_source)
                attempt.head = former.head
                answer = answer_to(ingest, wish.answering, former.event, committed=False)
            else:
                answer = await _run(ingest, wish, open_source, attempt)
    except BaseException:
        # What is stored, or may still be another's, keeps its id: the next request with this key goes on from
        # there. Otherwise nothing has happened and the key is free: a refusal is not remembered.
        keep = attempt.stored or (claim.resumed and not attempt.begun)
        await _quietly(
            lease.change(until=datetime.now(UTC)) if keep else lease.delete(),
            "idempotency.not_released",
            attempt,
        )
        raise
    # What is there already is found again by a retry. Its answer is not kept: it would outlive that media.
    noted = lease.delete() if attempt.reused else lease.change(state="done", answer=answer, head=attempt.head)
    await _quietly(noted, "idempotency.not_noted", attempt)
    failpoints.reach("ingest.before_answer")
    return answer, former is not None


async def _check_same(known: str | None, open_source: OpenSource) -> None:
    """Only the beginning of the file is read; its rest need not come again. Raises Invalid."""
    if known is not None:
        source = await open_source()
        head = await read_head(source.chunks)
        idempotency.check_same(known, idempotency.fingerprint(source.filename, head.data))


async def _fresh(ingest: Ingest, wish: Wish) -> tuple[uuid.UUID, int]:
    if wish.imported is not None:
        return await importing.ids(ingest, wish.imported)
    return new_id(), await ingest.numbers.take()


async def _run(ingest: Ingest, wish: Wish, open_source: OpenSource, attempt: Attempt) -> Answer:
    """Take the file, and account for how it ended."""
    started = time.perf_counter()
    outcome = "fault"
    try:
        async with charged(ingest, wish, attempt) as charge:
            await admission.check_address(ingest, wish)
            await charge.early()
            answer = await take(ingest, wish, await open_source(), attempt, charge.of)
        outcome = "stored"
    except Reused as found:
        attempt.reused, outcome, answer = True, "reused", found.answer
    except TripodError as error:
        outcome = error.code
        log.info(
            "upload.refused", media_id=str(attempt.id), code=error.code, received=attempt.transfer.received
        )
        raise
    finally:
        ingest.metrics.uploads.labels(outcome).inc()
        ingest.metrics.bytes.inc(attempt.transfer.received)
        ingest.metrics.seconds.observe(time.perf_counter() - started)
    return answer


async def _quietly(work: Awaitable[Any], event: str, attempt: Attempt) -> None:
    """Housekeeping that may fail without changing the outcome: leases run out by themselves."""
    try:
        await asyncio.shield(asyncio.ensure_future(work))
    except (Lost, Unavailable) as error:
        log.warning(event, media_id=str(attempt.id), error=repr(error))
