"""The columns of the older systems' tables, by what they mean here."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from shared.errors import Invalid

Dialect: TypeAlias = Literal["personas", "library", "content", "mediafiles", "entities"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
ID = "id"
_COMMON: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "path": ("file_path", "storage_path"),
    "filename": ("filename", "file_name"),
    "size": ("file_size", "size"),
    "sha256": ("sha256", "checksum", "file_hash"),
    "mime_type": ("mime_type", "content_type"),
    "created_at": ("created_at", "uploaded_at"),
}
_WORDS = {"description": ("description",), "alt_text": ("alt_text",), "caption": ("caption",), "tags": ("tags",),
          "metadata": ("metadata", "media_metadata"), "is_public": ("is_public",)}  # fmt: skip


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One system's table. `columns`: by what it means, the columns that may have it, the first that has a value counts;
    a dot leads into an object. `keeps`: which id of ours its `id` is. `owner`: who owns what has no owner, None where
    every row must have one. `entity_type`: what all its media hang on; `hangs`: each of them does."""

    columns: Mapping[str, tuple[str, ...]]
    keeps: Literal["number", "uuid"] = "number"
    owner: str | None = None
    entity_type: str | None = None
    hangs: bool = False


def _shape(
    columns: Mapping[str, tuple[str, ...]],
    *,
    keeps: Literal["number", "uuid"] = "number",
    owner: str | None = None,
    entity_type: str | None = None,
    hangs: bool = False,
) -> Shape:
    return Shape(
        columns={**_COMMON, **columns}, keeps=keeps, owner=owner, entity_type=entity_type, hangs=hangs
    )


SHAPES: Mapping[Dialect, Shape] = {
    "personas": _shape(
        {
            "filename": ("original_filename", "filename"),
            "owner": ("user_id",),
            "entity_id": ("persona_id",),
            "description": ("description",),
        },
        entity_type="persona",
        hangs=True,
    ),
    "library": _shape(
        {
            **_WORDS,
            "path": ("file_path", "storage_path", "storage_key", "path", "key", "url"),
            "owner": ("user_id",),
        },
        owner="anonymous",
    ),
    "content": _shape(
        {
            **_WORDS,
            "path": ("storage_path", "file_path", "url"),
            "owner": ("uploaded_by",),
            "entity_id": ("content_id",),
        },
        keeps="uuid",
        entity_type="content",
    ),
    "mediafiles": _shape(
        {
            **_WORDS,
            "path": ("file", "original_file", "file_path", "original", "urls.original", "original_url"),
            "filename": ("original_filename", "filename", "file_name"),
            "owner": ("user_id", "user"),
            "owner_name": ("user_username", "username"),
        }
    ),
    "entities": _shape(
        {
            **_WORDS,
            "path": ("storage_path", "storage_key", "file_path", "original_path", "original_url", "url"),
            "filename": ("original_filename", "filename", "file_name"),
            "owner": ("uploaded_by", "user_id", "owner_id"),
            "public_id": ("public_id",),
            "entity_type": ("entity_type",),
            "entity_id": ("entity_id",),
            "entity_field": ("entity_field",),
            "display_id": ("entity_display_id", "display_id", "entity_public_id"),
            "entity_owner": ("entity_owner", "entity_owner_id"),
            "is_primary": ("is_primary",),
            "sort_order": ("sort_order",),
            "moderation": ("moderation_status",),
        },
        hangs=True,
    ),
}
_NULLS = {"", "\\N", "NULL"}


def check(
    dialect: Dialect, there: Mapping[str, Any], renamed: Mapping[str, str], owner: str | None = None
) -> None:
    """Of the first row. `owner`: who owns what names nobody. Raises Invalid where the export lacks what every row
    needs, or a renamed column."""
    for name in renamed:
        if name not in there:
            raise Invalid(f"--map names the column {name!r}; the export has {_listed(there)}.")
    found = {renamed.get(name, name) for name in there}
    shape = SHAPES[dialect]
    owned = shape.owner or owner
    for theirs, ours in renamed.items():
        if ours in there and ours not in renamed:
            raise Invalid(f"--map calls the column {theirs!r} {ours!r}, which the export has already.")
    hangs = [name for name in ("entity_type", "entity_id") if shape.hangs and name in shape.columns]
    for meaning in (ID, "path", *(() if owned else ("owner",)), *hangs):
        names = shape.columns[meaning]
        if not any(name.split(".")[0] in found for name in names):
            raise Invalid(
                f"An export of {dialect} has a column {' or '.join(names)}; this one has {_listed(there)}. "
                "--map theirs=ours gives a column another name."
            )


def value(shape: Shape, cells: Mapping[str, Any], meaning: str) -> Any:
    """What a row has of that; None where it has nothing."""
    for name in shape.columns.get(meaning, ()):
        found: Any = cells
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, str) and found.strip() in _NULLS:
            found = None
        if found is not None:
            return found
    return None


def _listed(there: Mapping[str, Any]) -> str:
    return ", ".join(list(there)[:40])[:600]
