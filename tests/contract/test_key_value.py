"""What every bucket promises, on the twin and on NATS alike."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Unavailable
from shared.events import jetstream_pull
from shared.events.bus import Bus, KeyConflict, KeyValue
from shared.events.kv_token import kv_token
from tests.contract.brokers import TOPOLOGY, until


@pytest.fixture
async def words(bus: Bus) -> KeyValue:
    await bus.ensure(TOPOLOGY)
    return bus.kv("words")


async def test_what_was_put_is_got(words: KeyValue) -> None:
    revision = await words.put("a", b"\x00one")
    entry = await words.get("a")
    assert entry is not None
    assert (entry.key, entry.value, entry.revision) == ("a", b"\x00one", revision)
    assert abs(entry.created - datetime.now(UTC)) < timedelta(seconds=30)


async def test_an_absent_key_is_none(words: KeyValue) -> None:
    assert await words.get("a") is None


async def test_an_empty_value_is_a_value(words: KeyValue) -> None:
    await words.put("a", b"")
    entry = await words.get("a")
    assert entry is not None
    assert entry.value == b""


async def test_create_writes_only_where_nothing_is(words: KeyValue) -> None:
    await words.create("a", b"one")
    with pytest.raises(KeyConflict):
        await words.create("a", b"two")
    entry = await words.get("a")
    assert entry is not None
    assert entry.value == b"one"


async def test_create_writes_again_after_a_delete(words: KeyValue) -> None:
    first = await words.create("a", b"one")
    await words.delete("a")
    second = await words.create("a", b"two")
    assert second > first
    with pytest.raises(KeyConflict):
        await words.create("a", b"three")


async def test_of_many_that_create_one_key_at_once_one_succeeds(words: KeyValue) -> None:
    results = await asyncio.gather(
        *(words.create("a", b"%d" % number) for number in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, KeyConflict) for result in results) == 9


async def test_update_replaces_exactly_the_expected_revision(words: KeyValue) -> None:
    first = await words.put("a", b"one")
    second = await words.update("a", b"two", first)
    assert second > first
    with pytest.raises(KeyConflict):
        await words.update("a", b"three", first)
    entry = await words.get("a")
    assert entry is not None
    assert (entry.value, entry.revision) == (b"two", second)


async def test_update_of_an_absent_key_is_a_conflict(words: KeyValue) -> None:
    with pytest.raises(KeyConflict):
        await words.update("a", b"one", 7)


async def test_a_counter_by_compare_and_set_loses_no_step(words: KeyValue) -> None:
    await words.create("n", b"0")

    async def step() -> None:
        while True:
            entry = await words.get("n")
            assert entry is not None
            try:
                await words.update("n", b"%d" % (int(entry.value) + 1), entry.revision)
            except KeyConflict:
                continue
            return

    await asyncio.gather(*(step() for _ in range(8)))
    entry = await words.get("n")
    assert entry is not None
    assert entry.value == b"8"


async def test_a_deleted_key_is_absent_and_deleting_again_is_success(words: KeyValue) -> None:
    await words.put("a", b"one")
    await words.delete("a")
    await words.delete("a")
    await words.delete("never")
    assert await words.get("a") is None
    assert await words.keys() == []


async def test_delete_with_a_revision_removes_exactly_that_one(words: KeyValue) -> None:
    first = await words.put("a", b"one")
    second = await words.put("a", b"two")
    with pytest.raises(KeyConflict):
        await words.delete("a", first)
    assert await words.get("a") is not None
    await words.delete("a", second)
    assert await words.get("a") is None
    await words.delete("a", second)


async def test_keys_are_those_with_the_prefix_sorted(words: KeyValue) -> None:
    for key in ("b.2", "a.1", "b.1", "bb", "b.1.x", "c/d=_-"):
        await words.put(key, b"")
    assert await words.keys() == ["a.1", "b.1", "b.1.x", "b.2", "bb", "c/d=_-"]
    assert await words.keys("b.") == ["b.1", "b.1.x", "b.2"]
    assert await words.keys("b") == ["b.1", "b.1.x", "b.2", "bb"]
    assert await words.keys("b.1") == ["b.1", "b.1.x"]
    assert await words.keys("z") == []


async def test_many_keys_are_all_listed(words: KeyValue) -> None:
    wanted = [f"k.{number:04}" for number in range(1201)]
    for start in range(0, len(wanted), 100):
        await asyncio.gather(*(words.put(key, b"v") for key in wanted[start : start + 100]))
    assert await words.keys("k.") == wanted


async def test_buckets_do_not_share_keys(bus: Bus, words: KeyValue) -> None:
    await words.put("a", b"one")
    assert await bus.kv("notes").get("a") is None


async def test_values_of_a_bucket_with_an_age_limit_vanish(bus: Bus, words: KeyValue) -> None:
    notes = bus.kv("notes")
    await notes.put("a", b"one")
    await words.put("a", b"one")

    async def gone() -> bool:
        return await notes.get("a") is None

    assert await until(gone) > 0.3
    assert await notes.keys() == []
    await notes.create("a", b"two")
    assert await words.get("a") is not None


async def test_foreign_text_can_be_a_key(words: KeyValue) -> None:
    for text in ("", "a b", "ü.>*", "../x", "user:1"):
        key = kv_token(text)
        await words.put(key, text.encode())
        entry = await words.get(key)
        assert entry is not None
        assert entry.value == text.encode()


@pytest.mark.parametrize("key", ["", " ", "a b", "a.*", "a.>", ".a", "a.", "a..b", "ü", "a\n"])
async def test_what_cannot_be_a_key_is_refused(words: KeyValue, key: str) -> None:
    with pytest.raises(ValueError, match="kv_token"):
        await words.get(key)
    with pytest.raises(ValueError, match="kv_token"):
        await words.put(key, b"")


async def test_a_bucket_that_does_not_exist_is_unavailable(bus: Bus) -> None:
    nothing = bus.kv("nothing")
    with pytest.raises(Unavailable):
        await nothing.get("a")
    with pytest.raises(Unavailable):
        await nothing.put("a", b"")
    with pytest.raises(Unavailable):
        await nothing.keys()


async def test_all_keys_are_told_also_by_a_broker_that_pauses_between_them(
    words: KeyValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"key.{number:04}" for number in range(1200)]
    for start in range(0, len(names), 100):
        await asyncio.gather(*(words.put(name, b"") for name in names[start : start + 100]))
    monkeypatch.setattr(jetstream_pull, "QUIET_SECONDS", 0)  # each wait for the next one is too long
    assert await words.keys() == names


async def test_what_is_wiped_is_gone_with_the_mark_of_its_delete_and_may_come_again(words: KeyValue) -> None:
    await words.wipe("a")
    revision = await words.put("a", b"one")
    await words.wipe("a")
    assert (await words.get("a"), await words.keys()) == (None, [])
    with pytest.raises(KeyConflict):
        await words.update("a", b"two", revision)
    await words.delete("a")
    await words.wipe("a")
    await words.create("a", b"three")
    assert await words.keys() == ["a"]
