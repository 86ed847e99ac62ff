"""Two first objects of one folder do not set out together."""

import asyncio

import pytest

from shared.storage import s3_folders
from shared.storage.s3_folders import Folders


class Trip:
    """One object's way into the store, which ends when it is told to."""

    def __init__(self, folders: Folders, key: str) -> None:
        self.left = asyncio.Event()
        self._home = asyncio.Event()
        self.task = asyncio.create_task(self._go(folders, key))

    async def _go(self, folders: Folders, key: str) -> None:
        async with folders.entered(key):
            self.left.set()
            await self._home.wait()

    @property
    def away(self) -> bool:
        return self.left.is_set()

    async def end(self) -> None:
        self._home.set()
        await self.task


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_others_of_a_new_folder_set_out_when_the_first_has_arrived() -> None:
    folders = Folders()
    first, second, elsewhere = (Trip(folders, key) for key in ("a/b/1", "a/b/2", "a/c/1"))
    await turns()
    assert (first.away, second.away, elsewhere.away) == (True, False, True)
    await first.end()
    await turns()
    third = Trip(folders, "a/b/3")
    await turns()
    assert (second.away, third.away) == (True, True)
    for trip in (second, third, elsewhere):
        await trip.end()


async def test_a_first_object_that_fails_leaves_its_place_to_the_next() -> None:
    folders = Folders()
    with pytest.raises(ValueError, match="fault"):
        async with folders.entered("a/1"):
            raise ValueError("fault")
    second, third = Trip(folders, "a/2"), Trip(folders, "a/3")
    await turns()
    assert (second.away, third.away) == (True, False)
    await second.end()
    await third.end()


async def test_a_slow_first_object_does_not_hold_up_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_folders, "HEAD_START_SECONDS", 0.01)
    folders = Folders()
    first, second = Trip(folders, "a/1"), Trip(folders, "a/2")
    await asyncio.wait_for(second.left.wait(), 5)
    assert first.away
    await second.end()
    await first.end()


async def test_a_folder_that_may_be_gone_is_new_again() -> None:
    folders = Folders()
    await Trip(folders, "a/1").end()
    folders.forget("a/1")
    first, second = Trip(folders, "a/1"), Trip(folders, "a/2")
    await turns()
    assert (first.away, second.away) == (True, False)
    await first.end()
    await second.end()
