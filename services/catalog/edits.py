"""What people may change on a media: which values are acceptable, and which columns they become."""

from typing import Any

from msgspec import UNSET

from services.catalog.rows import Record
from services.catalog.schemas import MediaPatch
from shared.errors import Invalid
from shared.fields import check_metadata, check_metadata_depth, check_tags, check_text
from shared.formats import BY_MIME, UNKNOWN, name_says_other
from shared.names import check_name

_TEXTS = ("description", "alt_text", "caption")
_PLACES = ("is_public", "is_primary", "sort_order")


def columns(patch: MediaPatch, row: Record, *, replace_metadata: bool = False) -> dict[str, Any]:
    """The columns that differ afterwards; metadata is merged unless it is to be replaced. Raises Invalid that names
    the field."""
    asked: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(patch, name)
        if value is not UNSET:
            asked[name] = None if value is None else check_text(name, value)
    for name in _PLACES:
        value = getattr(patch, name)
        if value is not UNSET:
            asked[name] = value
    if patch.filename is not UNSET:
        asked["filename"] = _filename(patch.filename, row["mime_type"])
    if patch.tags is not UNSET:
        asked["tags"] = list(check_tags(patch.tags or ()))
    if patch.metadata is not UNSET:
        asked["metadata"] = _metadata(row["metadata"], patch.metadata, replace=replace_metadata)
    changed = {name: value for name, value in asked.items() if row[name] != value}
    if row["entity_type"] is None and changed.keys() & {"is_primary", "sort_order"}:
        raise Invalid(
            "This media hangs on no entity, so is_primary and sort_order mean nothing for it.",
            field="is_primary",
        )
    return changed


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


def _filename(given: str, mime: str) -> str:
    name = check_name(given)
    said = name_says_other(name, BY_MIME.get(mime, UNKNOWN))
    if said:
        raise Invalid(
            f"The name {name!r} says {said}, but the file is {mime}. Give it the name of what it is.",
            field="filename",
        )
    return name


def _metadata(known: dict[str, Any], patch: dict[str, Any] | None, *, replace: bool) -> dict[str, Any]:
    if patch is None:
        return {}
    if replace:
        return check_metadata(patch)
    check_metadata_depth(patch)  # before it is merged, which goes as deep as it does
    return check_metadata(merged(known, patch))
