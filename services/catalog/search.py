"""Searches: a page of what a filter and words let through, and where the words stand."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import candidates, relevance, texts_highlights, texts_index, texts_query
from services.catalog.candidates import Found, Search
from services.catalog.cursors import Place
from services.catalog.database import Database
from services.catalog.filters.language import Both, Condition, Filter
from services.catalog.models import media, media_texts
from services.catalog.queries import Filters, Page
from services.catalog.rows import shaped_for, show_to_caller
from services.catalog.schemas import Match
from services.catalog.texts_highlights import Sought
from services.catalog.texts_query import Question
from services.catalog.texts_stems import Stems
from shared.auth import Caller
from shared.media import Media

_PARAMETERS = ("media_type", "status", "entity_type", "entity_id", "owner", "is_public", "sha256")
TEXT_CHARACTERS = 16_384
"""Of a document or any other text, in which words are marked; on a page of many media fewer:"""
PAGE_CHARACTERS = 400_000
"""marking a million costs about a second."""


class SearchPageFound(msgspec.Struct, frozen=True, kw_only=True):
    """`matches` is None where no words were asked for."""

    items: list[Media]
    matches: list[Match] | None
    end: Place | None


async def search_media(
    database: Database, search: Search, *, question: Question | None, stems: Stems, base_url: str
) -> SearchPageFound:
    """One page in the order of `search`, of what the caller may see. `question` holds the words, in place of the
    search's own."""
    if question is not None:
        await texts_index.catch_up(database, stems)
    async with database.reading() as connection:
        if question is not None:
            known = await stems.of(connection, question.words)
            search = msgspec.structs.replace(search, tsquery=texts_query.as_tsquery(question, known))
        found = await _found(connection, search)
    items = await shown(database, search.caller, found.ids, base_url)
    matches = None
    if question is not None:
        ranks = dict(zip(found.ids, found.ranks, strict=False))
        matches = await _matches(database, items, question, stems, ranks)
    return SearchPageFound(items=items, matches=matches, end=found.end)


async def _found(connection: AsyncConnection, search: Search) -> Found:
    if search.tsquery == "":
        return Found()
    by_relevance = search.sort == "relevance"
    return await (relevance.find if by_relevance else candidates.find)(connection, search)


async def sorted_page(database: Database, search: Search, base_url: str) -> Page:
    """One page of a list in any order."""
    async with database.reading() as connection:
        found = await candidates.find(connection, search)
    return Page(items=await shown(database, search.caller, found.ids, base_url), end=found.end)


def as_filter(filters: Filters) -> Filter:
    """The query parameters of a list as the filter that says the same."""
    asked = {name: getattr(filters, name) for name in _PARAMETERS}
    return Both(
        tuple(
            Condition(name=name, operator="eq", value=value)
            for name, value in asked.items()
            if value is not None
        )
    )


async def shown(database: Database, caller: Caller, ids: Sequence[uuid.UUID], base_url: str) -> list[Media]:
    """These media as the caller may see them, in this order."""
    if not ids:
        return []
    wanted = shaped_for(caller).where(media.c.id == any_(bindparam("ids", list(ids), ARRAY(Uuid))))
    async with database.reading_for(caller) as connection:
        rows = {row["id"]: row for row in (await connection.execute(wanted)).mappings()}
    return [show_to_caller(rows[media_id], base_url) for media_id in ids if media_id in rows]


async def _matches(
    database: Database,
    items: Sequence[Media],
    question: Question,
    stems: Stems,
    ranks: Mapping[uuid.UUID, float],
) -> list[Match]:
    """Of media that the caller has been found to see."""
    ids = bindparam("ids", [one.id for one in items], ARRAY(Uuid))
    long = min(TEXT_CHARACTERS, PAGE_CHARACTERS // max(len(items), 1))
    beginning = func.left(media_texts.c.document, long)
    async with database.reading() as connection:
        asked = select(media_texts.c.media_id, beginning).where(
            media_texts.c.media_id == any_(ids), media_texts.c.document.is_not(None)
        )
        documents = {row[0]: row[1] for row in (await connection.execute(asked)).all()}
        texts = {one.id: _texts(one, documents.get(one.id), long) for one in items}
        said = [text for fields in texts.values() for several in fields.values() for text in several]
        near = await asyncio.to_thread(texts_highlights.near, question, said)
        known = await stems.of(connection, near | question.words)

    def marked() -> list[Match]:
        asked = texts_highlights.sought(question, known)
        return [
            Match(id=one.id, rank=ranks.get(one.id), highlights=_highlights(texts[one.id], asked))
            for one in items
        ]

    return await asyncio.to_thread(marked)  # what documents say is long


def _texts(one: Media, document: str | None, long: int) -> dict[str, tuple[str, ...]]:
    said = {
        "filename": (one.filename,),
        **{name: (str(one.exif.get(name) or ""),) for name in ("title", "artist", "album")},
        "caption": (one.caption,),
        "alt_text": (one.alt_text,),
        "description": (one.description,),
        "tags": one.tags,
        "document": (document,),
    }
    return {name: tuple(text[:long] for text in texts if text) for name, texts in said.items()}


def _highlights(texts: Mapping[str, tuple[str, ...]], asked: Sought) -> dict[str, tuple[str, ...]]:
    found = {
        name: tuple(piece for text in several for piece in texts_highlights.fragments(text, asked))[
            : texts_highlights.MOST_FRAGMENTS
        ]
        for name, several in texts.items()
    }
    return {name: pieces for name, pieces in found.items() if pieces}
