"""What is to be done to one media, whichever event asked for it."""

import uuid

import msgspec

from shared.events.messages import (
    Event,
    MediaType,
    MediaUploaded,
    PictureLimits,
    ReprocessRequested,
    VariantRef,
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Run the pipeline over the original under `key`. `urgent`: somebody waits for it. `variants`: what an
    earlier run has made."""

    id: uuid.UUID
    generation: int
    owner: str
    key: str
    mime_type: str
    media_type: MediaType
    recipe: str
    limits: PictureLimits | None
    urgent: bool
    variants: tuple[VariantRef, ...] = ()


def order_of(event: Event, subject: str) -> Order | None:
    """The order that an event is; None for events that ask for nothing."""
    if not isinstance(event, MediaUploaded | ReprocessRequested):
        return None
    return Order(
        id=event.id,
        generation=event.generation,
        owner=event.owner,
        key=event.key,
        mime_type=event.mime_type,
        media_type=event.media_type,
        recipe=event.recipe,
        limits=event.limits,
        urgent=subject.endswith(".fresh"),
        variants=event.variants if isinstance(event, ReprocessRequested) else (),
    )
