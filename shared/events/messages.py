"""The events: facts in the past tense. This file is the public contract; tests hold its bytes."""

import uuid
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from shared.errors import Malformed

MAX_EVENT_BYTES = 64 * 1024

DOCUMENT_TEXT = "text"
"""The variant that is what a document says."""

MediaType: TypeAlias = Literal["image", "video", "audio", "document", "other"]
ModerationState: TypeAlias = Literal["pending", "approved", "rejected", "flagged"]


class EntityLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where a media hangs: an entity of another system and the field of it."""

    type: str
    id: str
    field: str = ""
    is_primary: bool = False
    sort_order: int = 0


class VariantRef(msgspec.Struct, frozen=True, kw_only=True):
    """A derived file in the object store; `spec` is the hash of what the recipe asked for, `sha256` that of the bytes
    (results of older processors have none). One named `text` is what a document says, as UTF-8 text/plain without
    width and height (0): the catalog reads its first MiB, and media are found by it."""

    name: str
    key: str
    mime_type: str
    width: int
    height: int
    size: int
    spec: str
    sha256: str | None = None


class PictureLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the profile of an upload asks of a picture: each side in pixels, and how many pixels there may be."""

    min_side: int = 1
    max_side: int = 100_000
    max_pixels: int = 100_000_000


class Colour(msgspec.Struct, frozen=True, kw_only=True):
    """A colour of a picture as `#rrggbb` in sRGB, and which share of the picture it makes up, from 0 to 1."""

    hex: str
    share: float


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """That an upload comes from an older system, whose ids it has kept where they were free, and the time when it was
    made there. `received_at`: when it came here. `public_id`: what it was called there, where our id says another."""

    received_at: datetime
    public_id: str | None = None


class MediaUploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The original is in the object store under `key`. All that the upload said is here. `limits`: what a picture
    must keep to, for the processor to see to; its sides may not have been known before it was decoded. `moderation`:
    the state that its profile begins with, or that an import brought. `imported` is said of imports alone."""

    id: uuid.UUID
    number: int
    generation: int = 1
    owner: str
    owner_uid: int | None = None
    owner_name: str | None = None
    profile: str
    recipe: str
    key: str
    filename: str
    mime_type: str
    media_type: MediaType
    size: int
    sha256: str
    is_public: bool
    entity: EntityLink | None = None
    description: str | None = None
    alt_text: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    limits: PictureLimits | None = None
    moderation: ModerationState = "approved"
    created_at: datetime
    imported: Imported | msgspec.UnsetType = msgspec.UNSET


class MediaRejected(msgspec.Struct, frozen=True, kw_only=True):
    """An upload was refused after bytes had flowed; nothing of it is kept."""

    id: uuid.UUID
    owner: str
    profile: str
    filename: str
    media_type: MediaType
    code: str
    detail: str
    rejected_at: datetime


class MediaProcessed(msgspec.Struct, frozen=True, kw_only=True):
    """All variants are in the object store. `timings` are milliseconds per stage."""

    id: uuid.UUID
    generation: int
    owner: str
    media_type: MediaType
    recipe: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    bitrate: int | None = None
    exif: dict[str, Any] = {}
    taken_at: str | None = None
    phash: str | None = None
    phash_turned: tuple[str, ...] = ()  # that of the picture turned, in the order of `shared.turns`
    dhash: str | None = None
    ahash: str | None = None
    colour_hash: str | None = None
    colours: tuple[Colour, ...] = ()
    degenerate: bool = False
    placeholder: str | None = None
    variants: tuple[VariantRef, ...] = ()
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = {}
    processed_at: datetime


class MediaFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The original cannot be processed; `code` is for programs, `detail` for people."""

    id: uuid.UUID
    generation: int
    owner: str
    media_type: MediaType
    code: str
    detail: str
    failed_at: datetime


