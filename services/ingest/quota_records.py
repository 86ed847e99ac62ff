"""Writes the records of quotas to NATS KV by compare-and-set: what one replica wants of one owner's record together.

While a write is under way the next is gathered, so fifty uploads at once are a handful of writes, not fifty that get
into each other's way.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from services.ingest import accounts
from services.ingest.accounts import Account, QuotaExceeded
from services.ingest.contention import step_aside
from services.ingest.limits import RETRY_SECONDS
from shared.errors import Unavailable
from shared.events.bus import KeyConflict, KeyValue
from shared.events.kv_token import kv_token

_ATTEMPTS = 50
_OWNERS_KEPT = 1000
_DOUBTFUL_PAUSE = 1.0  # seconds between two counts of one owner
_COUNTING_SHARE = (
    10  # before a refusal it is counted again when this many times as long has passed as counting took
)
_SILENCE = 0.05  # what waiting for an answer counts at the most that did not come
_PATIENCE = 0.25  # seconds that a refusal is held back for that
_UNSURE_WAIT = 1

Change: TypeAlias = Callable[[Account], tuple[Account, Any]]
"""The record as it shall be, and what to tell who asked. May raise QuotaExceeded, which leaves it as it is."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of an owner say; of originals."""

    bytes: int
    objects: int


Undo: TypeAlias = Callable[[Account], Account]
"""The record without what a refused change had before: those who come next may have it at once."""

Count: TypeAlias = Callable[[str, list[str], int], Awaitable[Usage | None]]
"""Asks the catalog for an owner's usage without the uploads of these ids, when it knows the stream up to that place;
None when it does not answer, or does not know it yet."""

Spare: TypeAlias = Callable[[str], Mapping[str, int]]
"""What the uploads of an owner need no more than: called before one is refused, to lower what they have reserved. Until
they have their turn they ask for no more than that, either."""


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    change: Change
    refused: Undo
    fresh: bool
    forced: bool
    done: asyncio.Future[Any]


class _Line:
    """Those who want to change one owner's record, and the record with its revision as it was seen last. `asked`:
    when its owner's rows were counted last, which took so many seconds."""

    def __init__(self) -> None:
        self.waiting: list[_Step] = []
        self.working: asyncio.Task[None] | None = None
        self.seen: tuple[Account, int] | None = None
        self.asked = float("-inf")
        self.took = 0.0


