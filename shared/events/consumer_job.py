"""What becomes of one delivered event: run, held, handed back, or given up on. Nothing else settles deliveries."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import structlog

from shared import trace
from shared.errors import TripodError, Unavailable
from shared.events import dead_letters
from shared.events.bus import Bus, Delivery, Headers
from shared.events.consumer_metrics import ConsumerMetrics
from shared.events.messages import Envelope, Event, decode
from shared.events.topology import Durable

log = structlog.get_logger()

SETTLE_TRIES = 2


class EventContext(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a handler gets it. `delivered` counts from 1; `trace` is the span that the handler runs in."""

    envelope: Envelope
    event: Event
    subject: str
    sequence: int
    delivered: int
    headers: Headers
    trace: trace.Trace


Handler = Callable[[EventContext], Awaitable[None]]


class Exhausted(TripodError):
    """Handed out again and again, and its worker was gone each time before it said how that ended."""

    code = "exhausted"
    title = "Given up on"


class Stopped(Exception):
    """It is time to stop; the event is handed back as it came."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All that the jobs of one consumer share."""

    bus: Bus
    durable: Durable
    handle: Handler
    on_exhausted: Callable[[EventContext, Exception], Awaitable[None]] | None
    stop: asyncio.Event
    hold: tuple[float, ...]
    places: asyncio.Semaphore
    metrics: ConsumerMetrics


class Job:
    """One delivery. `attempt` is how often it was handed out in earnest, this time included."""

    def __init__(self, policy: Policy, delivery: Delivery, *, attempt: int) -> None:
        self._policy = policy
        self._delivery = delivery
        self._attempt = attempt
        self._log = log.bind(
            durable=policy.durable.name, subject=delivery.subject, sequence=delivery.sequence, attempt=attempt
        )

    async def run(self) -> bool:
        """Settle the delivery, whatever happens to the handler; False when it will be handed out again."""
        beating = asyncio.create_task(self._beat())
        try:
            async with self._policy.places:
                self._check_stop()
                return await self._decode_and_run()
        except Stopped:
            with contextlib.suppress(Unavailable):
                await self._delivery.nak(0)
            return False
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self) -> None:
        """Say that the work goes on. This task ends with the job, so a dead worker's events are handed on."""
        while True:
            await asyncio.sleep(self._policy.durable.ack_wait.total_seconds() / 3)
            with contextlib.suppress(Unavailable):  # while the broker is away it hands nothing out either
                await self._delivery.in_progress()

    async def _decode_and_run(self) -> bool:
        delivery = self._delivery
        try:
            envelope, event = decode(delivery.data)
        except TripodError as error:
            return await self._give_up(None, error)
        self._log = self._log.bind(type=envelope.type, event_id=envelope.id)
        with trace.use(envelope.traceparent) as span:
            context = EventContext(
                envelope=envelope,
                event=event,
                subject=delivery.subject,
                sequence=delivery.sequence,
                delivered=delivery.delivered,
                headers=delivery.headers,
                trace=span,
            )
            return await self._attempt_once(context)

    async def _attempt_once(self, context: EventContext) -> bool:
        policy = self._policy
        if self._attempt > policy.durable.vain:
            error = Exhausted(
                f"The event was handed out {self._attempt} times, and its worker ended each time before it was "
                f"done; at most {policy.durable.vain} times are allowed."
            )
            return await self._give_up(context, error)
        try:
            await self._held(lambda: policy.handle(context))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a handler's mistake must not end the service
            return await self._failed(context, error)
        await self._settle(self._delivery.ack)
        policy.metrics.handled.labels(policy.durable.name).inc()
        age = (datetime.now(UTC) - context.envelope.time).total_seconds()
        policy.metrics.lag.labels(policy.durable.name).set(age)
        self._log.info("event.handled", age=round(age, 3))
        return True

    async def _failed(self, context: EventContext, error: Exception) -> bool:
        durable = self._policy.durable
        self._policy.metrics.failed.labels(durable.name).inc()
        hopeless = isinstance(error, TripodError) and not error.retryable
        if hopeless or self._attempt >= durable.attempts:
            return await self._give_up(context, error)
        delay = durable.backoff[min(self._attempt, len(durable.backoff)) - 1]
        self._log.warning("event.failed", error=str(error) or repr(error), retry_in=delay, exc_info=error)
        with contextlib.suppress(Unavailable):  # then the ack wait hands it out again
            await self._delivery.nak(delay)
        return False

    async def _give_up(self, context: EventContext | None, error: Exception) -> bool:
        policy = self._policy
        unexpected = None if isinstance(error, TripodError) else error
        self._log.error("event.dead", error=str(error) or repr(error), exc_info=unexpected)
        if context is not None and policy.on_exhausted is not None:
            error = await self._announce(policy.on_exhausted, context, error)
        await self._held(lambda: dead_letters.bury(policy.bus, policy.durable, self._delivery, error))
        await self._settle(self._delivery.terminate)
        policy.metrics.dead.labels(policy.durable.name).inc()
        return True

    async def _announce(
        self,
        on_exhausted: Callable[[EventContext, Exception], Awaitable[None]],
        context: EventContext,
        error: Exception,
    ) -> Exception:
        """Tell `on_exhausted`; the error for the letter, which is its own should it fail."""
        try:
            await self._held(lambda: on_exhausted(context, error))
        except Stopped:
            raise
        except Exception as second:  # noqa: BLE001 - nor must this one keep the letter from being written
            self._log.exception("event.exhausted_handler_failed")
            second.__cause__ = error
            return second
        return error

    async def _settle(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do it as soon as the broker is there. One that is there and does not confirm has lost its state; then
        the event is left to the ack wait, because others wait behind it."""
        unconfirmed = 0

        async def once() -> None:
            nonlocal unconfirmed
            try:
                await action()
            except Unavailable as error:
                unconfirmed += self._policy.bus.connected
                if unconfirmed < SETTLE_TRIES:
                    raise
                self._log.warning("event.not_settled", error=error.detail)

        await self._held(once)

    async def _held(self, action: Callable[[], Awaitable[None]]) -> None:
        """Do it as soon as nothing that it depends on is down. Raises Stopped, and whatever else it raises."""
        hold = self._policy.hold
        held = self._policy.metrics.held.labels(self._policy.durable.name)
        for wait in itertools.chain(hold, itertools.repeat(hold[-1])):
            try:
                await action()
            except Unavailable as error:
                self._log.warning("event.held", error=error.detail, retry_in=wait)
            else:
                return
            with held.track_inprogress(), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._policy.stop.wait()
            self._check_stop()

    def _check_stop(self) -> None:
        if self._policy.stop.is_set():
            raise Stopped
