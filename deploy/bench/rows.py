"""The catalog's own queries over a million rows: deep pages, and pictures that look alike."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
from sqlalchemy import text

from deploy.bench import projector, similar, system, texts
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.stack import EmbeddedStack
from services.catalog import counters, cursors, queries
from services.catalog import statistics as catalog_statistics
from services.catalog.cursors import Place
from services.catalog.database import Database, DatabaseSettings
from services.catalog.queries import Filters
from services.catalog.schemas import TimeSort
from shared.auth import Caller

PAGE = 10_000
SORT: TimeSort = "-created_at"
CALLERS = {
    "one who sees all, 50 a page": (Caller(sub="back end", roles=frozenset({"service"})), 50),
    "a user who sees half, 20 a page": (Caller(sub="owner 7"), 20),
}
# Every twentieth row starts a family whose hashes differ in 0 to 9 bits, so that there is something to find.
FILL = """
INSERT INTO media (id, number, owner, owner_uuid, profile, recipe, key, filename, mime_type, media_type, size, sha256,
                   created_at, is_public, generation, status, status_at, derived_generation, derived_at, width, height,
                   tags, phash, dhash)
SELECT gen_random_uuid(), i, 'owner ' || i %% 1000, md5((i %% 1000)::text)::uuid, 'default', 'standard',
       '2026/06/21/' || i, 'photo ' || i || '.jpg',
       'image/jpeg', 'image', 1000000 + i, md5(i::text) || md5((-i)::text),
       timestamptz '2026-01-01' + i * interval '7 seconds', i %% 2 = 0, 1, 'ready',
       timestamptz '2026-01-01' + i * interval '7 seconds' + interval '1 second', 1,
       timestamptz '2026-01-01' + i * interval '7 seconds' + interval '1 second', 4000, 3000,
       ARRAY['all', 't' || i %% 100, 'r' || i %% 100000],
       ('x' || substr(md5((i / 20)::text), 1, 16))::bit(64)::bigint # CASE WHEN i %% 20 = 0 THEN 0 ELSE
           (('x' || substr(md5(i::text), 1, 16))::bit(64)::bigint
           & ('x' || substr(md5('a' || i), 1, 16))::bit(64)::bigint
           & ('x' || substr(md5('b' || i), 1, 16))::bit(64)::bigint) END,
       ('x' || substr(md5('d' || i), 1, 16))::bit(64)::bigint
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
"""
BUSY, BUSY_ROWS = "owner 0", 80_000
GROUPED = text(
    "SELECT media_type, status, count(*), sum(size)::bigint, sum(variant_count)::bigint, sum(variant_bytes)::bigint"
    " FROM media WHERE owner = :owner GROUP BY media_type, status"
)


def measure(setting: Setting) -> Iterator[Row]:
    """Rows for pages and for similar pictures, on a database of the real migrations."""
    count = 200_000 if setting.quick else 1_000_000
    with system.servers(setting.folder) as stack:
        stack.migrate()
        setting.console.print(f"[dim]filling {count:,} rows[/]", highlight=False)
        yield alone("rows", f"filling {count:,} rows and their indexes", [_fill(stack, count)], "s")
        found = asyncio.run(_ask(stack, setting, count))
        found += projector.measure(stack, setting)
    yield from found


def _fill(stack: EmbeddedStack, count: int) -> float:
    started = time.perf_counter()
    step = 100_000
    with psycopg.connect(system.dsn(stack.database_url), autocommit=True) as connection:
        for first in range(0, count, step):
            connection.execute(FILL, {"first": first, "last": first + step - 1})
            texts.fill(connection, first, first + step - 1)
        connection.execute("TRUNCATE text_changes")
        connection.execute(
            "UPDATE media SET owner = %(owner)s WHERE number < %(rows)s", {"owner": BUSY, "rows": BUSY_ROWS}
        )
        connection.execute("VACUUM ANALYZE media, media_texts")
    return time.perf_counter() - started


async def _ask(stack: EmbeddedStack, setting: Setting, count: int) -> list[Row]:
    database = Database(DatabaseSettings(url=stack.database_url))
    try:
        rows = [await _pages(database, name, setting, count) for name in CALLERS]
        rows += await similar.measure(database, setting, count, owner=BUSY, rows=BUSY_ROWS)
        rows.append(await _statistics(database, setting, count))
        setting.console.print("[dim]searches for words and tags[/]", highlight=False)
        rows += await texts.measure(database, setting, count)
        rows.append(await texts.sorted_pages(database, setting, count, "-size"))
    finally:
        await database.close()
    return rows


async def _pages(database: Database, name: str, setting: Setting, count: int) -> Row:
    caller, limit = CALLERS[name]
    page = min(PAGE, count // limit // 2)
    setting.console.print(f"[dim]pages of {name}[/]", highlight=False)
    async with database.reading() as connection:
        found = queries.listing(caller, Filters(), sort=SORT, limit=page * limit, after=None)
        last = (await connection.execute(found.offset((page - 1) * limit - 1).limit(1))).mappings().one()
        deep = cursors.place(SORT, last["created_at"], last["id"])

        async def ask(after: Place | None) -> None:
            answer = await queries.list_media(
                connection,
                caller,
                Filters(),
                sort=SORT,
                limit=limit,
                after=after,
                base_url="http://localhost",
            )
            if len(answer.items) != limit:
                raise RuntimeError(f"a page of {limit} has {len(answer.items)} rows")

        first, later = await _in_turns(lambda: ask(None), lambda: ask(deep), 100)
    return compared(
        f"rows, {count:,}", f"page {page:,}: {name}", later, "ms", baseline="page 1", against=first,
        target=Target(sense="at most", ratio=1.5),
    )  # fmt: skip


async def _statistics(database: Database, setting: Setting, count: int) -> Row:
    """What one owner of many rows has, from the tallies as a catalog keeps them, beside counting the rows."""
    setting.console.print("[dim]statistics of an owner[/]", highlight=False)
    async with database.writing(tell=False) as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await counters.add_up(connection)
    await counters.sweep_out(database)
    async with database.reading() as connection:
        owner = Caller(sub=BUSY)
        told: list[Any] = []
        counted: list[Any] = []

        async def tally() -> None:
            kinds = await catalog_statistics.amounts(connection, owner, by=("media_type", "status"))
            told[:] = [(*key, a.objects, a.bytes, a.variants, a.variant_bytes) for key, a in kinds.items()]

        async def group() -> None:
            counted[:] = [tuple(row) for row in await connection.execute(GROUPED, {"owner": BUSY})]

        fast, slow = await _in_turns(tally, group, 30)
        if sorted(told) != sorted(counted):
            raise RuntimeError(f"the statistics tell {told}, the rows are {counted}")
    return compared(
        f"rows, {count:,}", f"statistics of an owner of {BUSY_ROWS:,}, how many times faster", slow, "ms",
        baseline="tallies", against=fast, target=Target(sense="at least", ratio=50),
        note="figure: GROUP BY over the rows",
    )  # fmt: skip


async def _in_turns(
    one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]], rounds: int
) -> tuple[list[float], list[float]]:
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 10):
        for figures, ask in zip(found, (one, other), strict=True):
            started = time.perf_counter()
            await ask()
            if number >= 10:
                figures.append((time.perf_counter() - started) * 1000)
    return found
