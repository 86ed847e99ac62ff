"""What the processor tells the world: processed, failed, and progress on the way."""

import contextlib
from datetime import UTC, datetime

from services.processor.failures import Failure
from services.processor.frames import Result
from services.processor.order import Order
from shared import failpoints, trace
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus
from shared.events.messages import Event, MediaFailed, MediaProcessed, Progress, VariantRef, encode

_MOST_WARNINGS = 10


async def processed(
    bus: Bus, order: Order, result: Result, variants: tuple[VariantRef, ...], timings: dict[str, float]
) -> None:
    """`timings` in milliseconds per stage. Raises Unavailable: then the outcome is unknown, a retry harmless."""
    now = datetime.now(UTC)
    event = MediaProcessed(
        id=order.id,
        generation=order.generation,
        owner=order.owner,
        media_type=order.media_type,
        recipe=order.recipe,
        width=result.width or None,  # a video without pictures has no sides
        height=result.height or None,
        exif=result.exif,
        taken_at=result.taken_at,
        duration=result.duration,
        bitrate=result.bitrate,
        phash=result.phash or None,
        phash_turned=result.phash_turned,
        dhash=result.dhash or None,
        ahash=result.ahash,
        colour_hash=result.colour_hash,
        colours=result.colours,
        degenerate=result.degenerate,
        placeholder=result.placeholder or None,
        variants=variants,
        warnings=result.warnings[:_MOST_WARNINGS],
        timings=timings,
        processed_at=now,
    )
    await _publish(bus, order, "processed", event, now)


async def stored_only(bus: Bus, order: Order) -> None:
    """Ready as it is: nothing is derived from this type. Raises Unavailable."""
    now = datetime.now(UTC)
    event = MediaProcessed(
        id=order.id,
        generation=order.generation,
        owner=order.owner,
        media_type=order.media_type,
        recipe=order.recipe,
        processed_at=now,
    )
    await _publish(bus, order, "processed", event, now)


async def failed(bus: Bus, order: Order, failure: Failure) -> None:
    """The final word on a file that cannot be processed. Raises Unavailable."""
    now = datetime.now(UTC)
    event = MediaFailed(
        id=order.id,
        generation=order.generation,
        owner=order.owner,
        media_type=order.media_type,
        code=failure.code,
        detail=failure.detail,
        failed_at=now,
    )
    await _publish(bus, order, "failed", event, now)


async def _publish(bus: Bus, order: Order, kind: str, event: Event, now: datetime) -> None:
    message_id = f"{kind}-{order.id}-{order.generation}"
    data = encode(
        event,
        source="processor",
        event_id=message_id,
        subject=str(order.id),
        time=now,
        traceparent=trace.traceparent(),
    )
    failpoints.reach("processor.before_result")
    await bus.publish(topology.media_subject(kind, order.media_type), data, message_id=message_id)
    failpoints.reach("processor.before_ack")


async def progress(bus: Bus, order: Order, stage: str, percent: int, eta: float | None = None) -> None:
    """Tell whoever listens now, `eta` in seconds. Nobody has to, and a broker that is down is no reason to stop
    working."""
    now = datetime.now(UTC)
    event = Progress(id=order.id, owner=order.owner, stage=stage, percent=percent, eta=eta, at=now)
    data = encode(
        event,
        source="processor",
        event_id=f"progress-{order.id}-{order.generation}-{stage}-{now.timestamp():.3f}",
        subject=str(order.id),
        time=now,
        traceparent=trace.traceparent(),
    )
    with contextlib.suppress(Unavailable):
        await bus.broadcast(topology.progress(str(order.id)), data)
