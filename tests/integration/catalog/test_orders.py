"""Invariant 4, whole: whatever is told of a media and done to it, in any order and however often, taken in alone or
together with others, ends in the same row, and a deletion in no row."""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from services.catalog import commands, duties
from services.catalog.database import Database
from services.catalog.measures import CatalogMetrics
from services.catalog.models import media, variants
from services.catalog.projector import Told, project
from services.catalog.schemas import MediaPatch
from shared import trace
from shared.auth import Caller
from shared.events import messages
from shared.events.consumer import EventContext
from shared.events.memory import MemoryBus
from shared.events.memory_broker import MemoryBroker
from shared.events.messages import MediaUploaded
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
ANN = Caller(sub="ann")
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MOST = 6
Take: TypeAlias = Callable[[Told], Awaitable[None]]
Do: TypeAlias = Callable[[Database, uuid.UUID], Awaitable[Any]]
_sequences = itertools.count(1)

TOLD: dict[str, Callable[[MediaUploaded], Told]] = {
    "uploaded": lambda upload: upload,
    "processed": stories.processed,
    # Once more with other contents, as after a worker's death.
    "processed anew": lambda upload: stories.processed(
        upload, width=999, processed_at=WHEN + timedelta(seconds=30)
    ),
    "failed": stories.failed,
    "processed 2": lambda upload: stories.processed(upload, 2),
    "failed 2": lambda upload: stories.failed(upload, 2),
    "failed 3": lambda upload: stories.failed(upload, 3),
}
DONE: dict[str, Do] = {
    "described": lambda database, media_id: commands.edit(
        database, ANN, media_id, MediaPatch(description="d", tags=("t",)), base_url=BASE
    ),
    "published": lambda database, media_id: commands.edit(
        database, ANN, media_id, MediaPatch(is_public=True), base_url=BASE
    ),
    "asked again": lambda database, media_id: commands.reprocess(database, ANN, media_id, base_url=BASE),
    "deleted": lambda database, media_id: commands.remove(database, ANN, media_id),
}
"""What people do: nobody repeats it, and it needs a row."""
LATER = {"processed 2", "failed 2", "failed 3"}
"""What only comes of asking again, where somebody did."""


@st.composite
def orders(draw: st.DrawFn) -> list[str]:
    """At most MOST different things with the upload among them, some of what is told told again, in any order that can
    be: people see a media before they do anything to it, and what they asked for comes after they asked."""
    chosen = draw(st.lists(st.sampled_from([*TOLD, *DONE][1:]), unique=True, max_size=MOST - 1))
    told = ["uploaded", *(name for name in chosen if name in TOLD)]
    order = draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=3))))
    if "asked again" in chosen:  # then the upload was there before any of what came of it
        order.sort(key=LATER.__contains__)
    first = order.index("uploaded") + 1
    order[first:] = draw(st.permutations(order[first:]))
    for name in draw(st.permutations([name for name in chosen if name in DONE and name != "deleted"])):
        ends = [at for at, told in enumerate(order) if told in LATER and name == "asked again"]
        order.insert(draw(st.integers(first, min([len(order), *ends]))), name)
    if "deleted" in chosen:
        last = max([first, *(at + 1 for at, name in enumerate(order) if name in DONE)])
        order.insert(draw(st.integers(last, len(order))), "deleted")
    return order


_LINE = [*list(TOLD)[:4], *list(DONE)[:3], *list(TOLD)[4:], "deleted"]


def plain(order: list[str]) -> tuple[str, ...]:
    """The same things once each, in the order in which they would come of themselves."""
    return tuple(sorted(set(order), key=_LINE.index))


async def play(database: Database, upload: MediaUploaded, order: Sequence[str], take: Take) -> None:
    for name in order:
        if name in TOLD:
            await take(TOLD[name](upload))
        else:
            await DONE[name](database, upload.id)


def alone(database: Database) -> Take:
    """One event after the other."""

    async def take(event: Told) -> None:
        await project(database, event, sequence=next(_sequences), base_url=BASE)

    return take


