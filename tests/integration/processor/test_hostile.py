"""Files made to exhaust, mislead or break a decoder: each ends with a sensible verdict, soon and always the same.

The children run under the guards and limits of production. The wide set, among the long tests, is the same with more.
"""

import asyncio
import itertools
import os
from collections.abc import Iterable

import msgspec
import pytest

from services.processor.frames import Job, Limits, Result
from services.processor.sandbox import Outcome, Sandbox
from tests.fixtures import hostile
from tests.fixtures.hostile import Hostile
from tests.fixtures.recipes import STANDARD

# No crash, no machinery that gave way, no time or memory used up.
SENSIBLE = {"ready", "truncated", "corrupt", "dimensions", "unsupported"}
AT_ONCE = 2


async def outcome(sandbox: Sandbox, file: Hostile, limits: Limits) -> Outcome:
    original = os.memfd_create("original")
    try:
        os.write(original, file.data)
        job = Job(media_id="m", trace_id="t", mime_type=file.mime_type, recipe=STANDARD, limits=limits)
        return await sandbox.run(job, original)
    finally:
        os.close(original)


def said(found: Outcome) -> str:
    return "ready" if isinstance(found.verdict, Result) else found.verdict.code


def made(found: Outcome) -> object:
    """All that was derived, without what differs from run to run."""
    verdict = found.verdict
    return msgspec.structs.replace(verdict, timings={}) if isinstance(verdict, Result) else verdict.code


async def judge(files: Iterable[Hostile], *, limits: Limits, peak_mib: int) -> list[str]:
    """What was wrong, by file, after both runs of each. Children of the runs stand beside each other."""
    found: list[str] = []
    waiting = iter(files)

    async def work(sandbox: Sandbox) -> None:
        for file in waiting:
            first, second = [await outcome(sandbox, file, limits) for _ in range(2)]
            verdict = said(first)
            if verdict not in SENSIBLE or (file.code or verdict) != verdict:
                found.append(f"{file.name}: {verdict}, {first.verdict}"[:900])
            if made(first) != made(second):
                found.append(f"{file.name}: {verdict} with one result, then {said(second)} with another")
            if first.peak_kib > peak_mib * 1024:
                found.append(f"{file.name}: {first.peak_kib // 1024} MiB, at most {peak_mib} allowed")

    async with Sandbox() as sandbox:
        server = sandbox.server_pid
        await asyncio.gather(*(work(sandbox) for _ in range(AT_ONCE)))
        assert sandbox.server_pid == server
        assert not sandbox.pids
    return found


async def test_hostile_pictures_end_soon_with_a_sensible_verdict_and_always_the_same() -> None:
    files = itertools.chain(
        hostile.bombs(inflated=8),
        hostile.animations(40, 600),
        hostile.directories(),
        hostile.damaged(60, 40, 1, (90,)),
        hostile.gain_maps(600, 2),
    )
    assert await judge(files, limits=Limits(cpu_seconds=10), peak_mib=250) == []


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_very_many_hostile_pictures_end_soon_with_a_sensible_verdict() -> None:
    files = itertools.chain(
        hostile.bombs(inflated=1024),
        hostile.animations(20_000, 8000),
        hostile.directories(),
        hostile.damaged(600, 400, 60),
        hostile.damaged(61, 47, 150),
        hostile.gain_maps(10_000, 400),
    )
    assert await judge(files, limits=Limits(), peak_mib=1500) == []
