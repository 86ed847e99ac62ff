"""A run of uploads: some files beside each other, each with an outcome of its own."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from shared.cli import sending
from shared.cli.client import Client, Media
from shared.cli.failures import Refused, Unreachable, problem_of
from shared.cli.frame import printable
from shared.cli.sending import Wish
from shared.cli.tally import Summary, Tally
from shared.errors import Invalid, TripodError

Outcome: TypeAlias = Literal["uploaded", "skipped", "failed", "not_tried"]
Say: TypeAlias = Callable[[str], None]
ANSWER_SECONDS = 3.0
"""Long enough for a server that waits a moment for its catalog, short enough for a person who pressed Ctrl-C."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one file. `media`: what it is now, or what was there; `problem`: why it is not there."""

    path: str
    outcome: Outcome
    media: Media | None = None
    problem: dict[str, object] | None = None
    detail: str | None = None


class Run:
    """Files in their order, `jobs` of them at a time. It ends early where every further file would fare the same: no
    token, no server. Cancelled, it hears the answer for what is sent to its last byte, if that comes within
    ANSWER_SECONDS; what else was under way is `not_tried`: whether it is there the next run finds out. `faults` are
    results from the beginning."""

    def __init__(
        self,
        client: Client,
        wish: Wish,
        files: list[Path],
        tally: Tally,
        say: Say,
        *,
        faults: dict[Path, Invalid] | None = None,
    ) -> None:
        self._client = client
        self._wish = wish
        self._files = files
        self._faults = faults or {}
        self._tally = tally
        self._say = say
        self._results: dict[Path, Result] = {}
        self._digests: dict[str, asyncio.Lock] = {}
        self._made: dict[str, Media] = {}
        self._stopped: TripodError | None = None

    async def go(self, jobs: int) -> None:
        """All files."""
        for path, fault in self._faults.items():
            self._say(f"{shown(path)}: {fault.detail}")
            self._results[path] = _failed(shown(path), fault)
        waiting = iter(self._files)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(jobs, len(self._files))):
                group.create_task(self._work(waiting))

    def results(self) -> list[Result]:
        """Of every file, in their order, and then of what could not be read at all."""
        return [self._results.get(path) or self._untried(path) for path in (*self._files, *self._faults)]

    def summary(self) -> Summary:
        outcomes = [result.outcome for result in self.results()]
        return Summary(
            uploaded=outcomes.count("uploaded"),
            skipped=outcomes.count("skipped"),
            failed=outcomes.count("failed"),
            not_tried=outcomes.count("not_tried"),
            bytes=self._tally.wire,
            seconds=round(self._tally.seconds, 3),
        )

    def _untried(self, path: Path) -> Result:
        if self._stopped is None:
            return Result(path=shown(path), outcome="not_tried", detail="The run was stopped.")
        why = self._stopped
        return Result(path=shown(path), outcome="not_tried", problem=problem_of(why), detail=why.detail)

    async def _work(self, waiting: Iterator[Path]) -> None:
        for path in waiting:
            if self._stopped is not None:
                return
            bringing = asyncio.create_task(self._one(path))
            try:
                await asyncio.shield(bringing)
            except asyncio.CancelledError:
                await self._leave(path, bringing)
                raise

    async def _leave(self, path: Path, bringing: asyncio.Task[None]) -> None:
        """Ends it; but the server may have it already, and its answer be on the way."""
        if self._tally.all_sent(shown(path)):
            await asyncio.wait([bringing], timeout=ANSWER_SECONDS)
        bringing.cancel()
        await asyncio.wait([bringing])

    async def _one(self, path: Path) -> None:
        """Has its result, unless what happened says nothing of the file: then the run stops."""
        name = shown(path)
        try:
            self._results[path] = await self._bring(path, name)
        except TripodError as error:
            self._tally.passed(name)
            if _concerns_all(error):
                self._stopped = self._stopped or error
                return
            self._say(f"{name}: {error.detail}")
            self._results[path] = _failed(name, error)

    async def _bring(self, path: Path, name: str) -> Result:
        file = await sending.read(path)
        async with self._alone_with(file.sha256):
            if not self._wish.again:
                known = self._made.get(file.sha256) or await sending.there_already(
                    self._client, self._wish, file
                )
                if known is not None:
                    self._tally.passed(name)
                    return Result(path=name, outcome="skipped", media=known)
            media = await sending.send(
                self._client, self._wish, file, self._tally.meter(name), partial(self._retries, name)
            )
            self._made[file.sha256] = media
        self._tally.stored(name)
        return Result(path=name, outcome="uploaded", media=media)

    @asynccontextmanager
    async def _alone_with(self, digest: str) -> AsyncIterator[None]:
        """Two equal files of one run do not overtake each other: the second one finds what the first became."""
        async with self._digests.setdefault(digest, asyncio.Lock()):
            yield

    def _retries(self, name: str, error: BaseException, seconds: float) -> None:
        self._tally.begin(name)  # what went over the wire was in vain
        said = error.detail if isinstance(error, TripodError) else str(error)
        self._say(f"{name}: {said} Trying again in {seconds:.1f} s.")


def _failed(name: str, error: TripodError) -> Result:
    return Result(path=name, outcome="failed", problem=problem_of(error), detail=error.detail)


def _concerns_all(error: TripodError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.answered == 401)


def shown(path: Path) -> str:
    """A path as a text that can be printed, whatever its bytes are; another one for each."""
    return printable(os.fspath(path))
