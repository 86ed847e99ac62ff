"""What ingest asks the catalog before it takes something over from an older system (`catalog.v1.find_import`)."""

import uuid
from typing import Annotated

import msgspec

from shared.media import Media

MOST_NUMBER = 2**52
"""The highest number that an import may keep: later uploads take theirs from above it, and clients that know numbers as
floats count to 2**53."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The ids that an import would like, in the order in which it would take them, the number, and the public id."""

    ids: tuple[uuid.UUID, ...]
    number: int | None = None
    public_id: str | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the ids media have, and which ones of deleted media had; who has the number and the public id."""

    known: tuple[uuid.UUID, ...] = ()
    gone: tuple[uuid.UUID, ...] = ()
    number: uuid.UUID | None = None
    public_id: uuid.UUID | None = None


class ImportedMedia(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an import is answered. `kept`: which of the ids that were asked for it has; `there`: what it is, of a row
    that was imported before. Size in bytes."""

    id: uuid.UUID
    public_id: str
    number: int
    profile: str
    mime_type: str
    size: int
    sha256: str
    kept: dict[str, bool]
    url: str
    there: Media | None = None


class ImportCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would become of a row. `kept`: which of the ids that are asked for it would have; `there`: what it is
    already."""

    mime_type: str
    profile: str
    kept: dict[str, bool]
    there: Media | None = None


class NumbersAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The highest number of an export."""

    highest: int


class NumberRange(msgspec.Struct, frozen=True, kw_only=True):
    """Both ends included."""

    first: int
    last: int


class NumbersFree(msgspec.Struct, frozen=True, kw_only=True):
    """The ranges whose numbers an import may keep unless another import has taken them."""

    free: list[NumberRange]


MOST_IDS = 500


class StillAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Media that an import brought once."""

    ids: Annotated[tuple[uuid.UUID, ...], msgspec.Meta(max_length=MOST_IDS)]


class StillThere(msgspec.Struct, frozen=True, kw_only=True):
    """Which of them are there, and which were deleted; others were never here."""

    there: tuple[uuid.UUID, ...]
    gone: tuple[uuid.UUID, ...]
