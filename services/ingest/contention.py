"""What a writer does who was overtaken by another one at the same key: it reads anew after a short while."""

import asyncio
import random


async def step_aside(attempt: int, *, seconds: float = 0.005) -> None:
    """For a moment by chance, of at most so many seconds for each attempt so far, so that two do not meet for ever."""
    await asyncio.sleep(random.uniform(0, seconds * (attempt + 1)))  # noqa: S311 - jitter
