"""How a row becomes the media object that everybody sees."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, RowMapping, Select, Uuid, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import rights
from services.catalog.hashes import to_hex
from services.catalog.models import media, variants
from shared.auth import Caller
from shared.dialects.view import View
from shared.events.messages import Colour, EntityLink, VariantRef
from shared.ids import public_id
from shared.media import Media, MediaError, media_url, show_variants

THUMBNAIL = "thumbnail"
OUTSIDE: dict[str, Any] = {"timings": {}, "warnings": ()}
"""What a media object shows instead to those who may not change the media."""
PLACE_TAKEN = "gps"
"""Of EXIF what is left out for them: it may be somebody's home."""
Shaped: TypeAlias = Select[Any]
Record: TypeAlias = RowMapping | Mapping[str, Any]

_pairs: list[ColumnElement[Any]] = []
for _name in (name for name in VariantRef.__struct_fields__ if name != "sha256"):  # nobody is shown it
    _pairs += [literal_column(f"'{_name}'"), variants.c[_name]]
_one_variant = func.jsonb_build_object(*_pairs)
_variants: ColumnElement[Any] = (
    select(func.jsonb_agg(aggregate_order_by(_one_variant, variants.c.position), type_=JSONB))
    .where(variants.c.media_id == media.c.id)
    .correlate(media)
    .scalar_subquery()
    .label("variants")
)


def shaped(*extra: ColumnElement[Any]) -> Shaped:
    """A select of everything that `show` needs, and of `extra`."""
    return select(media, _variants, *extra)


_ONE = shaped().where(media.c.id == bindparam("media_id"))


def refs(row: Record) -> tuple[VariantRef, ...]:
    """The variants of a shaped row, in the order of the recipe."""
    return tuple(VariantRef(**found) for found in row["variants"] or ())


async def stored_variants(connection: AsyncConnection, media_id: uuid.UUID) -> tuple[VariantRef, ...]:
    """What the newest result of a media has made, with its digests, in the order of the recipe."""
    found = select(*(variants.c[name] for name in VariantRef.__struct_fields__)).where(
        variants.c.media_id == media_id
    )
    rows = (await connection.execute(found.order_by(variants.c.position))).mappings()
    return tuple(VariantRef(**row) for row in rows)


def show(row: Record, base_url: str) -> Media:
    """The media object of a shaped row."""
    media_id: uuid.UUID = row["id"]
    url = media_url(base_url, media_id)
    shown = show_variants(base_url, media_id, refs(row))
    return Media(
        id=media_id,
        public_id=public_id(media_id),
        number=row["number"],
        status=row["status"],
        error=_error(row),
        media_type=row["media_type"],
        mime_type=row["mime_type"],
        filename=row["filename"],
        size=row["size"],
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
        duration=row["duration"],
        bitrate=row["bitrate"],
        description=row["description"],
        alt_text=row["alt_text"],
        caption=row["caption"],
        tags=tuple(row["tags"]),
        metadata=row["metadata"],
        exif=row["exif"],
        taken_at=row["taken_at"],
        phash=to_hex(row["phash"]),
        dhash=to_hex(row["dhash"]),
        ahash=to_hex(row["ahash"]),
        colour_hash=row["colour_hash"],
        colours=tuple(Colour(**found) for found in row["colours"]),
        placeholder=row["placeholder"],
        timings=row["timings"],
        warnings=tuple(row["warnings"]),
        is_public=row["is_public"],
        moderation=row["moderation"],
        profile=row["profile"],
        entity=_entity(row),
        owner=row["owner"],
        url=url,
        download_url=f"{url}/download",
        thumbnail_url=next((v.url for v in shown if v.name == THUMBNAIL), None),
        variants=shown,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _error(row: Record) -> MediaError | None:
    if row["error_code"] is None:
        return None
    return MediaError(code=row["error_code"], detail=row["error_detail"])


def _entity(row: Record) -> EntityLink | None:
    if row["entity_type"] is None:
        return None
    return EntityLink(
        type=row["entity_type"],
        id=row["entity_id"],
        field=row["entity_field"] or "",
        is_primary=row["is_primary"],
        sort_order=row["sort_order"],
    )


async def load(connection: AsyncConnection, media_id: uuid.UUID, base_url: str) -> Media | None:
    """A media by its id, whoever asks: for events, never for an answer to a caller."""
    row = (await connection.execute(_ONE, {"media_id": media_id})).mappings().first()
    return None if row is None else show(row, base_url)


def shaped_for(caller: Caller, *extra: ColumnElement[Any]) -> Shaped:
    """As `shaped`, with `may_change`: what `show_to_caller` needs."""
    return shaped(rights.changeable(caller).label("may_change"), *extra)


async def shaped_rows(connection: AsyncConnection, caller: Caller, ids: Iterable[uuid.UUID]) -> list[Record]:
    """The shaped rows of these ids in their order, without those that row-level security keeps from the caller."""
    wanted = list(ids)
    if not wanted:
        return []
    found = shaped_for(caller).where(media.c.id == any_(bindparam("ids", wanted, ARRAY(Uuid))))
    rows = {row["id"]: row for row in (await connection.execute(found)).mappings()}
    return [rows[media_id] for media_id in wanted if media_id in rows]


def show_to_caller(row: Record, base_url: str) -> Media:
    """How a media was made, and where a picture was taken, is the business of those who may change it."""
    shown = show(row, base_url)
    if row["may_change"]:
        return shown
    return msgspec.structs.replace(shown, **OUTSIDE, exif=without_place(shown.exif))


def without_place(exif: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in exif.items() if name != PLACE_TAKEN}


def view(row: Record, base_url: str) -> View:
    """What a dialect shapes its answer from, under the same rule as `show_to_caller`."""
    return View(
        media=show_to_caller(row, base_url),
        key=row["key"],
        owner_uid=row["owner_uid"],
        owner_name=row["owner_name"],
        imported_as=row["imported_as"],
    )
