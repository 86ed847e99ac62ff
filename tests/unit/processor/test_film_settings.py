"""How many videos are made at once, and where they lie meanwhile."""

import asyncio
from pathlib import Path

import pytest

from services.processor import film_settings
from services.processor.failures import JobFailed
from services.processor.film_settings import FilmSettings
from services.processor.scratch import Scratch
from shared.env import Env
from shared.errors import SettingsError

GIBIBYTE = 2**30


@pytest.mark.parametrize(
    ("processors", "memory", "jobs", "threads"),
    [(2, 8, 1, 2), (16, 64, 4, 4), (16, 8, 2, 8), (1, 1, 1, 1), (64, 1024, 16, 4)],
)
def test_there_are_as_many_at_once_as_processors_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, processors: int, memory: int, jobs: int, threads: int
) -> None:
    monkeypatch.setattr(film_settings, "memory_of_machine", lambda: memory * GIBIBYTE)
    found = FilmSettings.from_env(Env({}), processors=processors)
    assert (found.jobs, found.threads) == (jobs, threads)
    assert found.limits.wall_seconds >= 3600
    assert found.limits.cpu_seconds == found.limits.wall_seconds * threads


def test_a_folder_that_is_not_there_is_named_with_its_variable() -> None:
    env = Env({"TRIPOD_PROCESSOR_SCRATCH": "/nowhere/at/all"})
    FilmSettings.from_env(env, processors=1)
    with pytest.raises(SettingsError, match="TRIPOD_PROCESSOR_SCRATCH is '/nowhere/at/all'"):
        env.check()


def test_files_under_way_have_no_name(tmp_path: Path) -> None:
    with Scratch(tmp_path, GIBIBYTE).file() as descriptor:
        assert list(tmp_path.iterdir()) == []
        assert Path(f"/proc/self/fd/{descriptor}").exists()


async def test_who_needs_more_room_than_is_free_waits_for_it(tmp_path: Path) -> None:
    scratch, order = Scratch(tmp_path, 100), list[str]()

    async def second() -> None:
        async with scratch.room(50):
            order.append("second")

    async with scratch.room(60):
        waiting = asyncio.create_task(second())
        async with scratch.room(40):
            order.append("beside")
        order.append("first")
    await waiting
    assert order == ["beside", "first", "second"]


async def test_more_room_than_there_will_ever_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as caught:
        async with Scratch(tmp_path, 100).room(101):
            pass
    assert caught.value.failure.code == "too_large"
