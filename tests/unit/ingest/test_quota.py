"""Quotas are never over-run, whoever reserves at once, and what is reserved comes back."""

import asyncio
import random
import uuid
from collections.abc import Sequence

import pytest

from services.ingest import quota_records
from services.ingest.accounts import Account, Limits, QuotaExceeded
from services.ingest.quota import BLOCK_LEAST, Hold, Quota
from services.ingest.quota_records import Usage
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Entry
from shared.events.memory import MemoryBus
from shared.events.memory_kv import MemoryKeyValue
from tests.fixtures.waiting import eventually_async

TEN = Limits(bytes=1000, objects=10)


class Rows:
    """What a catalog would answer; away until it is told otherwise."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.there = False
        self.through = 0
        self.takes = 0.0
        self.asked = 0

    async def count(self, _owner: str, besides: Sequence[str], through: int) -> Usage | None:
        self.asked += 1
        await asyncio.sleep(self.takes)
        if not self.there or through > self.through:
            return None
        sizes = [size for upload, size in self.sizes.items() if upload not in besides]
        return Usage(bytes=sum(sizes), objects=len(sizes))


class Slow(MemoryKeyValue):
    """A bucket whose answers take their time, so that writers meet; it counts what it refuses."""

    writes = 0

    async def get(self, key: str) -> Entry | None:
        await asyncio.sleep(random.uniform(0, 0.002))
        return await super().get(key)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        type(self).writes += 1
        await asyncio.sleep(random.uniform(0, 0.002))
        return await super().update(key, value, revision)


@pytest.fixture
def rows() -> Rows:
    return Rows()


def replica(bus: MemoryBus, rows: Rows, lasting: float = 60) -> Quota:
    return Quota(bus.kv(topology.QUOTAS), rows.count, lasting=lasting)


def hold(size: int | None = None, limits: Limits = TEN, bound: int | None = None) -> Hold:
    return Hold("ann", uuid.uuid4(), limits, size=size, bound=bound)


async def used(quota: Quota) -> tuple[int, int]:
    found = (await quota.account("ann")).used
    return found.bytes, found.objects


async def test_fifty_reservations_at_once_over_two_replicas_get_what_fits(bus: MemoryBus, rows: Rows) -> None:
    Slow.writes = 0
    bucket = Slow(bus.broker, topology.QUOTAS)
    replicas = [Quota(bucket, rows.count, lasting=60) for _ in range(2)]
    holds = [hold(100) for _ in range(50)]
    outcomes = await asyncio.gather(
        *(replicas[n % 2].reserve(one) for n, one in enumerate(holds)), return_exceptions=True
    )
    assert outcomes.count(None) == 10
    assert sum(isinstance(outcome, QuotaExceeded) for outcome in outcomes) == 40
    assert await used(replicas[0]) == (1000, 10)
    assert Slow.writes < 20  # one write for each upload would be fifty, and hundreds of tries

    for n, one in enumerate(holds):
        if outcomes[n] is None:
            replicas[n % 2].settle(one, 100, n + 1)
    for quota in replicas:
        await quota.close()
    account = await replicas[1].account("ann")
    assert (account.bytes, account.objects, account.held) == (1000, 10, {})


async def test_a_refusal_says_what_is_left_and_whether_waiting_may_help(bus: MemoryBus, rows: Rows) -> None:
    quota = replica(bus, rows)
    stored, flowing = hold(300), hold(400)
    await quota.reserve(stored)
    quota.settle(stored, 300, 1)
    await quota.reserve(flowing)

    with pytest.raises(QuotaExceeded) as refusal:
        await quota.reserve(hold(500))
    assert refusal.value.extra == {
        "left_bytes": 300, "left_objects": 8, "limit_bytes": 1000, "limit_objects": 10,
    }  # fmt: skip
    assert "300 bytes" in refusal.value.detail
    assert refusal.value.retry_after  # the other upload may come to nothing
    with pytest.raises(QuotaExceeded) as never:
        await quota.reserve(hold(701))
    assert never.value.retry_after is None

    quota.release(flowing)
    await quota.reserve(hold(500))


async def test_a_body_of_unknown_length_is_cut_at_the_byte_where_the_quota_ends(
    bus: MemoryBus, rows: Rows
) -> None:
    quota = replica(bus, rows)
    limits = Limits(bytes=3 * BLOCK_LEAST)
    flowing = hold(limits=limits)
    await quota.reserve(flowing)
    assert 0 < flowing.granted <= BLOCK_LEAST
    while flowing.received < limits.bytes:
        flowing.received += 65536
        if flowing.received > flowing.granted:
            await quota.reserve(flowing)
    flowing.received += 1
    with pytest.raises(QuotaExceeded):
        await quota.reserve(flowing)
    quota.release(flowing)
    await quota.close()
    assert await used(quota) == (0, 0)


async def test_what_an_upload_has_reserved_and_not_brought_does_not_refuse_another(
    bus: MemoryBus, rows: Rows
) -> None:
    quota = replica(bus, rows)
    flowing = [hold() for _ in range(5)]
    for one in flowing:
        await quota.reserve(one)
    assert sum(one.granted for one in flowing) > 300
    await quota.reserve(hold(990))
    assert all(one.granted == 0 for one in flowing)


async def test_what_a_dead_replica_has_reserved_is_free_when_its_lease_ran_out(
    bus: MemoryBus, rows: Rows
) -> None:
    dead, living = replica(bus, rows, lasting=0.05), replica(bus, rows)
    await dead.reserve(hold(900))
    with pytest.raises(QuotaExceeded):
        await living.reserve(hold(200))
    await asyncio.sleep(0.06)
    await living.reserve(hold(200))
    assert await used(living) == (200, 1)


async def test_a_lease_is_renewed_while_its_uploads_last(bus: MemoryBus, rows: Rows) -> None:
    quota, stop = replica(bus, rows, lasting=0.1), asyncio.Event()
    keeping = asyncio.create_task(quota.keep(stop))
    await quota.reserve(hold(900))
    began = (await quota.account("ann")).leases

    async def renewed() -> bool:
        return (await quota.account("ann")).leases != began

    await eventually_async(renewed, "the lease to be renewed")
    assert await used(quota) == (900, 1)
    stop.set()
    await keeping


async def test_the_rows_are_the_truth_for_a_record_that_is_new_or_doubtful(
    bus: MemoryBus, rows: Rows
) -> None:
    rows.there, rows.sizes = True, {"a": 500, "b": 300}
    quota = replica(bus, rows)
    with pytest.raises(QuotaExceeded):
        await quota.reserve(hold(300))
    new = hold(150)
    await quota.reserve(new)
    rows.sizes |= {new.upload: 150}  # the catalog is faster than the settlement
    del rows.sizes["a"]
    await quota.doubt("ann")
    await quota.doubt("ann")  # the same event again
    other = replica(bus, rows)
    assert await used(other) == (450, 2)
    quota.settle(new, 150, 9)
    await quota.close()
    assert await used(other) == (450, 2)
    assert not (await other.account("ann")).doubtful


async def test_rows_that_do_not_know_the_newest_upload_yet_are_not_believed(
    bus: MemoryBus, rows: Rows
) -> None:
    quota = replica(bus, rows)
    new = hold(150)
    await quota.reserve(new)
    quota.settle(new, 150, 9)
    await quota.close()
    rows.there, rows.through = True, 8
    assert await used(replica(bus, rows)) == (150, 1)
    rows.through = 9
    assert await used(replica(bus, rows)) == (0, 0)


async def test_without_the_broker_nothing_is_reserved_and_the_reason_is_told(
    bus: MemoryBus, rows: Rows
) -> None:
    quota = replica(bus, rows)
    bus.broker.stop()
    with pytest.raises(Unavailable):
        await quota.reserve(hold(1))
    bus.broker.start()
    await quota.close()
    assert await used(quota) == (0, 0)


async def test_the_limits_of_an_owners_token_go_for_what_others_upload_for_them(
    bus: MemoryBus, rows: Rows
) -> None:
    quota = replica(bus, rows)
    rich = Limits(bytes=5000)
    await quota.reserve(Hold("ann", uuid.uuid4(), rich, claimed=rich, size=1))
    await quota.reserve(Hold("ann", uuid.uuid4(), TEN, own=False, size=4000))
    with pytest.raises(QuotaExceeded):
        await quota.reserve(Hold("bob", uuid.uuid4(), TEN, own=False, size=4000))


async def test_random_uploads_of_three_replicas_never_over_run_and_end_in_what_was_stored(
    bus: MemoryBus, rows: Rows
) -> None:
    bucket = Slow(bus.broker, topology.QUOTAS)
    replicas = [Quota(bucket, rows.count, lasting=60) for _ in range(3)]
    dice = random.Random(5)
    stored: list[int] = []

    async def one(quota: Quota, size: int, *, known: bool, fails: bool) -> None:
        taken = hold(size if known else None)
        try:
            await quota.reserve(taken)
            while taken.received < size:
                await asyncio.sleep(dice.uniform(0, 0.003))
                taken.received = min(size, taken.received + 20)
                if taken.received > taken.granted:
                    await quota.reserve(taken)
        except QuotaExceeded:
            quota.release(taken)
            return
        if fails:
            quota.release(taken)
        else:
            stored.append(size)
            quota.settle(taken, size, len(stored))
        account = Account() if not stored else await quota.account("ann")
        assert account.bytes <= TEN.bytes
        assert account.objects <= TEN.objects

    await asyncio.gather(
        *(
            one(
                dice.choice(replicas),
                dice.randrange(1, 200),
                known=dice.random() < 0.5,
                fails=dice.random() < 0.3,
            )
            for _ in range(60)
        )
    )
    for quota in replicas:
        await quota.close()
    assert await used(replicas[0]) == (sum(stored), len(stored))
    assert 0 < sum(stored) <= TEN.bytes


async def test_forms_of_unknown_length_at_once_use_all_that_is_left(bus: MemoryBus, rows: Rows) -> None:
    """Each is granted less than it turns out to need: who is refused must not keep from others what it had."""
    quota, limits = replica(bus, rows), Limits(bytes=1000)
    stored = 0

    async def one() -> None:
        nonlocal stored
        form = hold(limits=limits, bound=300)
        try:
            await quota.reserve(form)
            form.received = 100
            if form.received > form.granted:
                await quota.reserve(form)
        except QuotaExceeded:
            await asyncio.sleep(0.05)  # the form is read to its end before it is let go of
            quota.release(form)
            return
        stored += 1
        quota.settle(form, 100, stored)

    await asyncio.gather(*(one() for _ in range(20)))
    assert stored == 10
    await quota.close()
    assert await used(quota) == (1000, 10)


async def test_a_deletion_that_the_record_does_not_know_of_is_seen_before_anybody_is_refused(
    bus: MemoryBus, rows: Rows
) -> None:
    rows.there, rows.sizes = True, {"a": 500, "b": 500}
    quota = replica(bus, rows)
    for _ in range(3):
        with pytest.raises(QuotaExceeded):
            await quota.reserve(hold(500))
    del rows.sizes["a"]
    await quota.reserve(hold(500))


async def test_what_was_counted_for_an_outdated_record_confirms_no_refusal(
    bus: MemoryBus, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_records, "_DOUBTFUL_PAUSE", 0.0)
    rows.there, rows.through, rows.sizes = True, 10, {"a": 600}
    one, other = replica(bus, rows), replica(bus, rows)
    flowing = hold(400)
    await other.reserve(flowing)
    with pytest.raises(QuotaExceeded):
        await one.reserve(hold(700))
    await one.doubt("ann")  # it remembers a record that is to be counted, with 400 bytes on their way
    rows.sizes[flowing.upload] = 400
    other.settle(flowing, 400, 1)
    await other.close()
    assert await used(other) == (1000, 2)
    rows.sizes.clear()
    await one.reserve(hold(700))


async def test_many_refusals_do_not_ask_the_catalog_one_by_one(bus: MemoryBus, rows: Rows) -> None:
    rows.there, rows.sizes, rows.takes = True, {"a": 1000}, 0.01
    quota = replica(bus, rows)
    outcomes = await asyncio.gather(*(quota.reserve(hold(1)) for _ in range(100)), return_exceptions=True)
    assert all(isinstance(outcome, QuotaExceeded) for outcome in outcomes)
    assert rows.asked <= 3


async def test_a_refusal_by_figures_that_are_in_doubt_says_to_try_again(bus: MemoryBus, rows: Rows) -> None:
    rows.there, rows.sizes = True, {"a": 1000}
    quota = replica(bus, rows)
    with pytest.raises(QuotaExceeded) as sure:
        await quota.reserve(hold(500))
    assert sure.value.retry_after is None
    rows.there, rows.takes = False, 0.06  # it is behind the stream
    with pytest.raises(QuotaExceeded) as untold:
        await quota.reserve(hold(500))
    assert untold.value.retry_after == 1
    rows.takes = 0
    await quota.doubt("ann")
    with pytest.raises(QuotaExceeded) as doubtful:
        await quota.reserve(hold(500))
    assert doubtful.value.retry_after == 1
