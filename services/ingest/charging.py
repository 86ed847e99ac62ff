"""What an upload is charged to: the rate of who sends it, and the quota of who will own it.

Wrapped around the taking of a file: the rate is looked at before the body is read, room in the quota is reserved
before the file flows, block by block where its length is not known, and settled when it is stored.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.ingest.accounts import Limits
from services.ingest.attempt import Attempt, Wish
from services.ingest.context import Ingest
from services.ingest.fields import Options
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.quota import Hold
from services.ingest.rates import Flow
from services.ingest.source import Source
from shared.auth import Caller


@asynccontextmanager
async def charged(ingest: Ingest, wish: Wish, attempt: Attempt) -> AsyncIterator["Charge"]:
    """Raises RateExceeded at once."""
    serves = "service" in wish.caller.roles  # uploads for many: their rates are not its own
    charge = Charge(ingest, wish, attempt, None if serves else ingest.rates.begin(wish.owner))
    try:
        yield charge
    finally:
        charge.end()


def own_limits(default: Limits, caller: Caller) -> Limits:
    """The quota of a caller: what the token says goes before what is set here."""
    return Limits(
        bytes=default.bytes if caller.quota_bytes is None else caller.quota_bytes,
        objects=default.objects if caller.quota_objects is None else caller.quota_objects,
    )


def claimed_limits(default: Limits, caller: Caller) -> Limits | None:
    """The same; None where the token says nothing."""
    silent = caller.quota_bytes is None and caller.quota_objects is None
    return None if silent else own_limits(default, caller)


class Charge:
    """One upload's: what it holds in the quota, and what it counts for the rate."""

    def __init__(self, ingest: Ingest, wish: Wish, attempt: Attempt, flow: Flow | None) -> None:
        self._ingest = ingest
        self._wish = wish
        self._attempt = attempt
        self._flow = flow
        self._hold: Hold | None = None
        self._received = 0

    async def early(self) -> None:
        """Reserve before a form is read, where nothing in it can name another owner. Raises QuotaExceeded."""
        if self._wish.asked.method == "POST" and not self._wish.caller.governs:
            await self._reserve(self._wish.owner, None)

    async def of(self, source: Source) -> Source:
        """The same file, which pays as it flows. Raises QuotaExceeded."""
        if self._hold is None:
            await self._reserve(source.early.owner or self._wish.owner, source.size)
        if self._flow is not None and source.size is not None:
            self._flow.at(source.size)
        if self._hold is None and self._flow is None and not self._ingest.settings.quota.limited:
            return source

        async def finish() -> Options:
            options = await source.finish()
            await self._hand_over(options.owner or self._wish.owner)
            return options

        return msgspec.structs.replace(source, chunks=self._paying(source.chunks), finish=finish)

    def end(self) -> None:
        """After the upload, however it ended."""
        received = self._attempt.transfer.received
        if self._flow is not None:
            self._flow.end(self._received)
        if self._hold is None:
            return
        if self._attempt.stored:
            self._ingest.quota.settle(self._hold, received, self._attempt.sequence)
        else:
            self._ingest.quota.release(self._hold)

    async def _paying(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in chunks:
            self._received += len(piece)
            if self._flow is not None:
                self._flow.at(self._received)
            hold = self._hold
            if hold is not None:
                hold.received = self._received
                if hold.received > hold.granted:
                    await self._ingest.quota.reserve(hold)
            yield piece

    async def _reserve(self, owner: str, size: int | None) -> None:
        """Nothing is asked of the broker for an owner without a limit. What a form of one file has beyond what its
        fields may have is file."""
        length = self._wish.asked.length
        caller, default = self._wish.caller, self._ingest.settings.quota
        own = owner == self._wish.owner
        limits = own_limits(default, caller) if own else default
        if not limits.limited:
            return
        self._hold = hold = Hold(
            owner,
            self._attempt.id,
            limits,
            own=own,
            claimed=claimed_limits(default, caller),
            size=size,
            bound=length,
            sure=0 if length is None or self._wish.reading is None else length - FORM_OVERHEAD_BYTES,
        )
        try:
            await self._ingest.quota.reserve(hold)
        except BaseException:
            self._hold = None
            raise

    async def _hand_over(self, owner: str) -> None:
        """A field after the file may name another owner, who then pays instead. Raises QuotaExceeded."""
        paid = self._hold
        if owner == (self._wish.owner if paid is None else paid.owner):
            return
        self._hold = None
        if paid is not None:
            self._ingest.quota.release(paid)
        await self._reserve(owner, self._received)
