"""Jobs that somebody wants stopped: those that run here end at once, those that wait end when their turn comes."""

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from services.processor import failures
from services.processor.failures import JobFailed
from services.processor.order import Order
from shared.events import topology
from shared.events.bus import Bus, Message

log = structlog.get_logger()

_T = TypeVar("_T")
ALL = 2**31
"""Every generation there can be: of a media that is deleted."""


class Running:
    """The jobs of this processor by their media, and how each is stopped."""

    def __init__(self) -> None:
        self._jobs: dict[uuid.UUID, set[tuple[int, asyncio.Event]]] = {}

    def stop(self, media_id: uuid.UUID, generation: int) -> None:
        """Stop what runs for this media up to that generation; nothing is no error."""
        for running, stopped in self._jobs.get(media_id, ()):
            if running <= generation:
                stopped.set()

    async def stoppable(self, media_id: uuid.UUID, generation: int, work: Coroutine[Any, Any, _T]) -> _T:
        """Do the work, or as much of it as there is until somebody stops it. Raises JobFailed then."""
        job = (generation, asyncio.Event())
        self._jobs.setdefault(media_id, set()).add(job)
        task = asyncio.create_task(work, name="job")
        stopped = asyncio.create_task(job[1].wait(), name="job-stopped")
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            # Whoever cancels this waits until the child is gone.
            stopped.cancel()
            task.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)
            self._jobs[media_id].discard(job)
            if not self._jobs[media_id]:
                del self._jobs[media_id]
        log.info("job.cancelled", media_id=str(media_id), generation=generation)
        raise JobFailed(failures.cancelled())


async def check(bus: Bus, order: Order) -> None:
    """Raises JobFailed for a job that was stopped while it waited, Unavailable."""
    entry = await bus.kv(topology.CANCELLED).get(str(order.id))
    if entry is not None and order.generation <= _generation(entry.value):
        raise JobFailed(failures.cancelled())


async def keep_listening(bus: Bus, running: Running, stop: asyncio.Event) -> None:
    """Stop jobs as they are asked to be, until `stop` is set."""
    async with bus.listen(topology.cancel("*")) as messages:
        reading = asyncio.create_task(_read(messages.__aiter__(), running), name="cancel-reader")
        ending = asyncio.create_task(stop.wait(), name="cancel-end")
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            ending.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)


async def _read(messages: Any, running: Running) -> None:
    async for message in messages:
        _heed(message, running)


def _heed(message: Message, running: Running) -> None:
    try:
        media_id = uuid.UUID(message.subject.rpartition(".")[2])
    except ValueError:
        log.warning("cancel.ignored", subject=message.subject)
        return
    running.stop(media_id, _generation(message.data))


def _generation(data: bytes) -> int:
    return int(data) if data.isdigit() and len(data) <= 10 else 0


async def tell_all(bus: Bus, media_id: uuid.UUID) -> None:
    """Let every processor stop what it does for a media that is gone. Raises Unavailable."""
    await bus.broadcast(topology.cancel(str(media_id)), str(ALL).encode())
