"""The states of an idempotency key: free, running, done, and left behind by a holder that died."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.idempotency import (
    Answer,
    Asked,
    Claim,
    Done,
    bury,
    check_key,
    check_same,
    claim,
    fingerprint,
    token,
)
from services.ingest.leases import Lost
from shared.errors import Conflict, Gone, Invalid, Malformed
from shared.events import topology
from shared.events.bus import KeyValue
from shared.events.memory import MemoryBus
from shared.ids import new_id

ASKED = Asked(method="POST", path="/v1/uploads", length=100)
ANSWER = Answer(status=202, location="http://o/v1/uploads/1", body='{"id":1}')
WHERE = token("ann", "key-1")


class Ids:
    """Makes ids and counts them."""

    def __init__(self) -> None:
        self.made = 0

    async def __call__(self) -> tuple[uuid.UUID, int]:
        self.made += 1
        return new_id(), self.made


@pytest.fixture
def bucket(bus: MemoryBus) -> KeyValue:
    return bus.kv(topology.IDEMPOTENCY)


async def claimed(bucket: KeyValue, asked: Asked = ASKED, lasting: float = 30) -> Claim:
    found = await claim(bucket, WHERE, asked, Ids(), lasting=lasting)
    assert isinstance(found, Claim)
    return found


async def test_a_free_key_is_claimed_and_a_running_one_is_a_conflict(bucket: KeyValue) -> None:
    first = await claimed(bucket)
    assert not first.resumed
    with pytest.raises(Conflict) as refusal:
        await claimed(bucket)
    assert refusal.value.retry_after
    assert refusal.value.extra["id"] == str(first.lease.record.id)


async def test_invariant_3_a_done_key_gives_the_answer_that_was_given(bucket: KeyValue) -> None:
    first = await claimed(bucket)
    await first.lease.change(state="done", answer=ANSWER, head="ab")
    assert await claim(bucket, WHERE, ASKED, Ids(), lasting=30) == Done(answer=ANSWER, head="ab")


async def test_invariant_3_the_key_of_a_deleted_media_makes_no_new_one(
    bus: MemoryBus, bucket: KeyValue
) -> None:
    first = await claimed(bucket, Asked(method="PUT", path="/v1/uploads/raw/a?caption=secret", length=1))
    media_id = first.lease.record.id
    await first.lease.change(state="done", answer=ANSWER, head="ab")
    await bury(bucket, WHERE, new_id())
    assert isinstance(await claim(bucket, WHERE, first.lease.record.asked or ASKED, Ids(), lasting=30), Done)
    for _ in range(2):
        await bury(bucket, WHERE, media_id)
        with pytest.raises(Gone, match="deleted") as refusal:
            await claim(bucket, WHERE, ASKED, Ids(), lasting=30)
        assert refusal.value.extra["id"] == str(media_id)
    entry = await bucket.get(WHERE)
    assert entry
    assert b"secret" not in entry.value
    assert ANSWER.location.encode() not in entry.value
    with pytest.raises(Lost):
        await first.lease.change(state="done", answer=ANSWER)
    bus.broker.advance(25 * 3600)
    assert isinstance(await claim(bucket, WHERE, ASKED, Ids(), lasting=30), Claim)
    await bury(bucket, token("ann", "never used"), media_id)


def test_a_file_is_known_by_its_name_and_its_first_bytes_however_they_came() -> None:
    first = fingerprint("a.jpg", b"x" * 65536)
    check_same(first, fingerprint("a.jpg", b"x" * 65536 + b"more of the same piece"))
    check_same(None, first)
    for name, head in (("b.jpg", b"x" * 65536), ("a.jpg", b"x" * 65535), ("a.jp", b"g" + b"x" * 65535)):
        with pytest.raises(Invalid, match="another file"):
            check_same(first, fingerprint(name, head))


async def test_invariant_3_a_dead_holder_is_replaced_under_the_same_id_and_number(bucket: KeyValue) -> None:
    dead = await claimed(bucket, lasting=-1)
    heir = await claimed(bucket)
    assert heir.resumed
    assert (heir.lease.record.id, heir.lease.record.number) == (
        dead.lease.record.id,
        dead.lease.record.number,
    )
    with pytest.raises(Lost):
        await dead.lease.change(state="done", answer=ANSWER)
    await dead.lease.delete()
    assert await bucket.get(WHERE) is not None


async def test_of_many_heirs_one_takes_over(bucket: KeyValue) -> None:
    await claimed(bucket, lasting=-1)
    found = await asyncio.gather(*(claimed(bucket) for _ in range(10)), return_exceptions=True)
    assert len([f for f in found if isinstance(f, Claim)]) == 1
    assert len([f for f in found if isinstance(f, Conflict)]) == 9


async def test_of_many_first_requests_one_gets_the_key(bucket: KeyValue) -> None:
    found = await asyncio.gather(*(claimed(bucket) for _ in range(10)), return_exceptions=True)
    assert len([f for f in found if isinstance(f, Claim)]) == 1


async def test_a_released_key_is_free_again(bucket: KeyValue) -> None:
    first = await claimed(bucket)
    await first.lease.delete()
    second = await claimed(bucket, Asked(method="POST", path="/v1/uploads", length=7))
    assert not second.resumed
    assert second.lease.record.id != first.lease.record.id


@pytest.mark.parametrize(
    "other",
    [
        Asked(method="PUT", path="/v1/uploads", length=100),
        Asked(method="POST", path="/v1/uploads?x=1", length=100),
        Asked(method="POST", path="/v1/uploads", length=101),
        Asked(method="POST", path="/v1/uploads", length=None),
    ],
)
async def test_another_request_with_the_same_key_is_refused_in_every_state(
    bucket: KeyValue, other: Asked
) -> None:
    first = await claimed(bucket)
    with pytest.raises(Invalid, match="Idempotency-Key"):
        await claimed(bucket, other)
    await first.lease.change(until=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Invalid):
        await claimed(bucket, other)
    await first.lease.change(state="done", answer=ANSWER)
    with pytest.raises(Invalid):
        await claimed(bucket, other)


async def test_a_running_key_costs_no_number(bucket: KeyValue) -> None:
    await claimed(bucket)
    ids = Ids()
    with pytest.raises(Conflict):
        await claim(bucket, WHERE, ASKED, ids, lasting=30)
    assert ids.made == 0


async def test_records_live_a_day(bus: MemoryBus, bucket: KeyValue) -> None:
    first = await claimed(bucket)
    await first.lease.change(state="done", answer=ANSWER)
    bus.broker.advance(23 * 3600)
    assert await claim(bucket, WHERE, ASKED, Ids(), lasting=30) == Done(answer=ANSWER, head=None)
    bus.broker.advance(2 * 3600)
    assert isinstance(await claim(bucket, WHERE, ASKED, Ids(), lasting=30), Claim)


def test_owners_do_not_share_keys_and_no_two_pairs_meet() -> None:
    assert token("ann", "k") != token("bob", "k")
    assert token("a", "bc") != token("ab", "c")


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "a\n"])
def test_a_key_that_is_none_is_malformed(key: str) -> None:
    with pytest.raises(Malformed, match="255"):
        check_key(key)
    assert check_key("x" * 255)
