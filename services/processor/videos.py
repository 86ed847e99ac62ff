"""The job of a video or a sound on the worker's side: room, the original on disk, a child, films stored when whole."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from services.processor import announce, failures, film_store, ladder_store, variant_store
from services.processor.failures import Failure, JobFailed
from services.processor.film_store import Rung
from services.processor.frames import Ahead, Finished, Job, Limits, Result, StepDone
from services.processor.job_costs import note
from services.processor.leases import alone
from services.processor.order import Order
from services.processor.originals import filled
from services.processor.places import Places
from services.processor.program.operators import Program
from services.processor.scratch import Scratch
from shared import failpoints
from shared.errors import TripodError
from shared.events import topology
from shared.events.messages import VariantRef
from shared.film_recipes import FilmSpec
from shared.recipes import Recipe

if TYPE_CHECKING:
    from services.processor.handlers import Deps

log = structlog.get_logger()

_TOLD_EVERY = 1.0  # seconds; who watches is told at least every two
_GIBIBYTE = 1024 * 1024 * 1024
_LEAST_FILM = 64 * 1024 * 1024  # bytes that a film may take however short its original
_GROWTH = 16  # times its original's length that a film may have: newer codecs need so much less


class Films(msgspec.Struct, frozen=True, kw_only=True):
    """What videos may use beside what pictures do. `threads` of each job; `original_bytes` and `film_bytes`, the
    longest that is fetched and made; `program` encodes, None for PyAV's own encoders."""

    places: Places = msgspec.field(default_factory=lambda: Places(1))
    sounds: Places = msgspec.field(default_factory=lambda: Places(1))
    scratch: Scratch = msgspec.field(
        default_factory=lambda: Scratch(Path(tempfile.gettempdir()), 16 * _GIBIBYTE)
    )
    limits: Limits = Limits(cpu_seconds=8 * 3600, wall_seconds=2 * 3600)
    threads: int = 2
    original_bytes: int = 2 * _GIBIBYTE
    film_bytes: int = 4 * _GIBIBYTE
    program: Program | None = None


class VideoInterrupted(TripodError):
    """Our own machinery gave way in the middle of a video."""

    code = "interrupted"
    title = "Interrupted"
    retryable = True


async def derive(order: Order, recipe: Recipe, deps: "Deps", *, job_trace: str, again: bool) -> None:
    """Make and publish all of a video. Raises JobFailed, Unavailable, VideoInterrupted.

    The catalog asks once more for what takes long. Whoever is at work on it has an event of its own, which is handed
    out again should it die, so this one has nothing to do then.
    """
    key = f"video.{order.id}.{order.generation}"
    async with alone(deps.bus.kv(topology.RENDERS), key) as is_ours:
        if is_ours:
            await _derive(order, recipe, deps, job_trace=job_trace, again=again)
        else:
            log.info("job.under_way", media_id=str(order.id), generation=order.generation)


async def _derive(order: Order, recipe: Recipe, deps: "Deps", *, job_trace: str, again: bool) -> None:
    films, started = deps.films, time.monotonic()
    telling = _Telling()
    async with telling.aloud(order, deps):
        places = films.sounds if order.media_type == "audio" else films.places
        async with places.take(order.owner, urgent=order.urgent):
            waited = _since(started)
            info = await deps.blobs.head(order.key)
            size = info.size if info else 0
            if size > films.original_bytes:
                raise JobFailed(failures.too_large(films.original_bytes))
            wanted = recipe.files_of(order.mime_type)
            there = await film_store.there(deps.blobs, order.id, wanted, order.variants)
            most = min(films.film_bytes, _LEAST_FILM + _GROWTH * size)
            missing = [spec for spec in wanted if spec.code not in there]
            async with films.scratch.room(size + most * len(missing)):
                job = Job(
                    media_id=str(order.id),
                    trace_id=job_trace,
                    mime_type=order.mime_type,
                    recipe=recipe,
                    limits=msgspec.structs.replace(films.limits, pixels=deps.limits.pixels, file_bytes=most),
                    background=True,
                    there=tuple(there),
                    film=True,
                    threads=films.threads,
                    program=films.program,
                )
                work = _Video(order, job, deps, telling)
                result = await work.run()
                refs = await work.refs(result)
        small = await variant_store.keep(deps.blobs, order.id, result.variants, again=again)
        failpoints.reach("processor.after_variants")
    timings = {"wait": waited} | result.timings
    variants = _in_order(recipe.files_of(order.mime_type), (*small, *refs))
    await announce.processed(deps.bus, order, result, variants, timings)
    deps.metrics.note_job(order.media_type, "ready", timings)
    log.info("media.processed", media_id=str(order.id), generation=order.generation, timings=timings)


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)


