import asyncio

import pytest

from services.processor.places import Places


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_urgent_work_takes_the_next_free_place_before_all_that_waits() -> None:
    places, order = Places(1), list[str]()

    async def work(name: str, *, urgent: bool) -> None:
        async with places.take("ann", urgent=urgent):
            order.append(name)
            await asyncio.sleep(0)

    async with places.take("ann", urgent=False):
        tasks = [asyncio.create_task(work(f"bulk {n}", urgent=False)) for n in range(3)]
        await settle()
        tasks += [asyncio.create_task(work(f"fresh {n}", urgent=True)) for n in range(2)]
        await settle()
        assert order == []
    await asyncio.gather(*tasks)
    assert order == ["fresh 0", "fresh 1", "bulk 0", "bulk 1", "bulk 2"]


async def test_no_more_than_the_given_number_run_at_once() -> None:
    places, running, most = Places(3), 0, 0

    async def work() -> None:
        nonlocal running, most
        async with places.take("ann", urgent=True):
            running += 1
            most = max(most, running)
            await settle()
            running -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, running) == (3, 0)


@pytest.mark.parametrize("granted", [False, True])
async def test_a_cancelled_waiter_costs_no_place(granted: bool) -> None:  # noqa: FBT001 - a parameter of the test
    places = Places(1)

    async def wait() -> None:
        async with places.take("ann", urgent=True):
            pass

    async with places.take("ann", urgent=True):
        waiter = asyncio.create_task(wait())
        await settle()
        if not granted:
            waiter.cancel()
            await settle()
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    async with asyncio.timeout(1), places.take("ann", urgent=False):
        pass


async def test_bulk_work_in_every_place_does_not_hold_up_an_urgent_one() -> None:
    places, running = Places(2, spare=1), list[str]()
    ends = {name: asyncio.Event() for name in ("bulk 0", "bulk 1", "bulk 2", "fresh 0", "fresh 1")}

    async def work(name: str) -> None:
        async with places.take(name, urgent=name.startswith("fresh")):
            running.append(name)
            await ends[name].wait()
            running.remove(name)

    tasks = [asyncio.create_task(work(name)) for name in ends if name.startswith("bulk")]
    await settle()
    assert running == ["bulk 0", "bulk 1"]  # the spare place is not theirs
    tasks += [asyncio.create_task(work(name)) for name in ends if name.startswith("fresh")]
    await settle()
    assert running == ["bulk 0", "bulk 1", "fresh 0"]
    ends["fresh 0"].set()
    await settle()
    assert running == ["bulk 0", "bulk 1", "fresh 1"]
    ends["bulk 0"].set()
    await settle()
    assert running == ["bulk 1", "fresh 1"]  # two places, one of them lent: the third bulk job waits
    ends["fresh 1"].set()
    await settle()
    assert running == ["bulk 1", "bulk 2"]
    for end in ends.values():
        end.set()
    await asyncio.gather(*tasks)
    assert running == []


class Work:
    """Jobs that hold their places until they are told to end."""

    def __init__(self, places: Places) -> None:
        self.running: list[str] = []
        self._places = places
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, *names: str, urgent: bool = True) -> None:
        """The owner is what stands before the space."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._run(name, urgent=urgent)))
        await settle()

    async def _run(self, name: str, *, urgent: bool) -> None:
        async with self._places.take(name.partition(" ")[0], urgent=urgent):
            self.running.append(name)
            await self._ends[name].wait()
            self.running.remove(name)

    async def end(self, *names: str) -> None:
        for name in names or tuple(self._ends):
            self._ends[name].set()
        await settle()

    async def all_done(self) -> None:
        await self.end()
        await asyncio.gather(*self._tasks)
        assert self.running == []


async def test_another_owners_file_does_not_wait_for_one_owners_heavy_ones() -> None:
    work = Work(Places(2, spare=1))
    await work.begin("crowd 0", "crowd 1", "crowd 2", "crowd 3")
    assert work.running == ["crowd 0", "crowd 1"]  # the spare place is not for who holds some
    await work.begin("bob 0")
    assert work.running == ["crowd 0", "crowd 1", "bob 0"]
    await work.end("bob 0")
    assert work.running == ["crowd 0", "crowd 1"]
    await work.all_done()


async def test_the_next_place_goes_to_the_owner_who_holds_fewest() -> None:
    work = Work(Places(3))
    await work.begin("crowd 0", "crowd 1", "bob 0", "crowd 2", "bob 1", "cat 0", "dan 0")
    assert work.running == ["crowd 0", "crowd 1", "bob 0"]
    await work.end("bob 0")
    assert work.running == ["crowd 0", "crowd 1", "bob 1"]  # who came first of those who hold none
    await work.end("crowd 0")
    assert work.running == ["crowd 1", "bob 1", "cat 0"]
    await work.end("crowd 1")
    assert work.running == ["bob 1", "cat 0", "crowd 2"]
    await work.end("crowd 2")
    assert work.running == ["bob 1", "cat 0", "dan 0"]
    await work.all_done()


async def test_an_owners_bulk_work_takes_nothing_from_the_owners_fresh_upload() -> None:
    work = Work(Places(2, spare=1))
    await work.begin("ann 0", "ann 1", urgent=False)
    await work.begin("ann 2", "ann 3")
    assert work.running == ["ann 0", "ann 1", "ann 2"]
    await work.end("ann 0")
    assert work.running == ["ann 1", "ann 2"]  # one of the two was lent
    await work.end("ann 1")
    assert work.running == ["ann 2", "ann 3"]
    await work.all_done()


async def test_owners_take_turns_in_bulk_work_too() -> None:
    work = Work(Places(2))
    await work.begin("crowd 0", "crowd 1", "crowd 2", "bob 0", urgent=False)
    await work.end("crowd 0")
    assert work.running == ["crowd 1", "bob 0"]
    await work.all_done()