class Records:
    """The records as this replica, `replica`, sees and changes them."""

    def __init__(self, bucket: KeyValue, count: Count, spare: Spare, replica: str) -> None:
        self.replica = replica
        self._bucket = bucket
        self._count = count
        self._spare = spare
        self._lines: OrderedDict[str, _Line] = OrderedDict()

    async def exists(self, owner: str) -> bool:
        """Raises Unavailable."""
        return await self._bucket.get(kv_token(owner)) is not None

    def change(
        self,
        owner: str,
        change: Change,
        *,
        refused: Undo = lambda account: account,
        fresh: bool = False,
        forced: bool = False,
    ) -> asyncio.Future[Any]:
        """What `change` told, once the record is written; it may be called several times. Changes are made in the
        order of the calls; for one that raises QuotaExceeded, `refused` is. `fresh`: what is remembered of the record
        does not do; `forced`: write also what is the same. Raises QuotaExceeded, Unavailable."""
        line = self._line(owner)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        line.waiting.append(_Step(change=change, refused=refused, fresh=fresh, forced=forced, done=done))
        if line.working is None:
            line.working = asyncio.create_task(self._work(owner, line), name="quota-record")
        return done

    def _line(self, owner: str) -> _Line:
        line = self._lines.setdefault(owner, _Line())
        self._lines.move_to_end(owner)
        if len(self._lines) > _OWNERS_KEPT:
            oldest = next(iter(self._lines))
            if self._lines[oldest].working is None:
                del self._lines[oldest]
        return line

    async def _work(self, owner: str, line: _Line) -> None:
        while line.waiting:
            steps, line.waiting = line.waiting, []
            try:
                results = await self._write(owner, line, steps)
            except Exception as error:  # noqa: BLE001 - those who wait are told
                line.seen = None
                results = [error] * len(steps)
            for step, result in zip(steps, results, strict=True):
                if step.done.done():
                    continue  # nobody waits any more
                if isinstance(result, Exception):
                    step.done.set_exception(result)
                else:
                    step.done.set_result(result)
        line.working = None

    async def _write(self, owner: str, line: _Line, steps: list[_Step]) -> list[Any]:
        if any(step.fresh for step in steps):
            line.seen = None
        for attempt in range(_ATTEMPTS):
            looked = line.seen is None
            before, revision = line.seen = line.seen or await self._look(owner)
            start = accounts.without_dead(before, datetime.now(UTC))
            due = accounts.needs_count(start, datetime.now(UTC))
            sure = False
            if due and line.asked + _DOUBTFUL_PAUSE < time.monotonic():
                start, sure = await self._counted(owner, line, start)
            account, results = _applied(start, steps)
            if _refuses(results):
                if not looked:  # what is remembered may be old, and nobody is refused for that
                    line.seen = None
                    continue
                start = accounts.lower(start, self.replica, self._spare(owner))
                asked = sure or await _its_turn(line)
                if asked and not sure:
                    start, sure = await self._counted(owner, line, start)  # a deletion is known there first
                account, results = _applied(start, steps)
                # A catalog that is away is not waited for; one that was, and did not tell, will before long.
                if start.doubtful or not (sure or (asked and line.took < _SILENCE)):
                    _say_unsure(results)
            if account == before and not any(step.forced for step in steps):
                return results
            try:
                line.seen = account, await self._put(owner, account, revision)
            except KeyConflict:  # another replica was faster
                line.seen = None
                await step_aside(attempt)
                continue
            return results
        raise Unavailable(
            f"The quota could not be written in {_ATTEMPTS} attempts.", retry_after=RETRY_SECONDS
        )

    async def _look(self, owner: str) -> tuple[Account, int]:
        entry = await self._bucket.get(kv_token(owner))
        if entry is None:
            return Account(), 0
        return msgspec.json.decode(entry.value, type=Account), entry.revision

    async def _put(self, owner: str, account: Account, revision: int) -> int:
        key, value = kv_token(owner), msgspec.json.encode(account)
        if revision == 0:
            return await self._bucket.create(key, value)
        return await self._bucket.update(key, value, revision)

    async def _counted(self, owner: str, line: _Line, account: Account) -> tuple[Account, bool]:
        """With the figures of the rows where they can be had, and whether they could.

        The write that follows is of this very revision, so nothing was settled or begun in between.
        """
        line.asked = time.monotonic()
        usage = await self._count(owner, sorted(account.held), account.sequence)
        line.took = time.monotonic() - line.asked
        if usage is None:
            line.took = min(line.took, _SILENCE)
            return account, False
        return accounts.counted(account, usage.bytes, usage.objects, datetime.now(UTC)), True


async def _its_turn(line: _Line) -> bool:
    """Whether the rows may be counted again by now, or within a moment: an owner who has nothing left and goes on
    trying must not keep the catalog busy."""
    rest = line.asked + line.took * (1 + _COUNTING_SHARE) - time.monotonic()
    if rest > _PATIENCE:
        return False
    await asyncio.sleep(max(0.0, rest))
    return True


def _say_unsure(results: list[Any]) -> None:
    """There may be more room by now, which nobody could tell: it helps to ask again."""
    for result in results:
        if isinstance(result, QuotaExceeded) and result.retry_after is None:
            result.retry_after = _UNSURE_WAIT


def _applied(account: Account, steps: list[_Step]) -> tuple[Account, list[Any]]:
    results: list[Any] = []
    for step in steps:
        try:
            account, result = step.change(account)
        except QuotaExceeded as refusal:
            account, result = step.refused(account), refusal
        results.append(result)
    return account, results


def _refuses(results: list[Any]) -> bool:
    return any(isinstance(result, QuotaExceeded) for result in results)
