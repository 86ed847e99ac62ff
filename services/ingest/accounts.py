"""What one owner uses and what is reserved for uploads under way: the record of a quota, and how it changes.

Pure functions from record to record; `quota` writes them by compare-and-set. Rows of the catalog are the truth: the
record is what was counted there last and what has been added since. Only originals count, variants do not.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from services.ingest.limits import bytes_text
from shared.errors import TooMany

COUNT_EVERY = timedelta(hours=1)
"""How old a count may become before the catalog is asked again."""

_CAUTION = 8  # a body of unknown length takes at most this part of what is left beyond what it needs now
_WAIT_SECONDS = 5


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The most that an owner may have; 0 is no limit."""

    bytes: int = 0
    objects: int = 0

    @property
    def limited(self) -> bool:
        return bool(self.bytes or self.objects)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica has reserved: bytes by the id of each upload under way, until it dies or says so again."""

    until: datetime
    bytes: dict[str, int] = {}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`bytes`, `objects`: of settled uploads. `doubtful`: something happened that only a new count can tell;
    `sequence`: the newest place in the stream of an upload that was settled here, which a count has to know of;
    `claimed`: the limits that the owner's own token named last."""

    bytes: int = 0
    objects: int = 0
    counted_at: datetime | None = None
    doubtful: bool = False
    sequence: int = 0
    leases: dict[str, Lease] = {}
    claimed: Limits | None = None

    @property
    def held(self) -> Mapping[str, int]:
        """The bytes of all uploads under way, by id."""
        return {upload: size for lease in self.leases.values() for upload, size in lease.bytes.items()}

    @property
    def used(self) -> Limits:
        """With what is reserved."""
        held = self.held
        return Limits(bytes=max(0, self.bytes + sum(held.values())), objects=max(0, self.objects + len(held)))


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload needs: `least` bytes now, rather `most`. It keeps what it has: the two are totals."""

    upload: str
    least: int
    most: int


class QuotaExceeded(TooMany):
    """The owner may have no more; `left_bytes` and `left_objects` say how much less would be taken."""

    code = "quota_exceeded"
    title = "Quota exceeded"


def left(limit: int, used: int) -> int | None:
    """What is left; None without a limit."""
    return max(0, limit - used) if limit else None


def without_dead(account: Account, now: datetime) -> Account:
    """Without the leases that ran out. Whether their uploads were stored only a count can tell."""
    alive = {replica: lease for replica, lease in account.leases.items() if lease.until > now}
    if len(alive) == len(account.leases):
        return account
    return msgspec.structs.replace(account, leases=alive, doubtful=True)


def reserve(
    account: Account, replica: str, until: datetime, limits: Limits, asked: Asked
) -> tuple[Account, int]:
    """The account with the reservation, and how many bytes it has. Raises QuotaExceeded."""
    mine = dict(account.leases[replica].bytes) if replica in account.leases else {}
    had = mine.pop(asked.upload, 0)
    others = _with(account, replica, until, mine).used
    free = left(limits.bytes, others.bytes)
    if free is not None and asked.least > free:
        raise _exceeded(account, limits, others, asked.least)
    if limits.objects and others.objects >= limits.objects:
        raise _exceeded(account, limits, others, asked.least)
    if free is None:
        granted = asked.most
    else:
        granted = max(had, asked.least, min(asked.most, asked.least + (free - asked.least) // _CAUTION))
    mine[asked.upload] = granted
    return _with(account, replica, until, mine), granted


def lower(account: Account, replica: str, sizes: Mapping[str, int]) -> Account:
    """With less reserved for some uploads of this replica, as far as they are known."""
    lease = account.leases.get(replica)
    if lease is None:
        return account
    lowered = {upload: min(size, sizes.get(upload, size)) for upload, size in lease.bytes.items()}
    return _with(account, replica, lease.until, lowered)


def settle(account: Account, replica: str, upload: str, size: int, sequence: int | None) -> Account:
    """An upload is stored, and announced at this place of the stream; None where nobody knows yet.

    A reservation that is gone had run out, and a count may have seen the upload meanwhile.
    """
    lease = account.leases.get(replica)
    known = lease is not None and upload in lease.bytes
    return msgspec.structs.replace(
        release(account, replica, upload),
        bytes=account.bytes + size,
        objects=account.objects + 1,
        sequence=max(account.sequence, sequence or 0),
        doubtful=account.doubtful or not known or sequence is None,
    )


def release(account: Account, replica: str, upload: str) -> Account:
    """An upload came to nothing."""
    lease = account.leases.get(replica)
    if lease is None or upload not in lease.bytes:
        return account
    rest = {other: size for other, size in lease.bytes.items() if other != upload}
    return _with(account, replica, lease.until, rest)


def renew(account: Account, replica: str, until: datetime, alive: frozenset[str]) -> Account:
    """The lease lasts on, for the uploads that still are under way."""
    lease = account.leases.get(replica)
    if lease is None:
        return account
    kept = {upload: size for upload, size in lease.bytes.items() if upload in alive}
    renewed = _with(account, replica, until, kept)
    return renewed if len(kept) == len(lease.bytes) else msgspec.structs.replace(renewed, doubtful=True)


def doubt(account: Account, sequence: int = 0) -> Account:
    """The rows changed, or will: count anew before the figures are believed."""
    return msgspec.structs.replace(account, doubtful=True, sequence=max(account.sequence, sequence))


def claimed(account: Account, limits: Limits | None) -> Account:
    """With what the owner's own token says, for uploads that others make for them."""
    return account if account.claimed == limits else msgspec.structs.replace(account, claimed=limits)


def counted(account: Account, size: int, objects: int, now: datetime) -> Account:
    """The figures of the rows, without those of the uploads under way."""
    return msgspec.structs.replace(account, bytes=size, objects=objects, counted_at=now, doubtful=False)


def needs_count(account: Account, now: datetime) -> bool:
    return account.doubtful or account.counted_at is None or now - account.counted_at > COUNT_EVERY


def _with(account: Account, replica: str, until: datetime, held: dict[str, int]) -> Account:
    leases = {other: lease for other, lease in account.leases.items() if other != replica}
    if held:
        leases[replica] = Lease(until=until, bytes=held)
    return msgspec.structs.replace(account, leases=leases)


def _exceeded(account: Account, limits: Limits, others: Limits, needed: int) -> QuotaExceeded:
    free_bytes, free_objects = left(limits.bytes, others.bytes), left(limits.objects, others.objects)
    return QuotaExceeded(
        f"The quota has no room for this file: {', '.join(_rooms(limits, free_bytes, free_objects))}.",
        retry_after=_WAIT_SECONDS if _may_help(account, limits, needed) else None,
        left_bytes=free_bytes,
        left_objects=free_objects,
        limit_bytes=limits.bytes or None,
        limit_objects=limits.objects or None,
    )


def _rooms(limits: Limits, free_bytes: int | None, free_objects: int | None) -> Iterator[str]:
    if free_bytes is not None:
        yield f"{free_bytes} bytes of {bytes_text(limits.bytes)} are left"
    if free_objects is not None:
        yield f"{free_objects} of {limits.objects} files are left"


def _may_help(account: Account, limits: Limits, needed: int) -> bool:
    """Whether it would fit if every other upload under way came to nothing."""
    return (not limits.bytes or account.bytes + needed <= limits.bytes) and (
        not limits.objects or account.objects < limits.objects
    )
