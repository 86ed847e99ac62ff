"""The consumer loop: fetches events of one durable and runs a handler on them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from shared.errors import Unavailable
from shared.events.bus import Bus, Delivery
from shared.events.consumer_job import EventContext, Exhausted, Handler, Job, Policy
from shared.events.consumer_metrics import ConsumerMetrics
from shared.events.topology import Durable

__all__ = ["ConsumerMetrics", "EventContext", "Exhausted", "Handler", "consume"]

log = structlog.get_logger()

T = TypeVar("T")

FETCH_SECONDS = 10.0
RETRY_SECONDS = 0.5
GRACE_SECONDS = 5.0
HOLD_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


async def consume(
    bus: Bus,
    durable: Durable,
    handle: Handler,
    *,
    stop: asyncio.Event,
    on_exhausted: Callable[[EventContext, Exception], Awaitable[None]] | None = None,
    concurrency: int = 1,
    batch: int | None = None,
    metrics: ConsumerMetrics | None = None,
    grace: float = GRACE_SECONDS,
    hold: tuple[float, ...] = HOLD_SECONDS,
) -> None:
    """Run `handle` on every event of `durable` until `stop` is set, at most `concurrency` at once.

    The handler returns: acknowledged. It raises Unavailable: the event is held, and tried again after each of
    the waits `hold`, for as long as it takes. It raises another TripodError that a retry cannot help: dead
    letter. Anything else: tried again with the durable's backoff, up to its attempts, then dead letter. Before
    a dead letter `on_exhausted` hears of it, unless the event could not even be decoded.

    `batch` events (at least `concurrency`) are kept ready here. With `concurrency` 1 they run in the stream's
    order, but for retries. A broker that is down is waited for. After `stop` what runs has `grace` seconds.
    """
    policy = Policy(
        bus=bus,
        durable=durable,
        handle=handle,
        on_exhausted=on_exhausted,
        stop=stop,
        hold=hold,
        places=asyncio.Semaphore(concurrency),
        metrics=metrics or ConsumerMetrics(CollectorRegistry()),
    )
    capacity = min(max(batch or 0, concurrency), durable.max_ack_pending)
    low = max(concurrency - 1, capacity // 2)
    jobs = _Jobs(policy)
    try:
        while not stop.is_set():
            if await jobs.fall_to(low):
                jobs.start(await _fetch(bus, durable, capacity - jobs.count, stop))
        await jobs.finish(grace)
    finally:
        await jobs.cancel()


async def _fetch(bus: Bus, durable: Durable, room: int, stop: asyncio.Event) -> list[Delivery]:
    """What there is; nothing when the broker is down or it is time to stop."""
    try:
        return await unless(stop, bus.fetch(durable, batch=room, wait=FETCH_SECONDS)) or []
    except Unavailable as error:
        log.debug("consumer.waiting", durable=durable.name, error=error.detail)
        await unless(stop, asyncio.sleep(RETRY_SECONDS))
        return []


class _Jobs:
    """The deliveries that are here: running, or waiting for a place."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._tasks: dict[asyncio.Task[bool], int] = {}
        self._spared: dict[int, int] = {}

    @property
    def count(self) -> int:
        return len(self._tasks)

    def start(self, deliveries: list[Delivery]) -> None:
        here = set(self._tasks.values())
        for delivery in deliveries:
            sequence = delivery.sequence
            if sequence in here:
                # The broker was away for longer than the ack wait; the work on it goes on all the same, and
                # this handing out was no attempt.
                self._spared[sequence] = self._spared.get(sequence, 0) + 1
                continue
            job = Job(self._policy, delivery, attempt=delivery.delivered - self._spared.get(sequence, 0))
            self._tasks[asyncio.create_task(job.run())] = sequence

    async def fall_to(self, most: int) -> bool:
        """Wait until at most `most` are here; False when it is time to stop first. Raises what a job raised:
        that is a mistake in the loop itself."""
        self._reap()
        while self.count > most:
            await unless(self._policy.stop, asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED))
            self._reap()
            if self._policy.stop.is_set():
                return False
        return True

    async def finish(self, grace: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        self._reap()

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reap(self) -> None:
        for task in [task for task in self._tasks if task.done()]:
            sequence = self._tasks.pop(task)
            if task.result():
                self._spared.pop(sequence, None)


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None when `stop` is set first, and the work is cancelled."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
    # It may have been done all the same: what it has brought must not be dropped.
    return None if working.cancelled() else working.result()
