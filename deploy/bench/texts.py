"""Searches for words and tags among a million media: rare and common ones, by somebody who sees all and by a user."""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from deploy.bench.results import Row, Setting, alone, compared
from services.catalog import texts_query
from services.catalog.candidates import Search
from services.catalog.cursors import Place
from services.catalog.database import Database
from services.catalog.filters.language import Condition
from services.catalog.schemas import SearchSort
from services.catalog.search import SearchPageFound, search_media
from services.catalog.texts_stems import DEFAULT, Stems
from shared.auth import Caller

# Half of all speak of the sea, a tenth of the beach, a hundredth of a harbour, ten of the lighthouse of their number.
FILL = """
INSERT INTO media_texts (media_id, words)
SELECT id, ('photo:1A jpg:3A at:15B ' || number || ':2A one' || number %% 7 || ':16B two' || number %% 89 || ':17B'
       || CASE WHEN number %% 2 = 0 THEN ' sea:14B' || CASE WHEN number %% 3 = 0 THEN ',30C,40C' ELSE '' END ELSE '' END
       || CASE WHEN number %% 10 = 1 OR number %% 20 = 4 THEN ' beach:18B' ELSE '' END
       || CASE WHEN number %% 100 = 7 THEN ' harbour:19B' ELSE '' END
       || ' lighthouse' || translate((number %% 100000)::text, '0123456789', 'abcdefghij') || ':20B')::tsvector
FROM media WHERE number BETWEEN %(first)s AND %(last)s
"""
CALLERS = {
    "one who sees all": Caller(sub="back end", roles=frozenset({"service"})),
    "a user who sees half": Caller(sub="owner 7"),
}
OWNER = Caller(sub="owner 8")
WORDS = {
    "a word of ten media": "lighthouseeeee",
    "a word of 1 %": "harbour",
    "a word of half of all": "sea",
    "two words of 10 % and half": "beach sea",
}
TAGS = {"a tag of ten media": "r4444", "a tag of 1 %": "t44", "a tag of all": "all"}
ROUNDS = 60


def fill(connection: psycopg.Connection[Any], first: int, last: int) -> None:
    """Words of these media, as the catalog would have made them."""
    connection.execute(FILL, {"first": first, "last": last})


async def measure(database: Database, setting: Setting, count: int) -> list[Row]:
    """95th percentiles of whole pages of 20, with what is shown of each media."""
    rows = []
    rounds = 20 if setting.quick else ROUNDS
    stems = Stems(DEFAULT)
    for name, caller in CALLERS.items():
        for what, said in WORDS.items():
            figures = await _timed(lambda c=caller, s=said: _words(database, stems, c, s), rounds)  # type: ignore[misc]
            rows.append(_row(count, f"{what}: {name}", figures))
    figures = await _timed(lambda: _words(database, stems, OWNER, "sea", own=True), rounds)
    rows.append(_row(count, "a word of all of one's own 1,000: their owner", figures))
    for name, caller in CALLERS.items():
        for what, said in TAGS.items():
            figures = await _timed(lambda c=caller, s=said: _tag(database, stems, c, s), rounds)  # type: ignore[misc]
            rows.append(_row(count, f"{what}: {name}", figures))
    return rows


def _row(count: int, name: str, figures: list[float]) -> Row:
    middle = statistics.median(figures)
    last = statistics.quantiles(figures, n=20)[-1]
    return alone(f"search, {count:,}", f"p95 of {name}", [last], "ms", note=f"median {middle:.1f} ms")


async def _words(database: Database, stems: Stems, caller: Caller, said: str, *, own: bool = False) -> None:
    asked = Condition(name="owner", operator="eq", value=caller.sub) if own else None
    search = Search(caller=caller, asked=asked, sort="relevance", limit=20)
    question = texts_query.read(said)
    found = await search_media(database, search, question=question, stems=stems, base_url="http://localhost")
    _some(found)


async def _tag(database: Database, stems: Stems, caller: Caller, tag: str) -> None:
    asked = Condition(name="tags", operator="contains", value=(tag,))
    search = Search(caller=caller, asked=asked, sort="-created_at", limit=20)
    _some(await search_media(database, search, question=None, stems=stems, base_url="http://localhost"))


async def sorted_pages(database: Database, setting: Setting, count: int, sort: SearchSort) -> Row:
    """Page 2,000 of another order beside its first, by a user who sees half of all."""
    caller, stems = CALLERS["a user who sees half"], Stems(())
    limit, pages = 200, min(200, count // 2_000)

    async def page(after: Place | None, limit: int = 20) -> SearchPageFound:
        search = Search(caller=caller, sort=sort, limit=limit, after=after)
        return await search_media(database, search, question=None, stems=stems, base_url="http://localhost")

    place: Place | None = None
    for _ in range(pages):
        place = (await page(place, limit)).end
    rounds = 20 if setting.quick else ROUNDS
    deep = await _timed(lambda: page(place), rounds)
    first = await _timed(lambda: page(None), rounds)
    return compared(
        f"search, {count:,}", f"page {pages * 10:,} by {sort}", deep, "ms", baseline="page 1", against=first
    )  # fmt: skip


def _some(found: SearchPageFound) -> None:
    if not found.items:
        raise RuntimeError("a search that is measured has found nothing")


async def _timed(ask: Callable[[], Awaitable[Any]], rounds: int) -> list[float]:
    figures = []
    for number in range(rounds + 5):
        started = time.perf_counter()
        await ask()
        if number >= 5:
            figures.append((time.perf_counter() - started) * 1000)
    return figures
