"""What ingest answers beside the media object."""

import uuid

import msgspec

from shared.media import Media, Status


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """How far the processing is; `percent` from 0 to 100."""

    stage: str
    percent: int


class UploadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where an upload stands. `size` is null while it is not known; `media` while the bytes flow."""

    id: uuid.UUID
    public_id: str
    number: int
    status: Status
    received: int
    size: int | None = None
    media: Media | None = None
    progress: Stage | None = None
