"""What the catalog's routes take and give, as their OpenAPI document shows it."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.fields import TAG_CHARS, TAGS, TEXT_CHARS
from shared.media import Media
from shared.names import MAX_BYTES
from shared.rendering import Options

CountKind: TypeAlias = Literal["exact", "capped", "estimated"]
TimeSort: TypeAlias = Literal["-created_at", "created_at"]
Sort: TypeAlias = Literal[
    "-created_at", "created_at", "-updated_at", "updated_at", "-filename", "filename", "-size", "size", "-taken_at",
    "taken_at", "-duration", "duration",
]  # fmt: skip
SearchSort: TypeAlias = Sort | Literal["relevance"]
Disposition: TypeAlias = Literal["attachment", "inline"]


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many media match. `kind` says how it was found; of a capped one, `value` is a lower bound when it is
    the cap."""

    value: int
    kind: CountKind


class MediaPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[Media]
    next_cursor: str | None
    count: Count | None = None


def _shown(**limits: int) -> Meta:
    """Limits that the document shows, and that `shared.fields` checks: its refusals are for people."""
    return Meta(extra_json_schema={"extra": limits})


class MediaPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change; what is left out stays. Null removes a text. `metadata` is merged (RFC 7396): a null in
    it removes that member."""

    description: Annotated[str, _shown(max_length=TEXT_CHARS["description"])] | UnsetType | None = UNSET
    alt_text: Annotated[str, _shown(max_length=TEXT_CHARS["alt_text"])] | UnsetType | None = UNSET
    caption: Annotated[str, _shown(max_length=TEXT_CHARS["caption"])] | UnsetType | None = UNSET
    filename: Annotated[str, _shown(min_length=1, max_length=MAX_BYTES)] | UnsetType = UNSET
    tags: (
        Annotated[
            tuple[Annotated[str, _shown(min_length=1, max_length=TAG_CHARS)], ...],
            _shown(max_items=TAGS),
        ]
        | UnsetType
        | None
    ) = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    is_public: bool | UnsetType = UNSET
    is_primary: bool | UnsetType = UNSET
    sort_order: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | UnsetType = UNSET


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to find; all that the caller may see without a filter and words. Without a `sort` what has the words is
    sorted by relevance, all else newest first."""

    filter: dict[str, Any] | None = None
    q: Annotated[str, Meta(max_length=500)] | None = None
    sort: SearchSort | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=1000)] | None = None


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """How well a media fits the words that were asked for, and where they stand: pieces of HTML by the field, safe to
    show, with `<mark>` around the words. `rank` is null where the order is another."""

    id: UUID
    rank: float | None
    highlights: dict[str, tuple[str, ...]]


class SearchPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of what was found; `next_cursor` is null on the last one. `matches`, where words were asked for: of each
    of the `items`, in their order."""

    items: list[Media]
    next_cursor: str | None
    matches: list[Match] | None = None


class LookupRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Entities of one type."""

    type: Annotated[str, Meta(min_length=1, max_length=255)]
    ids: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...], Meta(min_length=1, max_length=200)
    ]


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """The media of each entity that was asked for, newest first, at most 50 of one."""

    items: dict[str, list[Media]]


class LinkRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many seconds, for which variant or rendering (the original without), and how a browser is to take it."""

    seconds: Annotated[int, Meta(ge=1, le=7 * 24 * 3600)] | None = None
    variant: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    render: Options | None = None
    disposition: Disposition | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that works without a token until `expires_at`."""

    url: str
    expires_at: datetime


class Reprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """The pipeline runs again, as this generation."""

    media: Media
    generation: int


class EntityBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who owns and who administers a thing of another system, by the `sub` of their tokens."""

    owners: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...], Meta(max_length=1000)
    ] = ()
    admins: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...], Meta(max_length=1000)
    ] = ()
    display_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
