"""What the routes of moderation take and give, as their OpenAPI document shows it."""

import uuid
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from shared.events.messages import MediaType
from shared.media import Media, Moderation

REASON_CHARS = 500
NOTE_CHARS = 2000
MOST_CLAIMED = 100
MOST_MINUTES = 240
HISTORY = 100
"""Decisions that one answer shows."""

Claimed: TypeAlias = Literal["any", "free", "mine"]


class ModerationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state that a media is to have. `reason` is shown to its owner, and needed for `rejected` and `flagged`;
    `note` is for moderators. `expected`: the state that the moderator has seen; 409 where somebody was faster."""

    state: Moderation
    reason: Annotated[str, Meta(extra_json_schema={"extra": {"max_length": REASON_CHARS}})] | None = None
    note: Annotated[str, Meta(extra_json_schema={"extra": {"max_length": NOTE_CHARS}})] | None = None
    expected: Moderation | None = None


class ClaimRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many media one wants to look at, for how many minutes, and of which."""

    limit: Annotated[int, Meta(ge=1, le=MOST_CLAIMED)] = 20
    minutes: Annotated[int, Meta(ge=1, le=MOST_MINUTES)] = 15
    state: Literal["pending", "flagged"] | None = None
    profile: Annotated[str, Meta(max_length=64)] | None = None
    media_type: MediaType | None = None
    owner: Annotated[str, Meta(max_length=255)] | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a media's history. `automatic`: the catalog's own. Moderators alone are told `reviewer`, `note`, and
    of an automatic one which rejected media it is like (`matched`) and in how many bits they differ (`distance`; none
    where the bytes are the same)."""

    state: Moderation
    was: Moderation
    reason: str | None
    automatic: bool
    decided_at: datetime
    reviewer: str | None = None
    note: str | None = None
    matched: uuid.UUID | None = None
    distance: int | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at a media, and until when nobody else is given it."""

    reviewer: str
    until: datetime


class ModerationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a media stands. `since`: of the last decision, or of the upload where there was none. `history`: the newest
    first, at most 100. `claim` is for moderators."""

    id: uuid.UUID
    public_id: str
    state: Moderation
    reason: str | None
    since: datetime
    claim: Claim | None
    history: list[Decision]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A media of the queue, with the decision that brought it there; none where its profile did."""

    media: Media
    since: datetime
    decision: Decision | None
    claim: Claim | None


class StateCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are; `capped`: there are more."""

    value: int
    capped: bool


class Queue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of it, oldest upload first; `next_cursor` is null on the last one. `counts` by state, of what the other
    filters let through."""

    items: list[Waiting]
    next_cursor: str | None
    counts: dict[str, StateCount] | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller has claimed, oldest upload first."""

    items: list[Waiting]
    until: datetime | None


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """How many media others may be given again."""

    released: int
