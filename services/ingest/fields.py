"""What an upload says beside its bytes: the form's fields, or the query of a raw upload, as checked options."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, get_args

import msgspec

from shared import entities
from shared.errors import Invalid
from shared.events.messages import EntityLink, MediaType
from shared.fields import check_metadata, check_metadata_size, check_tags, check_text

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}
_FIELD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_MOST = 2**31 - 1
_PROFILE = "default"
OnDuplicate: TypeAlias = Literal["allow", "reject", "reuse"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """All that an upload may say of its file. `is_public` None: as the profile has it. `owner`: another than the
    caller, where the caller may say so. `media_type`: what it says that the file is; None where it says nothing.
    `within`: what the entity is a part of, whose rights go for the part unless it is registered by itself."""

    profile: str = _PROFILE
    entity: EntityLink | None = None
    description: str | None = None
    alt_text: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    is_public: bool | None = None
    on_duplicate: OnDuplicate = "allow"
    owner: str | None = None
    media_type: MediaType | None = None
    within: EntityLink | None = None


class Parse(Protocol):
    """Options of fields by name. Unless `complete`, more fields may follow."""

    def __call__(self, fields: Mapping[str, Sequence[str]], /, *, complete: bool = True) -> Options: ...


def parse(
    fields: Mapping[str, Sequence[str]], *, complete: bool = True, body_is_file: bool = False
) -> Options:
    """Options from fields by name. An empty value is as good as none. Unless `complete`, more fields may follow.

    Raises Invalid that names the field, its value and what is allowed; for an unknown field likewise, because a
    misspelt one would lose what it says.
    """
    unknown = [name for name in fields if name not in NAMES]
    if unknown:
        there = f"there are {', '.join(NAMES)}" if body_is_file else f"there are file, {', '.join(NAMES)}"
        file = "; the file is the body" if body_is_file and unknown[0] == "file" else ""
        raise Invalid(
            f"The field {unknown[0][:80]!r} is unknown; {there}{file}.",
            field=unknown[0][:80],
        )
    single = {name: _single(name, values) for name, values in fields.items() if name != "tags"}

    def of(name: str) -> str | None:
        return single.get(name) or None

    return Options(
        profile=of("profile") or _PROFILE,
        entity=_entity(of, complete=complete),
        description=check_text("description", of("description") or ""),
        alt_text=check_text("alt_text", of("alt_text") or ""),
        caption=check_text("caption", of("caption") or ""),
        tags=_tags(fields.get("tags", ())),
        metadata=_metadata(of("metadata")),
        is_public=_boolean("is_public", of("is_public")),
        on_duplicate=_on_duplicate(of("on_duplicate")),
    )


def translated(
    said: Mapping[str, Sequence[str]], takes: Mapping[str, str], preset: Mapping[str, str]
) -> dict[str, list[str]]:
    """Fields of a dialect as fields of ours: those that `takes` names (theirs to ours), the last of each, and
    `preset` on top. Others mean nothing there and are left out."""
    found = {ours: [said[theirs][-1]] for theirs, ours in takes.items() if said.get(theirs)}
    return found | {name: [value] for name, value in preset.items()}


def _single(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise Invalid(f"The field {name!r} is given {len(values)} times; once is allowed.", field=name)
    return values[0].strip()


def _entity(of: Callable[[str], str | None], *, complete: bool) -> EntityLink | None:
    entity_type, entity_id = of("entity_type"), of("entity_id")
    field = of("entity_field") or ""
    if not complete and (entity_type is None or entity_id is None):
        return None
    if entity_type is None and entity_id is None:
        for name in ("entity_field", "is_primary", "sort_order"):
            if of(name) is not None:
                raise Invalid(f"{name} says how a media hangs on an entity; entity_type and entity_id are missing.",
                              field=name)  # fmt: skip
        return None
    if entity_type is None or entity_id is None:
        missing = "entity_type" if entity_type is None else "entity_id"
        raise Invalid(f"entity_type and entity_id go together; {missing} is missing.", field=missing)
    entities.check_name(entity_type, entity_id)
    if field and not _FIELD.fullmatch(field):
        raise Invalid(
            f"The entity_field {field[:80]!r} is not valid; allowed are 1 to 64 of a-z, 0-9, '-' and '_', "
            "the first a letter.",
            field="entity_field",
        )
    return EntityLink(
        type=entity_type,
        id=entity_id,
        field=field,
        is_primary=_boolean("is_primary", of("is_primary")) or False,
        sort_order=_integer("sort_order", of("sort_order")) or 0,
    )


def _tags(values: Sequence[str]) -> tuple[str, ...]:
    """Tags by comma or by repeating the field."""
    return check_tags(tag for value in values for tag in value.split(",") if tag.strip())


def _metadata(value: str | None) -> dict[str, Any]:
    if value is None:
        return {}
    check_metadata_size(len(value.encode()))
    try:
        found = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"metadata is not JSON: {error}.", field="metadata") from error
    if not isinstance(found, dict):
        raise Invalid(f"metadata must be a JSON object, not {_json_type(found)}.", field="metadata")
    return check_metadata(found)


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "an array", str: "a text", bool: "a boolean"}.get(type(value), "a number")


def _boolean(name: str, value: str | None) -> bool | None:
    if value is None:
        return None
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise Invalid(f"{name} is {value[:40]!r}; allowed are true and false.", field=name)


def _integer(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not _INTEGER.fullmatch(value) or abs(int(value)) > _MOST:
        raise Invalid(
            f"{name} is {value[:40]!r}; allowed is a whole number from -{_MOST} to {_MOST}.", field=name
        )
    return int(value)


def _on_duplicate(value: str | None) -> OnDuplicate:
    for known in get_args(OnDuplicate):
        if known == (value or "allow"):
            return known  # type: ignore[no-any-return]
    raise Invalid(
        f"on_duplicate is {str(value)[:40]!r}; allowed are {', '.join(get_args(OnDuplicate))}.",
        field="on_duplicate",
    )


NAMES = (
    "profile", "entity_type", "entity_id", "entity_field", "description", "alt_text", "caption", "tags", "metadata",
    "is_public", "is_primary", "sort_order", "on_duplicate",
)  # fmt: skip
