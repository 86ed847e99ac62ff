"""One row of an export as what an upload says, checked: what no server would take is told before a file is read."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec

from shared import entities
from shared.cli.importing.columns import SHAPES, Dialect, Shape, value
from shared.errors import Invalid
from shared.fields import TEXT_CHARS, check_metadata, check_tags, check_text
from shared.imports import MOST_NUMBER
from shared.names import display_name

_MOST_NUMBER = 2**63 - 1
_PUBLIC_ID = re.compile(r"MED-[A-Za-z0-9._-]{1,60}")
_TRUE, _FALSE = {"true", "t", "1", "yes", "y", "on"}, {"false", "f", "0", "no", "n", "off"}
_MODERATION = {"approved", "pending", "rejected", "flagged"}
_BEFORE_NAME = re.compile(r"\d+_(?=.)")


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """What a row hangs on, and who owns it where the export says so."""

    type: str
    id: str
    owners: tuple[str, ...] = ()
    display_id: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`query` and `fields` are what the upload says; `created_at` None where the export does not tell. `number`: what
    room is made for. `size`, `sha256` and `mime_type` are what the export says of the file."""

    line: int
    old_id: str
    path: str
    filename: str
    number: int | None
    created_at: datetime | None
    query: dict[str, str]
    fields: dict[str, str]
    entity: Entity | None
    size: int | None
    sha256: str | None
    mime_type: str | None


def old_id_of(dialect: Dialect, cells: Mapping[str, Any]) -> str:
    """The id of the row in its usual form. Raises Invalid."""
    said = value(SHAPES[dialect], cells, "id")
    if SHAPES[dialect].keeps == "uuid":
        try:
            return str(uuid.UUID(str(said).strip()))
        except ValueError as error:
            raise Invalid(f"id is {_brief(said)}; allowed is a UUID.") from error
    return str(_whole("id", said, least=1))


def number_of(dialect: Dialect, old_id: str) -> int | None:
    """The number that the row would keep; None where it has none, or one that is too high for that."""
    if SHAPES[dialect].keeps != "number":
        return None
    return int(old_id) if int(old_id) <= MOST_NUMBER else None


def row_of(dialect: Dialect, cells: Mapping[str, Any], line: int, default_owner: str | None) -> Row:
    """Raises Invalid for the first column that cannot be taken."""
    shape = SHAPES[dialect]
    old_id = old_id_of(dialect, cells)
    owner = _owner(value(shape, cells, "owner"), default_owner or shape.owner)
    path = _text("path", value(shape, cells, "path"))
    if path is None:
        raise Invalid("No column says where the file lies.")
    entity = _entity(shape, cells, owner)
    number = number_of(dialect, old_id)
    said = {
        "owner": owner,
        "owner_name": _text("owner_name", value(shape, cells, "owner_name")),
        "number": None if number is None else str(number),
        "id": old_id if shape.keeps == "uuid" else None,
        "public_id": _public_id(value(shape, cells, "public_id")),
        "moderation": _moderation(value(shape, cells, "moderation")),
    }
    size = value(shape, cells, "size")
    return Row(
        line=line,
        old_id=old_id,
        path=path,
        filename=_filename(dialect, _text("filename", value(shape, cells, "filename")), path),
        number=number,
        created_at=_time(value(shape, cells, "created_at")),
        query={name: text for name, text in said.items() if text},
        fields=_fields(shape, cells, entity),
        entity=entity,
        size=None if size is None else _whole("file_size", size),
        sha256=_digest(value(shape, cells, "sha256")),
        mime_type=_text("mime_type", value(shape, cells, "mime_type")),
    )


def digest_of(row: Row) -> str:
    """What the row says, whatever its line."""
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(row, line=0))).hexdigest()


def _fields(shape: Shape, cells: Mapping[str, Any], entity: Entity | None) -> dict[str, str]:
    texts = {name: check_text(name, _text(name, value(shape, cells, name)) or "") for name in TEXT_CHARS}
    is_public = _boolean("is_public", value(shape, cells, "is_public"))
    metadata = _metadata(value(shape, cells, "metadata"))
    found = {
        **texts,
        "tags": ",".join(_tags(value(shape, cells, "tags"))),
        "metadata": msgspec.json.encode(metadata).decode() if metadata else None,
        "is_public": None if is_public is None else str(is_public).lower(),
    }
    if entity is not None:
        primary = _boolean("is_primary", value(shape, cells, "is_primary"))
        order = value(shape, cells, "sort_order")
        found |= {
            "entity_type": entity.type,
            "entity_id": entity.id,
            "entity_field": _text("entity_field", value(shape, cells, "entity_field")),
            "is_primary": "true" if primary else None,
            "sort_order": None if order is None else str(_whole("sort_order", order, least=-(2**31))),
        }
    return {name: text for name, text in found.items() if text}


