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
