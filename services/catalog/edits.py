"""What people may change on a media: which values are acceptable, and which columns they become."""

import unicodedata
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from services.catalog.rows import Record
from services.catalog.schemas import MediaPatch
from shared.errors import Invalid

METADATA_BYTES = 16 * 1024
METADATA_DEPTH = 32
_FILENAME_BYTES = 255
_TEXTS = ("description", "alt_text", "caption", "is_public", "is_primary", "sort_order")
# Letters that turn the direction of text hide what a name ends in.
_BIDI = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\u200e", "\u200f", "\u061c"}


def columns(patch: MediaPatch, row: Record) -> dict[str, Any]:
    """The columns that differ afterwards. Raises Invalid that names the field."""
    asked: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(patch, name)
        if value is not UNSET:
            asked[name] = _no_nul(name, value)
    if patch.filename is not UNSET:
        asked["filename"] = filename(patch.filename)
    if patch.tags is not UNSET:
        asked["tags"] = _tags(patch.tags or ())
    if patch.metadata is not UNSET:
        asked["metadata"] = _metadata(row["metadata"], patch.metadata)
    changed = {name: value for name, value in asked.items() if row[name] != value}
    if row["entity_type"] is None and changed.keys() & {"is_primary", "sort_order"}:
        raise Invalid(
            "This media hangs on no entity, so is_primary and sort_order mean nothing for it.",
            field="is_primary",
        )
    return changed


def filename(name: str) -> str:
    """A display name in NFC. Raises Invalid for what could mislead or escape."""
    plain = unicodedata.normalize("NFC", name)
    bad = [c for c in plain if unicodedata.category(c) in {"Cc", "Cs"} or c in _BIDI or c in "/\\"]
    if bad or plain.startswith(".") or not plain.strip() or len(plain.encode()) > _FILENAME_BYTES:
        raise Invalid(
            f"The filename {name[:80]!r} is not acceptable; allowed are 1 to {_FILENAME_BYTES} bytes without control "
            "characters, slashes, direction marks and a leading dot.",
            field="filename",
        )
    return plain


def merged(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def _metadata(known: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    if _depth(patch) > METADATA_DEPTH:
        raise Invalid(f"The metadata is nested deeper than {METADATA_DEPTH} levels.", field="metadata")
    found = {} if patch is None else merged(known, patch)
    encoded = msgspec.json.encode(found)
    if len(encoded) > METADATA_BYTES:
        raise Invalid(
            f"The metadata would be {len(encoded)} bytes of JSON; at most {METADATA_BYTES} are allowed.",
            field="metadata",
        )
    if b"\\u0000" in encoded and _holds_nul(found):
        raise Invalid("The metadata contains a NUL character, which is not allowed.", field="metadata")
    return dict(found)


def _depth(value: Any) -> int:
    """How many levels deep a value is, without recursion: it may be as deep as the parser allows."""
    depth, level = 0, [value]
    while level := [item for outer in level for item in _inner(outer)]:
        depth += 1
    return depth


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _tags(tags: tuple[str, ...]) -> list[str]:
    """Each once, in the order given."""
    return [_no_nul("tags", tag) for tag in dict.fromkeys(tags)]


def _no_nul(field: str, value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise Invalid(f"The field {field} contains a NUL character, which is not allowed.", field=field)
    return value


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value