def together(database: Database) -> Take:
    """As a running catalog does: uploads that come at one time share a transaction."""
    nothing = frozenset[str]()
    handle = duties.projecting(
        database,
        MemoryBus(MemoryBroker()),
        CatalogMetrics(CollectorRegistry()),
        BASE,
        cascading=nothing,
        single=nothing,
        distance=0,
        places=4,
    )

    async def take(event: Told) -> None:
        data = messages.encode(
            event,
            source="test",
            event_id=uuid.uuid4().hex,
            subject=str(event.id),
            time=WHEN,
            traceparent=None,
        )
        envelope, decoded = messages.decode(data)
        with trace.use(None) as span:
            await handle(
                EventContext(
                    envelope=envelope,
                    event=decoded,
                    subject="",
                    sequence=next(_sequences),
                    delivered=1,
                    headers={},
                    trace=span,
                )
            )

    return take


async def end_of(database: Database, media_id: uuid.UUID) -> dict[str, Any] | None:
    """The row and its variants, without what must differ between two media, and without moments of ours."""
    async with database.reading() as connection:
        row = (await connection.execute(select(media).where(media.c.id == media_id))).mappings().first()
        if row is None:
            return None
        found = await connection.execute(
            select(variants).where(variants.c.media_id == media_id).order_by(variants.c.position)
        )
        made = [{k: v for k, v in ref.items() if k not in {"media_id", "key"}} for ref in found.mappings()]
    hidden = {"id", "number", "key", "edited_at", "updated_at"}
    if row["status"] == "processing" and row["generation"] > 1:
        hidden.add("status_at")  # the moment of the asking
    return {k: v for k, v in row.items() if k not in hidden} | {"variants": made}


async def hold(database: Database, several: list[list[str]]) -> None:
    """Each of these orders, all at the same time, and each against its plain one."""
    mixed = [stories.uploaded(created_at=WHEN) for _ in several]
    take = together(database)
    await asyncio.gather(
        *(play(database, upload, order, take) for upload, order in zip(mixed, several, strict=True))
    )
    ends: dict[tuple[str, ...], Any] = {}
    for upload, order in zip(mixed, several, strict=True):
        of_itself = plain(order)
        if of_itself not in ends:
            alike = stories.uploaded(created_at=WHEN)
            await play(database, alike, of_itself, alone(database))
            ends[of_itself] = await end_of(database, alike.id)
        found = await end_of(database, upload.id)
        assert found == ends[of_itself], (order, of_itself)
        assert (found is None) == ("deleted" in order)
    own = {upload.id for upload in mixed}
    assert [row for row in await all_rows(database, "early_results") if row["media_id"] in own] == []
    buried = {upload.id for upload, order in zip(mixed, several, strict=True) if "deleted" in order}
    assert {row["media_id"] for row in await all_rows(database, "tombstones")} & own == buried


KNOWN = [
    ["uploaded", "failed 2", "processed"],
    ["uploaded", "deleted", "uploaded"],
    ["processed", "uploaded", "uploaded"],
    ["failed 3", "processed 2", "failed", "uploaded", "processed"],
    ["uploaded", "asked again", "processed", "failed 2", "published"],
    [
        "uploaded",
        "failed",
        "asked again",
        "failed 2",
        "processed anew",
        "described",
        "deleted",
        "processed 2",
    ],
]
"""Orders of which a mistake made each end otherwise."""
_MIXED = st.lists(orders(), min_size=1, max_size=3)
_SETTINGS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@settings(max_examples=12, derandomize=True, **_SETTINGS)
@given(several=_MIXED)
@example(several=KNOWN)
async def test_invariant_4_any_order_and_repetition_of_six_things_ends_in_the_same_row(
    database: Database, several: list[list[str]]
) -> None:
    await hold(database, several)


@pytest.mark.long
@pytest.mark.timeout(1200)
@settings(max_examples=400, **_SETTINGS)
@given(several=_MIXED)
async def test_invariant_4_many_orders_and_repetitions_of_six_things_end_in_the_same_row(
    database: Database, several: list[list[str]]
) -> None:
    await hold(database, several)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_invariant_4_all_720_orders_of_any_six_events_end_in_the_same_row(
    database: Database,
) -> None:
    names = list(TOLD)
    for chosen in itertools.combinations(names[1:], MOST - 1):
        wanted = [list(order) for order in itertools.permutations(["uploaded", *chosen])]
        for start in range(0, len(wanted), 24):
            await hold(database, wanted[start : start + 24])
