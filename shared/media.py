"""The media object: the one shape in which our API shows a media, whoever answers."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from shared.events.messages import Colour, EntityLink, MediaType, MediaUploaded, ModerationState, VariantRef
from shared.ids import public_id

Status: TypeAlias = Literal["uploading", "processing", "ready", "failed"]
Moderation: TypeAlias = ModerationState

_EXIF = (
    "What camera and people wrote into the file; only what is there. Texts: camera_make, camera_model, lens, software, "
    "title, caption, creator, copyright, icc_profile; keywords, a list of texts; taken_at, ISO 8601 with an offset "
    "only where the file has one; of videos container, video_codec, audio_codec, and audio_tracks, a list of codec, "
    "channels, sample_rate and language; of sound artist, album, album_artist, composer, genre, track, disc, released. "
    "Numbers: loudness (LUFS), loudness_range (LU), true_peak (dBTP), "
    "exposure_time (s), exposure_bias (EV), f_number, iso, focal_length "
    "and focal_length_35mm (mm), orientation (1 to 8), rating (0 to 5, -1 is rejected), frame_rate, rotation (degrees "
    "clockwise). Of documents pages, words, sheets, slides, encoding, and encrypted and macros: whether they are and "
    "have them. flash: whether it fired. hdr: whether a video is. gps, for "
    "those who may change the media: latitude and longitude in degrees, altitude in metres, time in UTC."
)


class MediaError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a media failed, or why processing it again did: then it is ready as before. `code` is for programs, `detail`
    for people."""

    code: str
    detail: str


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A derived file; size in bytes. Its URL is immutable: it holds the hash of what was asked for."""

    name: str
    mime_type: str
    width: int
    height: int
    size: int
    url: str


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """One catalogued thing. Sizes in bytes, sides in pixels after orientation, duration in seconds, UTC times."""

    id: uuid.UUID
    public_id: str
    number: int
    status: Status
    error: MediaError | None = None
    media_type: MediaType
    mime_type: str
    filename: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    bitrate: int | None = None
    description: str | None = None
    alt_text: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    exif: Annotated[dict[str, Any], Meta(description=_EXIF)] = {}
    taken_at: str | None = None
    phash: str | None = None
    dhash: str | None = None
    ahash: str | None = None
    colour_hash: str | None = None
    colours: tuple[Colour, ...] = ()
    placeholder: str | None = None
    timings: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    is_public: bool
    moderation: Moderation = "approved"
    profile: str
    entity: EntityLink | None = None
    owner: str
    url: str
    download_url: str
    thumbnail_url: str | None = None
    variants: tuple[Variant, ...] = ()
    created_at: datetime
    updated_at: datetime


def media_url(base_url: str, media_id: uuid.UUID) -> str:
    return f"{base_url}/v1/media/{media_id}"


def show_variants(base_url: str, media_id: uuid.UUID, refs: tuple[VariantRef, ...]) -> tuple[Variant, ...]:
    """Variants with their URLs; `?v=` makes each immutable for caches."""
    return tuple(
        Variant(
            name=ref.name,
            mime_type=ref.mime_type,
            width=ref.width,
            height=ref.height,
            size=ref.size,
            url=f"{media_url(base_url, media_id)}/variants/{ref.name}?v={ref.spec}",
        )
        for ref in refs
    )


def from_upload(event: MediaUploaded, base_url: str) -> Media:
    """What the answer to an upload shows before anything is derived."""
    url = media_url(base_url, event.id)
    return Media(
        id=event.id,
        public_id=public_id(event.id),
        number=event.number,
        status="processing",
        media_type=event.media_type,
        mime_type=event.mime_type,
        filename=event.filename,
        size=event.size,
        sha256=event.sha256,
        description=event.description,
        alt_text=event.alt_text,
        caption=event.caption,
        tags=event.tags,
        metadata=event.metadata,
        is_public=event.is_public,
        moderation=event.moderation,
        profile=event.profile,
        entity=event.entity,
        owner=event.owner,
        url=url,
        download_url=f"{url}/download",
        created_at=event.created_at,
        updated_at=event.created_at,
    )
