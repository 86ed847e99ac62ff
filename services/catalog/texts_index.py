"""Makes the words of media whose texts have changed: a trigger has noted them, in the transaction of the change.

Whoever searches first makes those that wait, so that what was answered is found; a background task makes them anyway.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import bindparam, exc, select, text
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.database import Database, lock_text
from services.catalog.models import marks
from services.catalog.texts import Weight, vector, words
from services.catalog.texts_stems import Stems
from shared.errors import RangeNotSatisfiable, Unavailable
from shared.storage.blobs import BlobMissing, Blobs

log = structlog.get_logger()

PAUSE_SECONDS = 0.5
AT_ONCE = 500
BEFORE_A_SEARCH = 200
"""Of what waits; where more waits, as after an upgrade, a search does without."""
DOCUMENT_BYTES = 1 << 20
"""Of a document's text, which are read and searched; the rest is not."""
PATIENCE_MS = 300
"""For which a search waits for somebody else who makes words: long documents take a while."""
_DOCUMENTS_AT_ONCE = 10
_MOST_DEAD = 2_000
_GREATLY = 25  # times as many while there is more to make
_READ_WITH = "texts_read_with"
"""The mark that says in which languages, and of which fields, all words were made."""

# The variant in which the processor tells what a document says, and whether that is what we have read.
_TOLD = "v.name = 'text' AND t.document_of IS DISTINCT FROM v.key || ' ' || coalesce(v.sha256, '')"
_WAITING = text("SELECT count(*) FROM (SELECT FROM text_changes LIMIT :most) AS several")
_CLAIM = text(
    "DELETE FROM text_changes WHERE ctid = ANY(ARRAY("  # noqa: S608 - made of our own words
    "SELECT c.ctid FROM text_changes AS c WHERE c.media_id = ANY(:read)"
    " OR NOT EXISTS (SELECT FROM variants AS v LEFT JOIN media_texts AS t ON t.media_id = v.media_id"
    f" WHERE v.media_id = c.media_id AND {_TOLD}) LIMIT :most)) RETURNING media_id"
).bindparams(bindparam("read", type_=ARRAY(UUID)))
_ROWS = text(
    "SELECT m.id, m.filename, m.caption, m.alt_text, m.description, m.tags, m.exif->>'title' AS title,"
    " m.exif->>'artist' AS artist, m.exif->>'album' AS album, t.document, v.media_id IS NOT NULL AS told,"
    " v.key || ' ' || coalesce(v.sha256, '') AS document_of FROM media AS m"
    " LEFT JOIN media_texts AS t ON t.media_id = m.id LEFT JOIN variants AS v ON v.media_id = m.id AND v.name = 'text'"
    " WHERE m.id = ANY(:ids) FOR KEY SHARE OF m SKIP LOCKED"  # of one that is just being deleted
).bindparams(bindparam("ids", type_=ARRAY(UUID)))
_KEEP = text(
    "INSERT INTO media_texts (media_id, words, document, document_of) VALUES (:id, CAST(:words AS tsvector), :document,"
    " :document_of) ON CONFLICT (media_id) DO UPDATE SET words = excluded.words, document = excluded.document,"
    " document_of = excluded.document_of"
)
_UNREAD = text(
    "SELECT DISTINCT v.media_id, v.key"  # noqa: S608 - made of our own words
    " FROM (SELECT media_id FROM text_changes LIMIT :most) AS c"
    " JOIN variants AS v ON v.media_id = c.media_id LEFT JOIN media_texts AS t ON t.media_id = v.media_id"
    f" WHERE {_TOLD} LIMIT {_DOCUMENTS_AT_ONCE}"
)
_AGAIN = text("INSERT INTO text_changes SELECT id FROM media WHERE id = ANY(:ids)").bindparams(
    bindparam("ids", type_=ARRAY(UUID))
)
_ALL = text("INSERT INTO text_changes SELECT id FROM media")
_SWEEP = text("VACUUM text_changes")


async def catch_up(database: Database, stems: Stems) -> None:
    """Make the words that wait, if they are few and nobody else is at it for long. Raises Unavailable."""
    async with database.reading() as connection:
        waiting = await connection.scalar(_WAITING, {"most": BEFORE_A_SEARCH + 1}) or 0
    if 0 < waiting <= BEFORE_A_SEARCH:
        with suppress(Unavailable):
            await make(database, stems, {}, most=BEFORE_A_SEARCH, patience_ms=PATIENCE_MS)


async def keep_making(database: Database, blobs: Blobs, stems: Stems, stop: asyncio.Event) -> None:
    """What waits, and all anew when the languages are others than they were, until `stop` is set."""
    dead, compared = 0, False
    while not stop.is_set():
        made = 0
        try:
            if not compared:
                await compare_languages(database, stems)
                compared = True
            made = await _make_some(database, blobs, stems)
            dead += made
            if dead > (_MOST_DEAD if made < AT_ONCE else _GREATLY * _MOST_DEAD):
                await _sweep_out(database)
                dead = 0
        except Unavailable as error:
            log.info("texts.not_made", reason=error.detail)
        except exc.DBAPIError as error:  # without words a catalog serves all but searches
            log.error("texts.failed", reason=str(error.orig)[:200])  # noqa: TRY400 - the text is not for logs
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.01 if made == AT_ONCE else PAUSE_SECONDS)


