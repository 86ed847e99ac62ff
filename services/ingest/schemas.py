"""What ingest answers beside the media object."""

import uuid

import msgspec

from shared.media import Media, Status
from shared.problem import Problem


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """How far the receiving or the processing is; `percent` from 0 to 100, 0 also where it cannot be told."""

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


class FailedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a batch that was not taken. `place`: which file of the form it was, from 1; `retry_after`: seconds
    after which it may be."""

    filename: str
    place: int
    problem: Problem
    retry_after: int | None = None


class BatchUploads(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each file of a batch, in the order of the form."""

    uploaded: tuple[Media, ...]
    failed: tuple[FailedFile, ...]
    uploaded_count: int
    failed_count: int


class NoUploads(Problem, frozen=True, kw_only=True):
    """A problem document of a batch of which no file was taken. Where the form itself was refused it has no more
    members than any other."""

    uploaded: tuple[Media, ...] = ()
    failed: tuple[FailedFile, ...] = ()
    uploaded_count: int = 0
    failed_count: int = 0
