"""Jobs of videos: told, stopped, asked for twice, taken up again, and held to what they may use."""

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from services.processor import cancelling, handlers
from services.processor.frames import Job
from shared.events import topology
from shared.events.messages import MediaDeleted, MediaFailed, MediaProcessed, Progress, decode
from shared.film_recipes import Films as FilmsAsked
from shared.film_recipes import FilmSpec
from tests.fixtures.recipes import STANDARD
from tests.fixtures.videos import Video, play, same_picture, video
from tests.fixtures.waiting import eventually_async
from tests.integration.processor.films import LIMITS, body, event_of, ref
from tests.integration.processor.test_handlers import Parts, context, process, requested

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def parts(film_parts: Parts) -> Parts:
    return film_parts


async def test_progress_is_told_all_the_time_and_never_goes_back(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = same_picture(20, width=320, height=240)
    event = await event_of(parts, made)
    told: list[Progress] = []
    monkeypatch.setattr("services.processor.videos._TOLD_EVERY", 0.02)
    async with parts.bus.listen(topology.progress(str(event.id))) as messages:
        await process(parts, event)
        await parts.bus.broadcast(topology.progress(str(event.id)), b"end")
        async for message in messages:
            if message.data == b"end":
                break
            progress = decode(message.data)[1]
            assert isinstance(progress, Progress)
            told.append(progress)
    assert [one.percent for one in told] == sorted(one.percent for one in told)
    assert {"wait", "film mp4"} <= {one.stage for one in told}
    gaps = [(b.at - a.at).total_seconds() for a, b in itertools.pairwise(told)]
    assert max(gaps) < 2


async def running(parts: Parts, event: Any) -> "asyncio.Task[None]":
    """A job whose child is at work. It is too long to be over before somebody looks."""
    task = asyncio.create_task(handlers.process(context(event), parts.deps))

    async def child() -> bool:
        assert not task.done(), "the job was over before it was seen"
        return bool(parts.deps.sandbox.pids)

    await eventually_async(child, "a child")
    return task


@pytest.fixture(scope="module")
def long_job() -> Video:
    """Seconds of work and more."""
    return same_picture(100, width=960, height=540)


async def test_cancelling_and_deleting_stop_the_child_at_once(parts: Parts, long_job: Video) -> None:
    listening = asyncio.Event()
    reader = asyncio.create_task(cancelling.keep_listening(parts.bus, parts.deps.running, listening))
    await asyncio.sleep(0)
    event = await event_of(parts, long_job)
    task = await running(parts, event)
    async with asyncio.timeout(2):
        await parts.bus.broadcast(topology.cancel(str(event.id)), b"1")
        await task
    assert parts.deps.sandbox.pids == ()
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "cancelled"

    second = await event_of(parts, long_job)
    task = await running(parts, second)
    gone = MediaDeleted(
        id=second.id,
        number=1,
        owner="ann",
        media_type="video",
        key=second.key,
        variants="",
        deleted_at=second.created_at,
    )
    async with asyncio.timeout(2):
        await handlers.erase(context(gone), parts.deps)
        await task
    assert parts.deps.sandbox.pids == ()
    assert parts.variants(second.id) == {}
    listening.set()
    await reader


async def test_what_is_asked_for_again_while_it_is_made_is_made_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.processor.leases._RENEWED", 0.05)
    begun, go_on = asyncio.Event(), asyncio.Event()
    run = parts.deps.sandbox.run

    async def held(*job: Any, **more: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await run(*job, **more)

    monkeypatch.setattr(parts.deps.sandbox, "run", held)
    event = await event_of(parts, video("avi", sound=False))
    async with asyncio.timeout(60):
        first = asyncio.create_task(process(parts, event))
        await begun.wait()
        asked = requested(event, media_type="video", mime_type=event.mime_type, generation=1)
        await process(parts, asked)
        assert not first.done()
        assert await parts.events() == []
        go_on.set()
        await first
    (made,) = await parts.events()
    assert isinstance(made, MediaProcessed)


async def test_a_job_that_was_cancelled_while_it_waited_is_not_begun(parts: Parts) -> None:
    event = await event_of(parts, video("mp4", sound=False))
    await parts.bus.kv(topology.CANCELLED).put(str(event.id), b"1")
    await process(parts, event)
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "cancelled"
    # The next generation is asked for on purpose.
    await process(parts, requested(event, media_type="video", mime_type="video/mp4"))
    assert isinstance((await parts.events())[-1], MediaProcessed)


async def test_what_a_stopped_worker_has_finished_is_not_made_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = FilmsAsked(mp4=(FilmSpec(), FilmSpec(name="tiny", width=32, height=32)))
    assert isinstance(parts.deps.recipes, dict)
    parts.deps.recipes["standard"] = msgspec.structs.replace(STANDARD, films=films)
    event = await event_of(parts, video("mov", sound=False))
    jobs: list[tuple[str, ...]] = []
    run = parts.deps.sandbox.run

    async def watched(job: Job, *rest: Any, **more: Any) -> Any:
        jobs.append(job.there)
        return await run(job, *rest, **more)

    monkeypatch.setattr(parts.deps.sandbox, "run", watched)
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    # As if the worker had died in the second film: it is not in the store.
    await parts.blobs.delete(ref(first, "tiny").key)
    before = parts.blobs.objects[ref(first, "mp4").key]
    await process(parts, event, delivered=2)
    again = (await parts.events())[-1]
    assert isinstance(again, MediaProcessed)
    assert jobs == [(), (films.mp4[0].code,)]
    assert parts.blobs.objects[ref(first, "mp4").key] is before
    assert again.variants == first.variants
    play(body(parts, again, "tiny"))


async def test_a_film_that_was_damaged_in_the_store_is_made_again(parts: Parts) -> None:
    event = await event_of(parts, video("mov", sound=False))
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    whole = body(parts, first, "mp4")
    await parts.blobs.put_bytes(ref(first, "mp4").key, whole[:-9] + b"x" * 9, content_type="video/mp4")
    await process(
        parts, requested(event, media_type="video", mime_type=event.mime_type, variants=first.variants)
    )
    second = (await parts.events())[-1]
    assert isinstance(second, MediaProcessed)
    assert body(parts, second, "mp4") == whole


async def test_a_film_longer_than_there_is_room_for_ends_as_failed(parts: Parts) -> None:
    films = msgspec.structs.replace(parts.deps.films, film_bytes=4096)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    await process(parts, await event_of(parts, same_picture(2, width=640, height=480)))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "output"


@pytest.mark.long
async def test_a_video_that_takes_for_ever_ends_at_its_budget(parts: Parts, long_job: Video) -> None:
    limits = msgspec.structs.replace(LIMITS, cpu_seconds=1)
    films = msgspec.structs.replace(parts.deps.films, limits=limits)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    await process(parts, await event_of(parts, long_job))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "timeout"
