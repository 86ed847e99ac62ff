"""Fingerprints on request: what a picture that nobody keeps would be known by, so that others like it can be found."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from services.processor.failures import Failure, JobFailed
from services.processor.frames import Job, Result
from services.processor.handlers import Deps, place
from services.processor.originals import fetched
from shared import recipes, trace
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Message
from shared.events.fingerprints import (
    FingerprintAnswer,
    Fingerprinted,
    FingerprintRequest,
    NotFingerprinted,
    encode,
    read_request,
)

log = structlog.get_logger()

MOST_IN_HAND = 16  # requests; the others hear at once that there are too many
_BUSY = NotFingerprinted(
    code="busy", detail="Too many pictures are being looked at just now; try again soon.", retryable=True
)


async def keep_fingerprinting(deps: Deps, stop: asyncio.Event, *, at_once: int) -> None:
    """Answer requests for fingerprints until `stop` is set; instances share them. `at_once`: jobs, so that uploads
    always find places beside them."""
    answer = answering(deps, at_once=at_once)
    async with deps.bus.serve(topology.PROCESSOR_FINGERPRINT, "processor", answer):
        await stop.wait()


def answering(deps: Deps, *, at_once: int) -> Callable[[Message], Awaitable[bytes]]:
    """The handler of such requests."""
    turns, in_hand = asyncio.Semaphore(at_once), 0

    async def answer(message: Message) -> bytes:
        nonlocal in_hand
        if in_hand >= MOST_IN_HAND:
            return encode(_BUSY)
        in_hand += 1
        try:
            with trace.use(message.headers.get(trace.HEADER)):
                return encode(await _answer(read_request(message.data), deps, turns))
        finally:
            in_hand -= 1

    return answer


async def _answer(asked: FingerprintRequest, deps: Deps, turns: asyncio.Semaphore) -> FingerprintAnswer:
    try:
        async with turns:
            result = await _derived(asked, deps)
    except JobFailed as error:
        failure = error.failure
        log.info("fingerprint.failed", scratch=str(asked.id), code=failure.code, said=failure.log)
        return NotFingerprinted(code=failure.code, detail=failure.detail, retryable=failure.retryable)
    except Unavailable as error:
        return NotFingerprinted(code=error.code, detail=error.detail, retryable=True)
    except LookupError as error:  # a newer profile than this processor
        return NotFingerprinted(code="recipe", detail=str(error), retryable=True)
    return Fingerprinted(phash=result.phash, phash_turned=result.phash_turned, degenerate=result.degenerate)


async def _derived(asked: FingerprintRequest, deps: Deps) -> Result:
    """Raises JobFailed, Unavailable, LookupError.

    The sizes of the recipe are made and none is written, as if all its variants were there already: so the picture is
    known by the very bits that an upload of it would have.
    """
    recipe = recipes.find(deps.recipes, asked.recipe)
    still = tuple(spec for spec in recipe.variants if not spec.moving)
    current = trace.current()
    job = Job(
        media_id=str(asked.id),
        trace_id=current.trace_id if current else "",
        mime_type=asked.mime_type,
        recipe=msgspec.structs.replace(recipe, variants=still),
        limits=deps.limits.within(asked.limits),
        there=tuple(spec.code for spec in still),
    )
    async with (
        fetched(deps.blobs, asked.key, limit=deps.original_bytes) as original,
        place(original, deps, mime_type=asked.mime_type, owner=f"fingerprint {asked.id}", urgent=True),
    ):
        outcome = await deps.sandbox.run(job, original)
        deps.metrics.note_child(outcome)
    if isinstance(outcome.verdict, Failure):
        raise JobFailed(outcome.verdict)
    return outcome.verdict
