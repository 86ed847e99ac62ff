"""What happens on an event: derive, give up, or erase. Plain functions of (event, deps); the consumer loop settles."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import structlog

from services.processor import announce, cancelling, failures, variant_store, videos
from services.processor.cancelling import Running
from services.processor.documents import kinds, second
from services.processor.failures import Failure, JobFailed
from services.processor.frames import Ahead, Finished, Job, Limits, Result, StepDone
from services.processor.job_costs import note
from services.processor.metrics import JobMetrics
from services.processor.order import Order, order_of
from services.processor.originals import fetched, is_heavy
from services.processor.places import Places
from services.processor.sandbox import Sandbox
from services.processor.videos import Films
from shared import failpoints, recipes
from shared.errors import TripodError
from shared.events import topology
from shared.events.bus import Bus
from shared.events.consumer import EventContext
from shared.events.messages import MediaDeleted
from shared.recipes import Recipe, Recipes
from shared.storage import keys, unreferenced
from shared.storage.blobs import Blobs

log = structlog.get_logger()

# Nothing is derived from these, on purpose: rasterising SVG would mean to run what a stranger wrote.
_STORED_ONLY = frozenset({"image/svg+xml"})
_DERIVED = frozenset({"image", "video", "audio"})


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """All that the handlers use."""

    bus: Bus
    blobs: Blobs
    sandbox: Sandbox
    places: Places
    metrics: JobMetrics
    limits: Limits
    recipes: Recipes
    original_bytes: int
    heavy: Places = msgspec.field(default_factory=lambda: Places(1))
    """Beside a place, the one for files that take so much memory that a second must not run with them."""
    in_hand: Places = msgspec.field(default_factory=lambda: Places(4, spare=4))
    """For fresh pictures that are fetched and wait for a place, so that one owner's do not keep another's away."""
    films: Films = msgspec.field(default_factory=Films)
    running: Running = msgspec.field(default_factory=Running)


class Interrupted(TripodError):
    """Our own machinery gave way in the middle of a job."""

    code = "interrupted"
    title = "Interrupted"
    retryable = True


class UnknownRecipe(TripodError):
    """This processor does not know the recipe; a newer one may."""

    code = "recipe"
    title = "Unknown recipe"
    retryable = True


async def process(context: EventContext, deps: Deps) -> None:
    """Derive all that the recipe asks for, and publish how it ended. Other media types are ready as they are.

    Raises Unavailable when store or broker are down, Interrupted when the job is to be handed out again.
    """
    order = order_of(context.event, context.subject)
    if order is None:
        log.warning("job.ignored", subject=context.subject, type=context.envelope.type)
        return
    failpoints.reach("processor.job_fetched")
    if not _is_derived(order):
        await announce.stored_only(deps.bus, order)
        deps.metrics.note_job(order.media_type, "ready", {})
        return
    recipe = _recipe(order, deps)
    again = context.delivered > 1 or order.generation > 1
    derive = videos.derive if order.media_type in {"video", "audio"} else _derive
    try:
        await cancelling.check(deps.bus, order)
        work = derive(order, recipe, deps, job_trace=context.trace.trace_id, again=again)
        await deps.running.stoppable(order.id, order.generation, work)
    except JobFailed as error:
        await _fail(order, error.failure, deps)


def _is_derived(order: Order) -> bool:
    if order.media_type == "document":
        return order.mime_type in kinds.READ
    return order.media_type in _DERIVED and order.mime_type not in _STORED_ONLY


def _recipe(order: Order, deps: Deps) -> Recipe:
    try:
        return recipes.find(deps.recipes, order.recipe)
    except LookupError as error:
        raise UnknownRecipe(str(error)) from error


async def _derive(order: Order, recipe: Recipe, deps: Deps, *, job_trace: str, again: bool) -> None:
    started = time.monotonic()
    await announce.progress(deps.bus, order, "fetch", 0)
    there = await variant_store.whole(deps.blobs, order.id, order.variants)
    limits = deps.limits.within(order.limits)
    job = Job(
        media_id=str(order.id),
        trace_id=job_trace,
        mime_type=order.mime_type,
        recipe=recipe,
        limits=limits if order.urgent else limits.stepping_back(),
        background=not order.urgent,
        there=tuple(there),
    )
    async with (
        _in_hand(order, deps) as waited,
        fetched(deps.blobs, order.key, limit=deps.original_bytes) as original,
    ):
        timings = {"fetch": round(_since(started) - waited, 1)}
        started = time.monotonic()
        async with place(original, deps, mime_type=order.mime_type, owner=order.owner, urgent=order.urgent):
            timings["wait"] = round(_since(started) + waited, 1)
            result = await _run(job, original, order, deps)
    timings |= result.timings
    started = time.monotonic()
    await announce.progress(deps.bus, order, "store", 90)
    made = await variant_store.keep(deps.blobs, order.id, result.variants, again=again)
    kept = [there[code] for code in result.kept if code in there]
    variants = variant_store.in_order(recipe, [*made, *kept])
    failpoints.reach("processor.after_variants")
    timings["store"] = _since(started)
    await announce.processed(deps.bus, order, result, variants, timings)
    deps.metrics.note_job(order.media_type, "ready", timings)
    log.info("media.processed", media_id=job.media_id, generation=order.generation, timings=timings)


@contextlib.asynccontextmanager
async def _in_hand(order: Order, deps: Deps) -> AsyncIterator[float]:
    """Until it is this owner's turn to have a file fetched; how many milliseconds that took. Other lanes have no more
    messages than files."""
    started = time.monotonic()
    if order.media_type != "image" or not order.urgent:
        yield 0.0
        return
    async with deps.in_hand.take(order.owner, urgent=True):
        yield _since(started)


@contextlib.asynccontextmanager
async def place(
    original: int, deps: Deps, *, mime_type: str, owner: str, urgent: bool
) -> AsyncIterator[None]:
    """A place for a child; for a heavy file the one of those first, so that it holds none while it waits for that."""
    async with contextlib.AsyncExitStack() as stack:
        if mime_type == "image/jpeg" and is_heavy(original):
            await stack.enter_async_context(deps.heavy.take(owner, urgent=urgent))
        await stack.enter_async_context(deps.places.take(owner, urgent=urgent))
        yield


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)


async def _run(job: Job, original: int, order: Order, deps: Deps) -> Result:
    """The child's result. A crash, a timeout or a lack of memory that may have passed gets one more child at once, as
    does whatever drawing the page of a document has come to.

    Raises JobFailed with the last verdict, Interrupted when no child could say anything.
    """

    async def on_step(step: StepDone) -> None:
        failpoints.reach("processor.mid_decode")  # the child lives, and is at its next step
        log.debug(
            "job.step", media_id=job.media_id, step=step.step, ms=step.milliseconds, child_trace=step.trace_id
        )
        await announce.progress(deps.bus, order, step.step, 10 + step.percent * 8 // 10)

    async def on_ahead(frame: Ahead | Finished) -> None:
        if isinstance(frame, Ahead):
            await announce.progress(deps.bus, order, frame.step, 10 + frame.percent * 8 // 10, frame.eta)

    outcome = await deps.sandbox.run(job, original, on_step, on_film=on_ahead)
    if isinstance(outcome.verdict, Failure) and (again := second.job(job, outcome.verdict)) is not None:
        note(job, outcome, deps.metrics)
        outcome = await deps.sandbox.run(again, original, on_step, on_film=on_ahead)
    note(job, outcome, deps.metrics)
    if isinstance(outcome.verdict, Result):
        return outcome.verdict
    if outcome.verdict.code == "interrupted":
        raise Interrupted(outcome.verdict.detail)
    raise JobFailed(outcome.verdict)


async def _fail(order: Order, failure: Failure, deps: Deps) -> None:
    await announce.failed(deps.bus, order, failure)
    deps.metrics.note_job(order.media_type, failure.code, {})
    log.warning("media.failed", media_id=str(order.id), code=failure.code, detail=failure.detail)


async def give_up(context: EventContext, error: Exception, deps: Deps) -> None:
    """The last attempt at an event has failed: a media must not stay in processing for ever. Raises Unavailable."""
    order = order_of(context.event, context.subject)
    if order is None:
        return
    failure = failures.interrupted(str(error))
    await _fail(order, failure, deps)


async def keep_tidy(deps: Deps, stop: asyncio.Event) -> None:
    """Erase for the janitor the variants that no row names, until `stop` is set."""

    async def ours(key: str) -> bool:
        return key.startswith(keys.VARIANTS)

    async with deps.bus.serve(topology.PROCESSOR_ERASE, "processor", unreferenced.erasing(deps.blobs, ours)):
        await stop.wait()


async def erase(context: EventContext, deps: Deps) -> None:
    """Remove all variants of a deleted media; absent is success. Raises Unavailable."""
    if not isinstance(context.event, MediaDeleted):
        log.warning("erase.ignored", subject=context.subject, type=context.envelope.type)
        return
    await cancelling.tell_all(deps.bus, context.event.id)
    count = await variant_store.erase(deps.blobs, context.event.id)
    log.info("media.variants_erased", media_id=str(context.event.id), count=count)
