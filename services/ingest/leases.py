"""Records of a bucket that one process holds for a while: renewed as long as it works, taken over when it died."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from shared.errors import Unavailable
from shared.events.bus import KeyConflict, KeyValue

log = structlog.get_logger()


class Leased(msgspec.Struct, frozen=True, kw_only=True):
    """What every such record holds: by whom it is held (a word of that attempt alone) and until when."""

    holder: str
    until: datetime

    @property
    def expired(self) -> bool:
        return self.until <= datetime.now(UTC)


class _Holder(msgspec.Struct, frozen=True):
    holder: str = ""


class Lost(Exception):
    """Somebody else holds the record now, or it is gone."""


R = TypeVar("R", bound=Leased)


def now_plus(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Lease(Generic[R]):
    """A record that is ours. Calls may overlap: they take turns."""

    def __init__(self, bucket: KeyValue, key: str, record: R, revision: int) -> None:
        self.key = key
        self.record = record
        self._bucket = bucket
        self._revision = revision
        self._turn = asyncio.Lock()

    @classmethod
    async def create(cls, bucket: KeyValue, key: str, record: R) -> "Lease[R]":
        """Write the record where none is. Raises KeyConflict, Unavailable."""
        return cls(bucket, key, record, await bucket.create(key, msgspec.json.encode(record)))

    @classmethod
    async def take_over(cls, bucket: KeyValue, key: str, record: R, revision: int) -> "Lease[R]":
        """Replace exactly that revision by a record of ours. Raises KeyConflict, Unavailable."""
        return cls(bucket, key, record, await bucket.update(key, msgspec.json.encode(record), revision))

    async def change(self, **changes: Any) -> None:
        """Write the record with these fields changed. Raises Lost, Unavailable."""
        async with self._turn:
            record = msgspec.structs.replace(self.record, **changes)
            data = msgspec.json.encode(record)
            try:
                self._revision = await self._bucket.update(self.key, data, self._revision)
            except KeyConflict:
                self._revision = await self._bucket_update_again(data)
            self.record = record

    async def _bucket_update_again(self, data: bytes) -> int:
        """A write of ours that was answered by a timeout may have happened: then the newer revision is ours, too."""
        try:
            return await self._bucket.update(self.key, data, await self._own_revision())
        except KeyConflict as error:
            raise Lost(self.key) from error

    async def _own_revision(self) -> int:
        entry = await self._bucket.get(self.key)
        if entry is None or msgspec.json.decode(entry.value, type=_Holder).holder != self.record.holder:
            raise Lost(self.key)
        return entry.revision

    async def delete(self) -> None:
        """Remove the record where it is still ours; otherwise do nothing. Raises Unavailable."""
        async with self._turn:
            try:
                await self._bucket.delete(self.key, self._revision)
            except KeyConflict:
                try:
                    await self._bucket.delete(self.key, await self._own_revision())
                except (Lost, KeyConflict):
                    log.warning("lease.lost", key=self.key)


@asynccontextmanager
async def renewed(
    lease: Lease[Any], *, every: float, lasting: float, changes: Callable[[], dict[str, Any]] = dict
) -> AsyncIterator[None]:
    """Renew the lease while the block runs, and write `changes` along with it.

    A lease that was lost shows when the block's own next write raises Lost.
    """
    over = asyncio.Event()

    async def renew() -> None:
        while not over.is_set():
            try:
                await asyncio.wait_for(over.wait(), every)
            except TimeoutError:
                try:
                    await lease.change(until=now_plus(lasting), **changes())
                except (Lost, Unavailable) as error:
                    log.warning("lease.not_renewed", key=lease.key, error=repr(error))

    task = asyncio.create_task(renew(), name="lease-renewal")
    try:
        yield
    finally:
        # Not cancelled: a write cut off in the middle would leave its revision unknown.
        over.set()
        await task