def _in_order(films: Sequence[film_store.Spec], refs: tuple[VariantRef, ...]) -> tuple[VariantRef, ...]:
    """Films first, as they are what a video is asked for."""
    places = {spec.name: place for place, spec in enumerate(films)}
    return tuple(sorted(refs, key=lambda ref: places.get(ref.name, len(places))))


class _Video:
    """One job and the films that it has stored so far, which a second child does not make again."""

    def __init__(self, order: Order, job: Job, deps: "Deps", telling: "_Telling") -> None:
        self._order, self._job, self._deps, self._telling = order, job, deps, telling
        self._stored: dict[str, VariantRef] = {}
        self._playlists: dict[str, tuple[VariantRef, bytes]] = {}

    async def run(self) -> Result:
        """What the child said. Raises JobFailed, VideoInterrupted, Unavailable."""
        scratch, deps = self._deps.films.scratch, self._deps
        with scratch.file() as original:
            await filled(original, deps.blobs, self._order.key, limit=deps.films.original_bytes)
            failpoints.reach("processor.mid_decode")
            verdict = await self._once(original)
            # One that took all its time would do so again.
            if isinstance(verdict, Failure) and verdict.retryable and verdict.code != "timeout":
                verdict = await self._once(original)
        if isinstance(verdict, Failure):
            if verdict.code == "interrupted":
                raise VideoInterrupted(verdict.detail)
            raise JobFailed(verdict)
        return verdict

    async def refs(self, result: Result) -> tuple[VariantRef, ...]:
        """Where all films and playlists are, those included that were there before. Raises Unavailable."""
        blobs, media_id = self._deps.blobs, self._order.id
        specs = {spec.name: spec for spec in self._job.recipe.files_of(self._job.mime_type)}
        films = [film for film in result.films if film.name in specs]
        rungs = []
        for film in films:
            spec = specs[film.name]
            if film.name not in self._stored:
                self._stored[film.name] = await film_store.found(blobs, media_id, spec, film)
            if isinstance(spec, FilmSpec) and spec.fragmented:
                if film.name not in self._playlists:
                    self._playlists[film.name] = await ladder_store.found(blobs, media_id, spec)
                rungs.append(Rung(spec=spec, film=film, playlist=self._playlists[film.name][1]))
        master = [await ladder_store.keep_master(blobs, media_id, rungs)] if rungs else []
        return (*self._stored.values(), *(ref for ref, _ in self._playlists.values()), *master)

    async def _once(self, original: int) -> Result | Failure:
        recipe = self._job.recipe
        done = frozenset([*self._job.there, *(f"{ref.spec}-{ref.name}" for ref in self._stored.values())])
        missing = [spec for spec in recipe.files_of(self._job.mime_type) if spec.code not in done]
        job = msgspec.structs.replace(self._job, there=tuple(done))
        with contextlib.ExitStack() as stack:
            outputs = [stack.enter_context(self._deps.films.scratch.file()) for _ in missing]

            async def on_film(frame: Ahead | Finished) -> None:
                if isinstance(frame, Ahead):
                    self._telling.hear(frame)
                    return
                place = frame.film.place
                # The child may be a stranger's by now: only what was asked for is believed.
                if place is None or not 0 <= place < len(missing) or missing[place].name != frame.film.name:
                    return
                spec = missing[place]
                if isinstance(spec, FilmSpec) and spec.fragmented:
                    told = frame.playlist[: ladder_store.MOST_BYTES]
                    ref = await ladder_store.keep(self._deps.blobs, self._order.id, spec, told)
                    self._playlists[spec.name] = (ref, told)
                ref = await film_store.keep(
                    self._deps.blobs, self._order.id, spec, frame.film, outputs[place]
                )
                self._stored[spec.name] = ref

            async def on_step(step: StepDone) -> None:
                log.debug("job.step", media_id=job.media_id, step=step.step, ms=step.milliseconds)

            outcome = await self._deps.sandbox.run(job, original, on_step, films=outputs, on_film=on_film)
        note(job, outcome, self._deps.metrics)
        return outcome.verdict


class _Telling:
    """The newest word of the child, repeated while it has no newer one: its time goes on."""

    def __init__(self) -> None:
        self._ahead = Ahead(step="wait", percent=0, eta=None)
        self._heard = time.monotonic()

    def hear(self, ahead: Ahead) -> None:
        self._ahead, self._heard = ahead, time.monotonic()

    @contextlib.asynccontextmanager
    async def aloud(self, order: Order, deps: "Deps") -> AsyncIterator[None]:
        """Tell whoever listens, every second, as long as the context is open."""
        task = asyncio.create_task(self._tell(order, deps), name="video-progress")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell(self, order: Order, deps: "Deps") -> None:
        while True:
            ahead, passed = self._ahead, time.monotonic() - self._heard
            eta = None if ahead.eta is None else round(max(0.0, ahead.eta - passed), 1)
            await announce.progress(deps.bus, order, ahead.step, ahead.percent, eta)
            await asyncio.sleep(_TOLD_EVERY)