def _entity(shape: Shape, cells: Mapping[str, Any], owner: str) -> Entity | None:
    entity_type = shape.entity_type or _text("entity_type", value(shape, cells, "entity_type"))
    entity_id = _number_as_text("entity_id", _text("entity_id", value(shape, cells, "entity_id")))
    if entity_type is None or entity_id is None:
        if shape.hangs:
            names = " or ".join(shape.columns["entity_id" if entity_type else "entity_type"])
            raise Invalid(f"{names} is empty; each row of this system hangs on something.")
        return None
    entities.check_name(entity_type, entity_id)
    said = _text("entity_owner", value(shape, cells, "entity_owner"))
    owners = {"persona": owner, "user": entity_id}.get(entity_type, said)
    display_id = _text("display_id", value(shape, cells, "display_id"))
    return Entity(type=entity_type, id=entity_id, owners=(owners,) if owners else (), display_id=display_id)


def _text(name: str, said: Any) -> str | None:
    """A cell as a text: whole numbers are some, lists are none."""
    if said is None or isinstance(said, bool):
        return None
    if not isinstance(said, str | int):
        raise Invalid(f"{name} is {_brief(said)}; allowed is a text.")
    text = str(said).strip()
    if "\0" in text:
        raise Invalid(f"{name} contains a NUL character, which is not allowed.")
    _check_characters(name, text)
    return text or None


def _check_characters(name: str, text: str) -> None:
    """JSON can say halves of characters, which nothing can keep."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"{name} contains half of a character, which is not allowed.") from error


def _owner(said: Any, default: str | None) -> str:
    found = _number_as_text("owner", _text("owner", said)) or default
    if found is None:
        raise Invalid("The row names no owner; --owner says who owns such rows.")
    if len(found) > 255 or not found.isprintable():
        raise Invalid(f"The owner {_brief(found)} can be none.")
    return found


def _number_as_text(name: str, text: str | None) -> str | None:
    """Tools that know no empty whole number write 7.0; nobody is called that."""
    if text is not None and re.fullmatch(r"[0-9]+\.0+", text):
        raise Invalid(f"{name} is {_brief(text)}; allowed is {text.partition('.')[0]}, without a fraction.")
    return text


def _whole(name: str, said: Any, least: int = 0) -> int:
    text = str(said).strip() if isinstance(said, str | int) and not isinstance(said, bool) else ""
    if re.fullmatch(r"-?[0-9]{1,19}", text) and least <= int(text) <= _MOST_NUMBER:
        return int(text)
    raise Invalid(f"{name} is {_brief(said)}; allowed is a whole number from {least} to {_MOST_NUMBER}.")


def _boolean(name: str, said: Any) -> bool | None:
    if said is None or isinstance(said, bool):
        return said
    text = str(said).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise Invalid(f"{name} is {_brief(said)}; allowed are true and false.")


def _tags(said: Any) -> tuple[str, ...]:
    """A list, the same as JSON or as PostgreSQL prints it, or words between commas."""
    if isinstance(said, str):
        text = said.strip()
        if text.startswith("["):
            said = _json("tags", text)
        else:
            said = [word.strip().strip('"') for word in text.removeprefix("{").removesuffix("}").split(",")]
    if said is None:
        return ()
    if not isinstance(said, list) or not all(isinstance(tag, str) for tag in said):
        raise Invalid(f"tags is {_brief(said)}; allowed is a list of texts.")
    _check_characters("tags", "".join(said))
    return check_tags(tag for tag in said if tag.strip())


def _metadata(said: Any) -> dict[str, Any]:
    found = _json("metadata", said) if isinstance(said, str) else said
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Invalid(f"metadata is {_brief(said)}; allowed is a JSON object.")
    try:
        return check_metadata(found)
    except UnicodeError as error:
        raise Invalid("metadata contains half of a character, which is not allowed.") from error


def _json(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Invalid(f"{name} is no JSON: {error}.") from error


def _time(said: Any) -> datetime | None:
    """Without a zone it is UTC, as the older systems wrote it."""
    if said is None or str(said).startswith("0000-00-00"):  # so MySQL writes that there is none
        return None
    try:
        found = datetime.fromisoformat(str(said).strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"created_at is {_brief(said)}; allowed is a time as 2024-01-31 12:00:00.") from error
    if found.year < 1970 or found > datetime.now(UTC) + timedelta(days=1):
        raise Invalid(f"created_at is {_brief(said)}; allowed is 1970 until now.")
    return found


def _digest(said: Any) -> str | None:
    """Only SHA-256 can be compared; other sums are left alone."""
    text = str(said or "").strip().lower()
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else None


def _public_id(said: Any) -> str | None:
    text = _text("public_id", said)
    if text is not None and not _PUBLIC_ID.fullmatch(text):
        raise Invalid(f"public_id is {_brief(text)}; allowed is MED- and up to 60 letters and digits.")
    return text


def _moderation(said: Any) -> str | None:
    text = (_text("moderation_status", said) or "").lower()
    if text and text not in _MODERATION:
        raise Invalid(f"moderation_status is {_brief(said)}; allowed are {', '.join(sorted(_MODERATION))}.")
    return text or None


def _filename(dialect: Dialect, said: str | None, path: str) -> str:
    """Mediafiles keeps the name only behind the number in the path."""
    if said is None:
        said = path.replace("\\", "/").rsplit("/", 1)[-1]
        if path.startswith(("http://", "https://")):
            said = unquote(said.partition("?")[0])
        if dialect == "mediafiles":
            said = _BEFORE_NAME.sub("", said, count=1)
    return display_name(said)


def _brief(said: Any) -> str:
    text = repr(said)
    return text if len(text) <= 60 else f"{text[:57]}..."
