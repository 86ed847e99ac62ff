"""Renderings: a picture made on request, once, however many ask for it at the same time."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from services.processor import cancelling, failures
from services.processor.failures import Failure, JobFailed
from services.processor.frames import Job, Variant
from services.processor.handlers import Deps, place
from services.processor.leases import held
from services.processor.originals import LOOKS, fetched
from services.processor.places import Places
from shared import trace
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Message
from shared.events.rendering import (
    STOPPING,
    NotRendered,
    RenderAnswer,
    Rendered,
    RenderRequest,
    encode,
    read_request,
)
from shared.recipes import Recipe
from shared.rendering import EXTENSIONS, NAME, mime_type_of
from shared.storage import keys

log = structlog.get_logger()

MOST_IN_HAND = 32  # requests, half of them of one owner; the others hear at once that there are too many
MOST_KEPT = 100  # renderings of one media; the oldest go first
_BUSY = NotRendered(
    code="busy", detail="Too many pictures are being made just now; try again soon.", retryable=True
)
_STOPPING = NotRendered(code=STOPPING, detail="The processor is stopping; ask another one.", retryable=True)
_LEAVING_SECONDS = 1.0  # for what is in hand to be answered
_EXTENSION_OF = {mime_type_of(format_): EXTENSIONS[format_] for format_ in ("jpeg", "png", "webp", "avif")}


async def keep_rendering(deps: Deps, stop: asyncio.Event, *, at_once: int) -> None:
    """Answer requests for renderings until `stop` is set; instances share them. `at_once`: jobs, and one more for an
    owner of whom none is made, so that uploads find places beside them. What is in hand at the end is handed on, so
    that nobody waits for an answer that never comes."""
    in_hand: set[asyncio.Task[RenderAnswer]] = set()
    answer = answering(deps, at_once=at_once, stop=stop, in_hand=in_hand)
    async with deps.bus.serve(topology.PROCESSOR_RENDER, "processor", answer):
        await stop.wait()
        if in_hand:  # their children are killed, while those who asked are told
            await asyncio.wait(in_hand, timeout=_LEAVING_SECONDS)


def answering(
    deps: Deps,
    *,
    at_once: int,
    stop: asyncio.Event,
    in_hand: set[asyncio.Task[RenderAnswer]],
) -> Callable[[Message], Awaitable[bytes]]:
    """The handler of such requests; `in_hand` holds what it is at."""
    turns = Places(at_once, spare=1)
    owners: Counter[str] = Counter()

    async def answer(message: Message) -> bytes:
        if stop.is_set():
            return encode(_STOPPING)
        asked = read_request(message.data)
        owner = _owner(asked)
        if len(in_hand) >= MOST_IN_HAND or owners[owner] >= max(1, MOST_IN_HAND // 2):
            return encode(_BUSY)
        with trace.use(message.headers.get(trace.HEADER)):
            making = asyncio.create_task(_render(asked, deps, turns), name="rendering")
        in_hand.add(making)
        owners[owner] += 1

        def forget(task: asyncio.Task[RenderAnswer]) -> None:
            in_hand.discard(task)
            owners[owner] -= 1
            if not owners[owner]:
                del owners[owner]

        making.add_done_callback(forget)
        stopped = asyncio.create_task(stop.wait(), name="rendering-stop")
        try:
            await asyncio.wait({making, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return encode(making.result() if making.done() else _STOPPING)
        finally:
            making.cancel()
            stopped.cancel()

    return answer


def _owner(asked: RenderRequest) -> str:
    return f"{NAME} {asked.owner or asked.id}"


async def _render(asked: RenderRequest, deps: Deps, turns: Places) -> RenderAnswer:
    try:
        async with held(deps.bus.kv(topology.RENDERS), f"{asked.id}.{asked.rendering.hash}"):
            # Whoever held it before has made it.
            key = await _there(asked, deps)
            if key is None:
                async with turns.take(_owner(asked), urgent=True):
                    # Of a media that is deleted meanwhile nothing is made any more.
                    making = _made(asked, deps)
                    variant = await deps.running.stoppable(asked.id, cancelling.ALL, making)
                    key = await _keep(asked, variant, deps)
    except JobFailed as error:
        failure = error.failure
        log.warning("rendering.failed", media_id=str(asked.id), code=failure.code, said=failure.log)
        return NotRendered(code=failure.code, detail=failure.detail, retryable=failure.retryable)
    except Unavailable as error:
        return NotRendered(code=error.code, detail=error.detail, retryable=True)
    return Rendered(key=key)


async def _there(asked: RenderRequest, deps: Deps) -> str | None:
    for format_ in asked.rendering.formats:
        key = _key(asked, EXTENSIONS[format_])
        if await deps.blobs.head(key) is not None:
            return key
    return None


def _key(asked: RenderRequest, extension: str) -> str:
    return keys.rendering(asked.id, made=asked.rendering.hash, extension=extension)


async def _made(asked: RenderRequest, deps: Deps) -> Variant:
    """Raises JobFailed, Unavailable."""
    current = trace.current()
    job = Job(
        media_id=str(asked.id),
        trace_id=current.trace_id if current else "",
        mime_type=asked.mime_type,
        recipe=Recipe(name=NAME, variants=(asked.rendering.spec,)),
        limits=deps.limits,
        rendering=asked.rendering,
    )
    async with (
        fetched(deps.blobs, asked.key, limit=deps.original_bytes) as original,
        place(original, deps, mime_type=asked.mime_type, owner=_owner(asked), urgent=True),
    ):
        outcome = await deps.sandbox.run(job, original)
        deps.metrics.note_child(outcome)
        if isinstance(outcome.verdict, Failure) and outcome.verdict.retryable:
            outcome = await deps.sandbox.run(job, original)
            deps.metrics.note_child(outcome)
    verdict = outcome.verdict
    deps.metrics.note_rendering(verdict.code if isinstance(verdict, Failure) else "ready")
    if isinstance(verdict, Failure):
        raise JobFailed(verdict)
    return verdict.variants[0]


async def _keep(asked: RenderRequest, variant: Variant, deps: Deps) -> str:
    """The key under which it is stored now. Raises Unavailable, and JobFailed where its media has been deleted."""
    key = _key(asked, _EXTENSION_OF[variant.mime_type])
    await _make_room(asked, deps)
    await deps.blobs.put_bytes(key, variant.body, content_type=variant.mime_type)
    if await deps.blobs.head(asked.key) is None:
        # The eraser may have passed by before this was written.
        await deps.blobs.delete(key)
        raise JobFailed(failures.missing())
    await _seen(key, deps)
    log.info("rendering.stored", media_id=str(asked.id), key=key, size=variant.size)
    return key


async def _seen(key: str, deps: Deps) -> None:
    """Wait until the store shows what it took, before anybody looks for it and does not find it."""
    for wait in LOOKS:
        if await deps.blobs.head(key) is not None:
            return
        await asyncio.sleep(wait)


async def _make_room(asked: RenderRequest, deps: Deps) -> None:
    found = [info async for info in deps.blobs.list(f"{keys.variants(asked.id)}render-")]
    found.sort(key=lambda info: info.modified)
    for info in found[: max(0, len(found) + 1 - MOST_KEPT)]:
        with contextlib.suppress(Unavailable):  # the next one makes room
            await deps.blobs.delete(info.key)
        log.info("rendering.erased", media_id=str(asked.id), key=info.key)