async def _make_some(database: Database, blobs: Blobs, stems: Stems) -> int:
    async with database.reading() as connection:
        if not await connection.scalar(_WAITING, {"most": 1}):
            return 0
        unread = (await connection.execute(_UNREAD, {"most": AT_ONCE})).all()
    documents: dict[uuid.UUID, tuple[str, str]] = {}
    for media_id, key in unread:
        # One that cannot be read must not keep the others out.
        with suppress(Unavailable):
            documents[media_id] = (key, await _read(blobs, key))
    return await make(database, stems, documents, most=AT_ONCE)


async def make(
    database: Database,
    stems: Stems,
    documents: Mapping[uuid.UUID, tuple[str, str]],
    *,
    most: int,
    patience_ms: int | None = None,
) -> int:
    """The words of media that wait, `most` at once; how many notes were taken. `documents`: keys and texts of those
    that were read, the others wait on. One process at a time: the last to write must be the last to have read. Raises
    Unavailable, also when somebody else is at it for longer than `patience_ms`."""
    async with database.writing(tell=False) as connection:
        if patience_ms is not None:
            await connection.execute(text(f"SET LOCAL lock_timeout = {patience_ms:d}"))
        await lock_text(connection, "texts")
        claimed = (await connection.scalars(_CLAIM, {"read": list(documents), "most": most})).all()
        if not claimed:
            return 0
        rows = [
            _with_document(dict(row), documents.get(row["id"]))
            for row in (await connection.execute(_ROWS, {"ids": list(set(claimed))})).mappings()
        ]
        left = set(claimed) - {row["id"] for row in rows}
        if left:  # gone, or about to go, which may come to nothing
            await connection.execute(_AGAIN, {"ids": list(left)})
        if rows and not await _kept(connection, stems, rows):
            for row in rows:
                if not await _kept(connection, stems, [row]):
                    log.error("texts.not_indexable", media_id=str(row["id"]))
                    await connection.execute(_KEEP, {**_noted(row), "document": None, "words": ""})
    return len(claimed)


async def _kept(connection: AsyncConnection, stems: Stems, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the database has taken the words of these; else nothing has happened. One that it never takes must not
    keep the others out, nor come again and again."""
    try:
        async with connection.begin_nested():
            await connection.execute(_KEEP, await _with_words(connection, stems, rows))
    except (exc.DBAPIError, ValueError) as error:
        if isinstance(error, exc.DBAPIError) and not _is_of_the_text(error):
            raise
        log.warning("texts.refused", media=len(rows), reason=str(getattr(error, "orig", error))[:200])
        return False
    return True


def _is_of_the_text(error: exc.DBAPIError) -> bool:
    """Rather than of the database: a wrong value, no tsvector, or a limit of one."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state[:2] in {"22", "54"} or state == "42601"


async def _with_words(
    connection: AsyncConnection, stems: Stems, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What is kept of each row. In a thread, because documents are long and others are waiting."""
    said = await asyncio.to_thread(lambda: {row["id"]: fields_of(row) for row in rows})
    asked = {word for fields in said.values() for _, found in fields for word in found}
    known = {word: found.stems for word, found in (await stems.of(connection, asked)).items()}
    return await asyncio.to_thread(
        lambda: [{**_noted(row), "words": vector(said[row["id"]], known)} for row in rows]
    )


def _noted(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "document", "document_of")}


def _with_document(row: dict[str, Any], read: tuple[str, str] | None) -> dict[str, Any]:
    """`document` of the row is what was read before; it stays where it is of the object that there is now."""
    if not row["told"]:
        return {**row, "document": None, "document_of": None}
    if read is not None and row["document_of"].startswith(f"{read[0]} "):
        return {**row, "document": read[1]}
    return row


def fields_of(row: Mapping[str, Any]) -> list[tuple[Weight, list[str]]]:
    """The folded words of a media, by what they weigh."""
    parts: tuple[tuple[Weight, str | None], ...] = (
        ("A", row["filename"]),
        ("A", row["title"]),
        ("B", row["artist"]),
        ("B", row["album"]),
        ("B", row["caption"]),
        ("B", row["alt_text"]),
        *(("B", tag) for tag in row["tags"]),
        ("C", row["description"]),
        ("D", row["document"]),
    )
    return [(weight, [word.folded for word in words(said)]) for weight, said in parts if said]


async def _read(blobs: Blobs, key: str) -> str:
    """What a document says, as far as it is searched; nothing where the object is gone."""
    try:
        async with blobs.get(key, length=DOCUMENT_BYTES) as chunks:
            data = b"".join([chunk async for chunk in chunks])
    except RangeNotSatisfiable:  # there is nothing in it
        return ""
    except BlobMissing:
        log.warning("texts.document_missing", key=key)
        return ""
    return data.decode(errors="ignore").replace("\0", "")


async def compare_languages(database: Database, stems: Stems) -> None:
    """Note every media where the words were made in other languages."""
    now = _number_of(stems.languages)
    async with database.writing(tell=False) as connection:
        await lock_text(connection, "texts")
        before = await connection.scalar(select(marks.c.value).where(marks.c.name == _READ_WITH))
        if before == now:
            return
        if before is not None:  # else the migration has noted them
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(_ALL)
            log.info("texts.all_to_be_made", languages=stems.languages)
        mark = upsert(marks).values(name=_READ_WITH, value=now)
        await connection.execute(
            mark.on_conflict_do_update(index_elements=[marks.c.name], set_={"value": mark.excluded.value})
        )


def _number_of(languages: tuple[str, ...]) -> int:
    """A number that other languages do not have, nor other fields."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "words 2 " + ",".join(sorted(languages))).int & (2**62 - 1)


async def _sweep_out(database: Database) -> None:
    """Notes that were taken are dead, but every look would still step over them."""
    async with database.reading() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(_SWEEP)
