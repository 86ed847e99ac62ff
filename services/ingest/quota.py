"""The quotas of owners: reserved before an upload's bytes, settled after them, the same for all replicas."""

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from services.ingest import accounts
from services.ingest.accounts import Account, Asked, Limits
from services.ingest.leases import now_plus
from services.ingest.quota_records import Change, Count, Records
from shared.errors import TripodError
from shared.events.bus import KeyValue
from shared.events.consumer import unless

log = structlog.get_logger()

BLOCK_LEAST = 1024 * 1024
BLOCK_MOST = 16 * 1024 * 1024
"""A body of unknown length reserves again as much as it has brought, within these."""


class Hold:
    """What one upload has reserved, in bytes. `size`: its length, None where that is not known; `bound`: the most
    that it can be then, and `sure` the least; `own`: the owner uploads it and `claimed` is what their token says of
    limits."""

    def __init__(
        self,
        owner: str,
        media_id: uuid.UUID,
        limits: Limits,
        *,
        own: bool = True,
        claimed: Limits | None = None,
        size: int | None = None,
        bound: int | None = None,
        sure: int = 0,
    ) -> None:
        self.owner = owner
        self.upload = str(media_id)
        self.limits = limits
        self.own = own
        self.claimed = claimed
        self.size = size
        self.bound = bound
        self.sure = sure
        self.granted = 0
        self.received = 0
        self.tight = False

    def asked(self) -> Asked:
        """For all that has come, and for what may come next unless room is `tight`."""
        if self.size is not None:
            return Asked(upload=self.upload, least=self.size, most=self.size)
        least = max(1, self.received, self.sure)
        if self.tight:
            return Asked(upload=self.upload, least=least, most=least)
        most = self.received + min(max(self.received, BLOCK_LEAST), BLOCK_MOST)
        return Asked(upload=self.upload, least=least, most=max(least, min(most, self.bound or most)))


class Quota:
    """`lasting`: seconds after which what a dead replica has reserved is free again."""

    def __init__(self, bucket: KeyValue, count: Count, *, lasting: float) -> None:
        self.count = count
        self._records = Records(bucket, count, self._spare, secrets.token_hex(6))
        self._lasting = lasting
        self._holds: dict[str, dict[str, Hold]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    async def reserve(self, hold: Hold) -> None:
        """Have enough reserved for all that has come. Raises QuotaExceeded, Unavailable."""

        def change(account: Account) -> tuple[Account, int]:
            if hold.own:
                account = accounts.claimed(account, hold.claimed)
            limits = hold.limits if hold.own else account.claimed or hold.limits
            return accounts.reserve(
                account, self._records.replica, now_plus(self._lasting), limits, hold.asked()
            )

        self._holds.setdefault(hold.owner, {})[hold.upload] = hold
        try:
            hold.granted = await self._records.change(hold.owner, change, refused=self._releasing(hold))
        except BaseException:
            if hold.granted == 0:
                self.release(hold)  # it may have been written all the same
            raise
        finally:
            hold.tight = False

    async def check(self, owner: str, limits: Limits) -> None:
        """Raises QuotaExceeded where not even one byte more would be taken; nothing is reserved."""
        asked = Asked(upload="", least=1, most=1)

        def look(account: Account) -> tuple[Account, None]:
            accounts.reserve(account, self._records.replica, now_plus(self._lasting), limits, asked)
            return account, None

        await self._records.change(owner, look)

    def settle(self, hold: Hold, size: int, sequence: int | None) -> None:
        """The upload is stored, and was announced at that place of the stream; None: will be, perhaps. The record
        hears of it in a moment."""
        replica = self._records.replica
        self._end(hold, lambda account: accounts.settle(account, replica, hold.upload, size, sequence))

    def release(self, hold: Hold) -> None:
        """The upload came to nothing."""
        self._end(hold, self._releasing(hold))

    def _releasing(self, hold: Hold) -> Callable[[Account], Account]:
        return lambda account: accounts.release(account, self._records.replica, hold.upload)

    async def doubt(self, owner: str, sequence: int = 0) -> None:
        """The rows of an owner changed, or will when the catalog knows this place of the stream: what is used is
        counted anew. Nothing where no record is. Harmless when repeated. Raises Unavailable."""
        if await self._records.exists(owner):
            await self._records.change(owner, lambda a: (accounts.doubt(a, sequence), None), forced=True)

    async def known(self, owner: str) -> bool:
        """Whether there is a record. Raises Unavailable."""
        return await self._records.exists(owner)

    async def account(self, owner: str) -> Account:
        """The record as it is now. Raises Unavailable."""
        found: Account = await self._records.change(owner, lambda account: (account, account), fresh=True)
        return found

    async def keep(self, stop: asyncio.Event) -> None:
        """Renew what the uploads under way have reserved, until `stop` is set."""
        while not stop.is_set():
            await unless(stop, asyncio.sleep(self._lasting / 4))
            for owner, holds in list(self._holds.items()):
                await _quietly(owner, self._records.change(owner, self._renewal(frozenset(holds))))

    async def close(self) -> None:
        """Let what was settled be written."""
        if self._settling:
            await asyncio.wait(self._settling, timeout=2)

    def _renewal(self, alive: frozenset[str]) -> Change:
        until = now_plus(self._lasting)
        return lambda account: (accounts.renew(account, self._records.replica, until, alive), None)

    def _spare(self, owner: str) -> Mapping[str, int]:
        """What an upload of unknown length has reserved beyond what it has brought can be had back: it asks again."""
        found = {}
        for hold in self._holds.get(owner, {}).values():
            hold.tight = True
            if hold.size is None and hold.granted:
                hold.granted = found[hold.upload] = min(hold.granted, max(hold.received, hold.sure))
        return found

    def _end(self, hold: Hold, change: Callable[[Account], Account]) -> None:
        holds = self._holds.get(hold.owner, {})
        holds.pop(hold.upload, None)
        if not holds:
            self._holds.pop(hold.owner, None)
        written = self._records.change(hold.owner, lambda account: (change(account), None))
        task = asyncio.create_task(_quietly(hold.owner, written), name="quota-settlement")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)


async def _quietly(owner: str, written: Awaitable[Any]) -> None:
    """What is not written runs out by itself, and is counted anew then."""
    try:
        await written
    except TripodError as error:
        log.warning("quota.not_written", owner=owner, error=error.detail)
