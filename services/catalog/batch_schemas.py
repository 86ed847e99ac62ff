"""What the routes of batches take and give, as their OpenAPI document shows it."""

import uuid
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.dialects.entities import MOST_DELETED
from shared.fields import TAG_CHARS, TAGS
from shared.problem import Problem

MOST = 1000
"""Media in one request."""

Refs: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(min_length=1, max_length=MOST)
]
Tags: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(extra_json_schema={"extra": {"max_length": TAG_CHARS}})], ...],
    Meta(max_length=MOST, extra_json_schema={"extra": {"max_items": TAGS}}),
]


class BatchDelete(msgspec.Struct, frozen=True, kw_only=True):
    """The media that are to go, by UUID or `MED-...`. With `media_ids`, numbers, the entities API answers."""

    refs: Refs | UnsetType = UNSET
    media_ids: Annotated[tuple[int, ...], Meta(min_length=1, max_length=MOST_DELETED)] | UnsetType = UNSET


class BatchTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags to add and to remove; or, instead, all that the media are to have (`set`)."""

    refs: Refs
    add: Tags = ()
    remove: Tags = ()
    set: Tags | UnsetType = UNSET


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entity, and the field of it."""

    type: Annotated[str, Meta(min_length=1, max_length=64)]
    id: Annotated[str, Meta(min_length=1, max_length=255)]
    field: Annotated[str, Meta(max_length=64)] = ""


class BatchMove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the media are to hang from now on; null is on nothing."""

    refs: Refs
    entity: Place | None


class BatchPublish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether everybody is to see the media. What a moderator has not approved nobody sees meanwhile."""

    refs: Refs
    is_public: bool = True


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one media: the status that a request for it alone would have had, and the problem where it failed.
    `ref` as it was given; `id` is null for what can be no reference."""

    ref: str
    id: uuid.UUID | None
    status: int
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Each media once, in the order given."""

    items: list[BatchItem]
    succeeded: int
    failed: int
