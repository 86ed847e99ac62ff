"""Rows of variants that are lost or altered are made again from the newest result, which the stream still has."""

import uuid

import structlog
from sqlalchemy import delete, insert, select

from services.catalog.census import Census, Derived, Row
from services.catalog.database import Database, lock_media
from services.catalog.models import media, variants
from services.catalog.projector import variant_rows
from shared.storage.keys import VARIANTS

log = structlog.get_logger()


def altered(census: Census) -> dict[uuid.UUID, Derived]:
    """Media whose rows of variants are not those of the very result that the row is from."""
    told = census.story.derived
    return {
        row.id: told[row.id]
        for row in census.rows.values()
        if row.id in told and row.made == told[row.id].made and row.variants != told[row.id].variants
    }


async def restore(database: Database, media_id: uuid.UUID, told: Derived) -> bool:
    """Whether the media still was of that result. Raises Unavailable."""
    async with database.writing(tell=False) as connection:
        await lock_media(connection, media_id)
        found = await connection.execute(
            select(media.c.derived_generation, media.c.derived_at).where(media.c.id == media_id)
        )
        row = found.first()
        if row is None or (row.derived_generation, row.derived_at) != told.made:
            return False
        await connection.execute(delete(variants).where(variants.c.media_id == media_id))
        if told.variants:
            await connection.execute(insert(variants), variant_rows(media_id, told.variants))
    log.warning("media.variants_restored", media_id=str(media_id), variants=len(told.variants))
    return True


def misses_variants(row: Row, census: Census) -> bool:
    """Whether the pipeline can help: the original is there, and some of what was derived from it is not."""
    told = census.story.derived.get(row.id)
    due = told.variants if told is not None and told.made == row.made else ()
    return (
        row.status == "ready"
        and row.error_code is None  # to try what has failed for ever would be for ever
        and row.key in census.objects
        and any(file.key not in census.objects for file in (*row.variants, *due))
    )


def undecided(row: Row | None, key: str, census: Census) -> bool:
    """Whether an object that no row names is a variant of a media of which it cannot be said what it has: its result is
    under way, or the stream has lost it."""
    if row is None or not key.startswith(VARIANTS):
        return False
    return row.status == "processing" or (row.made is not None and row.id not in census.story.derived)
