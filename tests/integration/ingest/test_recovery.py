"""A process that dies at any step of an upload: others finish what was stored and erase what was not."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest

from services.ingest import recover
from services.ingest.intents import decode
from services.ingest.settings import Timing
from shared.events import topology
from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import TIMING, Gateway, Start, eventually
from tests.integration.ingest.mortal import Life, deserted, dying

JPEG = encoded(picture(64, 48))

UNSTORED = [
    Life(after="kv.intents.create"),
    Life(before="put"),
    Life(after="put"),
    Life(before="kv.intents.update"),
]
STORED = [
    Life(after="kv.intents.update"),
    Life(before="publish"),
    Life(after="publish"),
    Life(before="kv.uploads.put"),
    Life(after="kv.uploads.put"),
]


def named(life: Life) -> str:
    return f"before {life.before}" if life.before else f"after {life.after}"


def again(life: Life) -> Life:
    return Life(before=life.before, after=life.after)


async def uploaded(gateway: Gateway) -> list[MediaUploaded]:
    return [e for e in await gateway.events() if isinstance(e, MediaUploaded)]


async def no_intents(gateway: Gateway) -> bool:
    return not await gateway.keys(topology.INTENTS)


@pytest.mark.parametrize("life", UNSTORED, ids=named)
async def test_invariant_13_an_upload_that_was_not_stored_is_erased(start: Start, life: Life) -> None:
    life = again(life)
    async with start(dying(life)) as dead:
        assert (await dead.upload(JPEG)).status_code == 503
        assert life.over
        async with start() as living:
            await eventually(living.nothing_is_left, "the sweep")
            assert await uploaded(living) == []


@pytest.mark.parametrize("life", STORED, ids=named)
async def test_invariant_13_an_upload_that_was_stored_is_announced(start: Start, life: Life) -> None:
    life = again(life)
    async with start(dying(life)) as dead:
        answer = await dead.upload(JPEG)
        assert life.over
        async with start() as living:
            await eventually(lambda: no_intents(living), "the sweep")
            (event,) = await uploaded(living)
            (file,) = living.files()
            assert file.read_bytes() == JPEG
            assert file.key == event.key
            status = await living.http.get(f"/v1/uploads/{event.id}")
            assert status.json()["status"] == "processing"
            if answer.status_code < 300:
                assert answer.json()["id"] == str(event.id)


@pytest.mark.parametrize("life", [*UNSTORED, *STORED], ids=named)
async def test_invariant_3_a_retry_after_a_crash_finds_the_same_media(start: Start, life: Life) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    life = again(life)
    async with start(dying(life)) as dead:
        first = await dead.upload(JPEG, headers=headers)
        assert life.over
        (where,) = await dead.keys(topology.IDEMPOTENCY)
        entry = await dead.bus.kv(topology.IDEMPOTENCY).get(where)
        assert entry
        # No sweep of the living may help: the retry has to do it.
        async with start(timing=timing(sweep=3600)) as living:

            async def answered() -> bool:
                return (await living.upload(JPEG, headers=headers)).status_code == 202

            await eventually(answered, "the dead one's lease to run out")
            second = await living.upload(JPEG, headers=headers)
            assert second.headers["idempotent-replayed"] == "true"
            (event,) = await uploaded(living)
            assert second.json()["id"] == str(event.id)
            assert f'"id":"{event.id}"'.encode() in entry.value
            if first.status_code < 300:
                assert first.json() == second.json()
            (file,) = living.files()
            assert file.read_bytes() == JPEG
            await eventually(lambda: no_intents(living), "the intent to be settled")


@pytest.mark.parametrize("life", STORED, ids=named)
async def test_a_retry_with_another_file_is_not_given_what_a_dead_process_stored(
    start: Start, life: Life
) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    life = again(life)
    async with start(dying(life)) as dead:
        await dead.upload(JPEG, headers=headers)
        async with start(timing=timing(sweep=3600)) as living:
            other = JPEG[:-2] + b"xy"

            async def refused() -> bool:
                return (await living.upload(other, headers=headers)).status_code == 422

            await eventually(refused, "the dead one's lease to run out")

            async def answered() -> bool:
                return (await living.upload(JPEG, headers=headers)).status_code == 202

            await eventually(answered, "the first file to be finished")
            (file,) = living.files()
            assert file.read_bytes() == JPEG


@pytest.mark.parametrize(
    "life", [Life(after="kv.intents.create"), Life(before="kv.intents.update"), *STORED], ids=named
)
async def test_a_broker_that_is_lost_at_any_step_takes_no_original_with_it(start: Start, life: Life) -> None:
    """The word that a file is stored may have reached the broker when its answer did not come."""
    life = again(life)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    async with start(deserted(life)) as dead:
        await dead.upload(JPEG, headers=headers)
        assert life.over
        async with start() as living:

            async def answered() -> bool:
                return (await living.upload(JPEG, headers=headers)).status_code == 202

            await eventually(answered, "the upload to be acknowledged")
            await eventually(lambda: no_intents(living), "the sweep")
            (event,) = await uploaded(living)
            (file,) = living.files()
            assert (file.key, file.read_bytes()) == (event.key, JPEG)


@pytest.mark.parametrize("state", ["receiving", "stored", "erasing"])
async def test_an_intent_that_comes_back_after_the_acknowledgement_erases_and_tells_nothing(
    start: Start, state: str
) -> None:
    """A broker that was killed has been seen to have deleted values back."""
    async with start() as gateway:
        assert (await gateway.upload(JPEG)).status_code == 202
        (event,) = await uploaded(gateway)
        intent = {
            "holder": "gone",
            "until": "2020-01-01T00:00:00Z",
            "started_at": "2020-01-01T00:00:00Z",
            "state": state,
            **{
                name: getattr(event, name)
                for name in ("id", "number", "owner", "profile", "filename", "mime_type", "media_type", "key")
            },
        }
        await gateway.bus.kv(topology.INTENTS).create(str(event.id), msgspec.json.encode(intent))
        await eventually(lambda: no_intents(gateway), "the sweep")
        (file,) = gateway.files()
        assert file.read_bytes() == JPEG
        assert len(await uploaded(gateway)) == 1


async def test_two_sweeps_at_once_do_no_harm(start: Start) -> None:
    async with start(dying(Life(before="publish"))) as dead:
        assert (await dead.upload(JPEG)).status_code == 503
        async with start(timing=timing(sweep=3600)) as one, start(timing=timing(sweep=3600)) as two:

            async def swept() -> bool:
                await asyncio.gather(*(recover.sweep(g.ingest) for g in (one, two, one, two)))
                return await no_intents(one)

            await eventually(swept, "the lease to run out")
            assert len(await uploaded(one)) == 1
            assert len(one.files()) == 1


async def test_a_sweep_leaves_uploads_alone_whose_holder_lives(start: Start) -> None:
    async with start() as gateway:
        media = await slow_upload(gateway, seconds=5)
        assert media["size"] == 5 * 70_000
        assert len(gateway.files()) == 1


async def slow_upload(gateway: Gateway, seconds: int) -> dict[str, int]:
    """An upload that takes longer than a lease, while sweeps run every 0.3 s."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(seconds):
            yield bytes(70_000)
            before = await lease_end(gateway)

            async def renewed(before: object = before) -> bool:
                return await lease_end(gateway) != before

            await eventually(renewed, "the lease to be renewed")

    answer = await gateway.http.put("/v1/uploads/raw/a.bin", content=body())
    assert answer.status_code == 202, answer.text
    found: dict[str, int] = answer.json()
    return found


async def lease_end(gateway: Gateway) -> object:
    for key in await gateway.keys(topology.INTENTS):
        entry = await gateway.bus.kv(topology.INTENTS).get(key)
        if entry:
            return decode(entry.value).until
    return None


def timing(sweep: float) -> Timing:
    return msgspec.structs.replace(TIMING, sweep=sweep)
