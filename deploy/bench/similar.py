"""Pictures that look alike among a million rows: the search beside a scan, whole answers, and groups of duplicates."""

import random
import statistics
import time
from typing import Any

from sqlalchemy import Select, TextClause, text

from deploy.bench.results import Row, Setting, Target, alone, compared
from services.catalog import linking, similar
from services.catalog.database import Database
from services.catalog.groups import Wanted, groups
from shared.auth import Caller
from shared.turns import TURNS, Transform

SCAN = text(
    "SELECT id, bit_count((phash # CAST(:phash AS bigint))::bit(64)) AS distance FROM media"
    " WHERE phash IS NOT NULL AND NOT degenerate"
    " AND bit_count((phash # CAST(:phash AS bigint))::bit(64)) <= :most"
)
DISTANCES = ((5, 100.0), (8, 20.0))
# What linking would find of one owner's families, which are known: 20 numbers each, whose hashes lie close together.
LINK = text(
    "INSERT INTO likenesses SELECT least(one.id, other.id), greatest(one.id, other.id), one.owner,"
    " bit_count((one.phash # other.phash)::bit(64)), false FROM media AS one JOIN media AS other"
    " ON other.number / 20 = one.number / 20 AND other.number > one.number AND other.owner = one.owner"
    " WHERE one.owner = :owner AND one.number < :rows AND bit_count((one.phash # other.phash)::bit(64)) <= 10"
)
PAGE = 20
_URL = "http://localhost"


async def measure(database: Database, setting: Setting, count: int, *, owner: str, rows: int) -> list[Row]:
    """`owner` has so many rows."""
    setting.console.print("[dim]similar pictures[/]", highlight=False)
    phashes = await _some_hashes(database, count, 30 if setting.quick else 100)
    found = []
    for most, ratio in DISTANCES:
        # A scan of fewer rows is faster, so the target speaks of the full table only.
        target = None if setting.quick else Target(sense="at least", ratio=ratio)
        found.append(await _beside_the_scan(database, most, phashes, target, count))
    found.append(await _answers(database, phashes, count))
    setting.console.print("[dim]groups of duplicates[/]", highlight=False)
    found.append(await _linking(database, count))
    return [*found, *await _groups(database, count, owner, rows)]


async def _beside_the_scan(
    database: Database, most: int, phashes: list[int], target: Target | None, count: int
) -> Row:
    fast, slow, sizes = [], [], []
    for phash in phashes:
        seconds, near = await _timed(database, similar.near(phash, most), {})
        fast.append(seconds)
        seconds, scanned = await _timed(database, SCAN, {"phash": phash, "most": most})
        slow.append(seconds)
        if near != scanned:
            raise RuntimeError(
                f"similar to {phash} within {most}: {len(near)} found, {len(scanned)} by the scan"
            )
        sizes.append(len(near))
    note = f"{len(fast)} queries equal to the scan, {statistics.mean(sizes):.1f} found on average; figure: the scan"
    return compared(
        f"rows, {count:,}", f"similar within {most}, how many times faster", slow, "ms", baseline="index",
        against=fast, target=target, note=note,
    )  # fmt: skip


async def _timed(
    database: Database, query: Select[Any] | TextClause, parameters: dict[str, int]
) -> tuple[float, set[tuple[Any, ...]]]:
    """Each on a connection as a request has it once it is told who asks: from the pool, its transaction begun. Compiled
    beforehand: what is compared is the database's work, and the scan's text would have it easier."""
    async with database.reading() as connection:
        await connection.exec_driver_sql("SELECT 1")
        compiled = query.compile(dialect=connection.dialect)
        asked = {**compiled.params, **parameters}
        started = time.perf_counter()
        found = (await connection.exec_driver_sql(str(compiled), asked)).all()
        return (time.perf_counter() - started) * 1000, {tuple(row) for row in found}


async def _some_hashes(database: Database, count: int, many: int) -> list[int]:
    numbers = random.Random(1).sample(range(count), many)  # noqa: S311 -- the same ones every time
    async with database.reading() as connection:
        found = await connection.execute(
            text("SELECT phash FROM media WHERE number = ANY(:some)"), {"some": numbers}
        )
        return list(found.scalars())


async def _answers(database: Database, phashes: list[int], count: int) -> Row:
    """All eight ways to lie within ten bits, with the media objects, beside the upright one."""
    caller, dice = Caller(sub="owner 7"), random.Random(2)  # noqa: S311 -- the same ones every time
    figures: tuple[list[float], list[float]] = ([], [])
    for phash in phashes:
        upright: list[tuple[Transform, int]] = [("none", phash)]
        turned: list[tuple[Transform, int]] = [(turn, dice.getrandbits(63)) for turn in TURNS]
        for looks, told in zip(([*upright, *turned], upright), figures, strict=True):
            started = time.perf_counter()
            async with database.reading_for(caller) as connection:
                await similar.find(connection, caller, looks, max_distance=10, base_url=_URL)
            told.append((time.perf_counter() - started) * 1000)
    return compared(
        f"rows, {count:,}", "similar within 10 however it lies, a whole answer", figures[0], "ms",
        baseline="as it is", against=figures[1],
    )  # fmt: skip


async def _linking(database: Database, count: int) -> Row:
    """What the triggers have noted of the filling waits; a part of it is done as a catalog would."""
    each = []
    for _ in range(5):
        started = time.perf_counter()
        done = await linking.link_some(database)
        each.append((time.perf_counter() - started) * 1000 / done)
    return alone(
        f"rows, {count:,}", "comparing a new media with all of its owner", each, "ms",
        note=f"{linking.AT_ONCE} in a transaction",
    )  # fmt: skip


async def _groups(database: Database, count: int, owner: str, rows: int) -> list[Row]:
    async with database.writing(tell=False) as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("TRUNCATE likenesses, unlinked"))
        links = (await connection.execute(LINK, {"owner": owner, "rows": rows})).rowcount
        await connection.execute(text("ANALYZE likenesses"))
    found = []
    for most in (5, 10):
        figures, total = await _pages_of_groups(database, Wanted(owner=owner, kind="near", max_distance=most))
        note = f"{len(figures)} pages, {total} groups, {links} likenesses"
        name = f"a page of {PAGE} groups within {most} of an owner of {rows:,}"
        found.append(alone(f"rows, {count:,}", name, figures, "ms", note=note))
    return found


async def _pages_of_groups(database: Database, wanted: Wanted) -> tuple[list[float], int]:
    caller, after, total = Caller(sub=wanted.owner), None, 0
    figures: list[float] = []
    while True:
        started = time.perf_counter()
        async with database.reading_for(caller) as connection:
            page = await groups(connection, caller, wanted, limit=PAGE, after=after, base_url=_URL)
        figures.append((time.perf_counter() - started) * 1000)
        total += len(page.groups)
        after = page.end
        if after is None or len(figures) == 100:
            return figures, total