class ReprocessRequested(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline is to run again over an original that is there. `limits` are those of its upload; `variants` is what
    the newest result has made, which need not be made again where it is whole and still asked for."""

    id: uuid.UUID
    generation: int
    owner: str
    key: str
    size: int
    mime_type: str
    media_type: MediaType
    recipe: str
    limits: PictureLimits | None = None
    variants: tuple[VariantRef, ...] = ()
    requested_at: datetime


class MediaDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A media is gone for good. Whoever wrote `key`, or under `variants`, erases it. `paths`: where its files were,
    below the address of the media, for caches that have kept them (events of older catalogs have none). `profile`: that
    of its upload; `public`: everybody could see it (both are told by newer catalogs, where there was a row)."""

    id: uuid.UUID
    number: int | None
    owner: str | None
    media_type: MediaType
    key: str | None
    variants: str
    paths: tuple[str, ...] = ()
    profile: str | msgspec.UnsetType = msgspec.UNSET
    public: bool | msgspec.UnsetType = msgspec.UNSET
    deleted_at: datetime


class MediaCreated(msgspec.Struct, frozen=True, kw_only=True):
    """The catalog has the row; `media` is its full public state."""

    id: uuid.UUID
    owner: str
    media: dict[str, Any]


class MediaUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """The row changed; `media` is its full public state afterwards. `hidden`: everybody could see it before, and cannot
    any more."""

    id: uuid.UUID
    owner: str
    media: dict[str, Any]
    hidden: bool | msgspec.UnsetType = msgspec.UNSET


class MediaModerated(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has decided on a media, or the catalog by itself: then there is no `reviewer`, and `matched` is the
    rejected media that it is like, `distance` in how many bits of the perceptual hash they differ (none where the bytes
    are the same). `reason` is for its owner, `note` for moderators. `media.updated` tells the state, too."""

    id: uuid.UUID
    decision: uuid.UUID
    owner: str
    media_type: MediaType
    was: ModerationState
    state: ModerationState
    reason: str | None = None
    note: str | None = None
    reviewer: str | None = None
    matched: uuid.UUID | None = None
    distance: int | None = None
    moderated_at: datetime


class EntityUpserted(msgspec.Struct, frozen=True, kw_only=True):
    """Another system says who owns and administers a thing of its own."""

    type: str
    id: str
    owners: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    display_id: str | None = None


class EntityDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """Another system's thing is gone."""

    type: str
    id: str


class UserDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A user is gone; what was theirs goes with them."""

    sub: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a job is; core message, never stored. `percent` runs from 0 to 100. While a file is received (stage
    `receiving`): its name, the bytes that have come, and how many there are once that is known.
    `eta`: seconds until a long job is done, if known."""

    id: uuid.UUID
    owner: str
    stage: str
    percent: int
    at: datetime
    filename: str | None = None
    received: int | None = None
    size: int | None = None
    eta: float | None = None


Event: TypeAlias = (
    MediaUploaded
    | MediaRejected
    | MediaProcessed
    | MediaFailed
    | ReprocessRequested
    | MediaDeleted
    | MediaCreated
    | MediaUpdated
    | MediaModerated
    | EntityUpserted
    | EntityDeleted
    | UserDeleted
    | Progress
)

TYPES: dict[str, type[Event]] = {
    "media.uploaded.v1": MediaUploaded,
    "media.rejected.v1": MediaRejected,
    "media.processed.v1": MediaProcessed,
    "media.failed.v1": MediaFailed,
    "media.reprocess_requested.v1": ReprocessRequested,
    "media.deleted.v1": MediaDeleted,
    "media.created.v1": MediaCreated,
    "media.updated.v1": MediaUpdated,
    "media.moderated.v1": MediaModerated,
    "entity.upserted.v1": EntityUpserted,
    "entity.deleted.v1": EntityDeleted,
    "user.deleted.v1": UserDeleted,
    "progress.v1": Progress,
}
_NAMES = {struct: name for name, struct in TYPES.items()}


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 event in JSON structured mode (https://github.com/cloudevents/spec)."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None
    data: Any


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def encode(
    event: Event, *, source: str, event_id: str, subject: str, time: datetime, traceparent: str | None
) -> bytes:
    """The bytes of an event. Raises Malformed when they exceed MAX_EVENT_BYTES."""
    envelope = Envelope(
        id=event_id,
        source=f"/tripod/{source}",
        type=_NAMES[type(event)],
        subject=subject,
        time=time,
        traceparent=traceparent,
        data=event,
    )
    data = _encoder.encode(envelope)
    if len(data) > MAX_EVENT_BYTES:
        raise Malformed(
            f"The event {envelope.type} of {subject} would be {len(data)} bytes; "
            f"at most {MAX_EVENT_BYTES} are allowed."
        )
    return data


def decode(data: bytes) -> tuple[Envelope, Event]:
    """An event and its envelope. Raises Malformed for bytes that can never be one of ours."""
    try:
        envelope = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Malformed(f"These {len(data)} bytes are not a CloudEvent in JSON: {error}") from error
    struct = TYPES.get(envelope.type)
    if struct is None:
        raise Malformed(f"The event type {envelope.type!r} is unknown; known are {', '.join(TYPES)}.")
    try:
        return envelope, msgspec.convert(envelope.data, struct)
    except msgspec.ValidationError as error:
        raise Malformed(f"The data of event {envelope.type} {envelope.id} is wrong: {error}") from error
