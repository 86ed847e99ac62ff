"""One sandbox for all tests of videos: each job has a child of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from services.processor.sandbox import Sandbox
from tests.integration.processor.films import parts_for_films
from tests.integration.processor.test_handlers import Parts


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def film_sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def film_parts(film_sandbox: Sandbox, tmp_path: Path) -> Parts:
    return await parts_for_films(film_sandbox, tmp_path)
