"""Where an export, a file and what is here tell otherwise of one row."""

from collections.abc import Iterator

import msgspec

from shared.cli.importing.folder import Opened
from shared.cli.importing.row import Row
from shared.errors import TripodError
from shared.formats import BY_NAME
from shared.media import Media

_MOST = 60


class OtherFile(TripodError):
    """The row is here, with other bytes than the folder has."""


def check_same_file(row: Row, sha256: str, opened: Opened, there: Media) -> None:
    """Raises OtherFile."""
    if there.sha256 != sha256:
        raise OtherFile(
            f"{row.old_id} is here as {there.public_id} with another file: {there.size} bytes of SHA-256 "
            f"{there.sha256[:12]}, the folder has {opened.size} of {sha256[:12]}. Of another system it would be by "
            "another --source; a file that changed there since has to be uploaded anew."
        )


def of_file(row: Row, size: int, sha256: str | None, mime_type: str) -> Iterator[str]:
    """Of the export and the file. `sha256`: None where only its beginning was read."""
    if row.size is not None and row.size != size:
        yield f"the export says {row.size} bytes, the file has {size}"
    if row.sha256 is not None and sha256 is not None and row.sha256 != sha256:
        yield f"the export says SHA-256 {row.sha256}, the file has {sha256}"
    named = {known.mime for known in BY_NAME.get((row.mime_type or "").lower(), [])}
    if row.mime_type is not None and mime_type not in {row.mime_type.lower(), *named}:
        yield f"the export says {row.mime_type[:80]}, the file is {mime_type}"


def of_there(row: Row, there: Media) -> Iterator[str]:
    """Of the export and a media that was imported before: it may have changed there since, or here."""
    said, fields = row.query, row.fields
    pairs: list[tuple[str, object, object]] = [
        ("owner", said.get("owner"), there.owner),
        ("moderation_status", said.get("moderation", there.moderation), there.moderation),
        ("created_at", row.created_at or there.created_at, there.created_at),
        ("filename", row.filename, there.filename),
        ("description", fields.get("description", ""), there.description or ""),
        ("alt_text", fields.get("alt_text", ""), there.alt_text or ""),
        ("caption", fields.get("caption", ""), there.caption or ""),
        ("tags", fields.get("tags", ""), ",".join(there.tags)),
        ("metadata", msgspec.json.decode(fields.get("metadata", "{}")), there.metadata),
        ("is_public", fields.get("is_public", _word(there.is_public)), _word(there.is_public)),
        *_of_entity(row, there),
    ]
    for name, export, here in pairs:
        if export != here:
            yield f"{name} is {_brief(here)} here, {_brief(export)} in the export"


def _of_entity(row: Row, there: Media) -> Iterator[tuple[str, object, object]]:
    link, fields = there.entity, row.fields
    here = f"{link.type}/{link.id}" if link else ""
    yield "entity", f"{row.entity.type}/{row.entity.id}" if row.entity else "", here
    if link is not None and row.entity is not None:
        yield "entity_field", fields.get("entity_field", link.field), link.field
        yield "is_primary", fields.get("is_primary", _word(link.is_primary)), _word(link.is_primary)
        yield "sort_order", fields.get("sort_order", str(link.sort_order)), str(link.sort_order)


def _word(said: bool) -> str:  # noqa: FBT001 - the value itself
    return str(said).lower()


def _brief(said: object) -> str:
    text = str(said) if not isinstance(said, dict) else msgspec.json.encode(said).decode()
    return repr(text if len(text) <= _MOST else f"{text[: _MOST - 3]}...")
