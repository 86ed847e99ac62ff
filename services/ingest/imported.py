"""What an upload says that comes from an older system: who owned it there, since when, and by which ids."""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, get_args

import msgspec

from shared.auth import may_be_sub
from shared.errors import Invalid
from shared.events.messages import ModerationState
from shared.ids import parse_ref
from shared.imports import MOST_NUMBER

Dialect: TypeAlias = Literal["personas", "library", "content", "mediafiles", "entities"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
NAMES = (
    "dialect", "source", "old_id", "owner", "owner_name", "number", "id", "public_id", "created_at", "moderation",
)  # fmt: skip
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_PUBLIC_ID = re.compile(r"MED-[A-Za-z0-9._-]{1,60}")
_MOST_TEXT = 255


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an older system's table. `source` tells two systems of one dialect apart; with the dialect and
    `old_id` it says which row this is, however often it is sent. `number`, `id` and `public_id` are what it was called
    there; `public_id` only where it does not say the same as an `id` of ours."""

    dialect: Dialect
    source: str
    old_id: str
    owner: str
    owner_name: str | None
    number: int | None
    id: uuid.UUID | None
    public_id: str | None
    created_at: datetime
    moderation: ModerationState | None

    @property
    def identity(self) -> str:
        """The row, in hexadecimal digits."""
        told = msgspec.json.encode((self.dialect, self.source, self.old_id))
        return hashlib.sha256(told).hexdigest()

    @property
    def own_id(self) -> uuid.UUID:
        """The id that the row gets where it brings none, or none that is free. It is made of what the row is known by
        and of nothing else, so that a row that is sent again, with another time as well, does not become a second
        media. A UUIDv8: it has no time."""
        value = int(self.identity[:32], 16)
        value = value & ~(0xF << 76) | 0x8 << 76
        return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def parse(of: Callable[[str], str | None]) -> Import:
    """`of` gives what the query says by name. Raises Invalid that names the parameter, its value and what is
    allowed."""
    return Import(
        dialect=_one_of("dialect", _needed(of, "dialect"), DIALECTS),
        source=_text(of, "source") or "",
        old_id=_needed(of, "old_id"),
        owner=_owner(_needed(of, "owner")),
        owner_name=_text(of, "owner_name"),
        number=_number(of("number")),
        public_id=_public_id(of("public_id")),
        id=_id(of("id"), of("public_id")),
        created_at=_created_at(_needed(of, "created_at")),
        moderation=_moderation(of("moderation")),
    )


def _text(of: Callable[[str], str | None], name: str) -> str | None:
    value = of(name)
    if value is not None and (len(value) > _MOST_TEXT or not value.isprintable()):
        raise Invalid(
            f"{name} is {value[:40]!r}; allowed are at most {_MOST_TEXT} characters that can be printed.",
            field=name,
        )
    return value or None


def _needed(of: Callable[[str], str | None], name: str) -> str:
    value = _text(of, name)
    if value is None:
        raise Invalid(f"The parameter {name} is missing; an import says it of every media.", field=name)
    return value


def _one_of(name: str, value: str, allowed: tuple[Dialect, ...]) -> Dialect:
    for known in allowed:
        if known == value:
            return known
    raise Invalid(f"{name} is {value[:40]!r}; allowed are {', '.join(allowed)}.", field=name)


def _owner(value: str) -> str:
    if not may_be_sub(value):
        raise Invalid(f"The owner {value[:80]!r} is not valid.", field="owner")
    return value


def _number(value: str | None) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20 and 0 < int(value) <= MOST_NUMBER):
        raise Invalid(
            f"number is {value[:40]!r}; allowed is a whole number from 1 to {MOST_NUMBER}.", field="number"
        )
    return int(value)


def _id(value: str | None, public_id: str | None) -> uuid.UUID | None:
    """A public id that is one of ours says the id as well."""
    found = parse_ref(value or public_id or "")
    if value and found is None:
        raise Invalid(f"id is {value[:40]!r}; allowed is a UUID.", field="id")
    return found


def _public_id(value: str | None) -> str | None:
    if not value or parse_ref(value) is not None:
        return None
    if not _PUBLIC_ID.fullmatch(value):
        raise Invalid(
            f"public_id is {value[:40]!r}; allowed are MED- and 1 to 60 of a-z, A-Z, 0-9, '.', '_' and '-'.",
            field="public_id",
        )
    return value


def _created_at(value: str) -> datetime:
    try:
        found = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        found = None
    latest = datetime.now(UTC) + timedelta(days=1)
    if found is None or found.tzinfo is None or not _FIRST <= found <= latest:
        raise Invalid(
            f"created_at is {value[:40]!r}; allowed is a time as 2024-01-31T12:00:00Z, from 1970 until now.",
            field="created_at",
        )
    return found.astimezone(UTC)


def _moderation(value: str | None) -> ModerationState | None:
    for known in get_args(ModerationState):
        if known == value:
            return known  # type: ignore[no-any-return]
    if value:
        allowed = ", ".join(get_args(ModerationState))
        raise Invalid(f"moderation is {value[:40]!r}; allowed are {allowed}.", field="moderation")
    return None
