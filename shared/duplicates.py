"""What ingest asks the catalog of exact duplicates, and what it is answered (`catalog.v1.find_digest`)."""

import uuid

import msgspec

from shared.events.messages import EntityLink
from shared.media import Media


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The owner's media of these bytes in one place: the profile, and the entity with its field, or none.

    `besides`: the upload that asks, which is no copy of itself. `through`: the place in the stream that the rows have
    to know of.
    """

    owner: str
    sha256: str
    profile: str
    entity: EntityLink | None
    besides: uuid.UUID
    through: int


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The media as its owner sees it; None where there is none."""

    media: Media | None = None
