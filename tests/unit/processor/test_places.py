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
        async with places.take(urgent=urgent):
            order.append(name)
            await asyncio.sleep(0)

    async with places.take(urgent=False):
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
        async with places.take(urgent=True):
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
        async with places.take(urgent=True):
            pass

    async with places.take(urgent=True):
        waiter = asyncio.create_task(wait())
        await settle()
        if not granted:
            waiter.cancel()
            await settle()
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    async with asyncio.timeout(1), places.take(urgent=False):
        pass


async def test_bulk_work_in_every_place_does_not_hold_up_an_urgent_one() -> None:
    places, running = Places(2, spare=1), list[str]()
    ends = {name: asyncio.Event() for name in ("bulk 0", "bulk 1", "bulk 2", "fresh 0", "fresh 1")}

    async def work(name: str) -> None:
        async with places.take(urgent=name.startswith("fresh")):
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
