"""Who listens: their connections, how many there may be, and the messages that wait for each."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, TypeAlias

import msgspec

from shared.auth import Caller
from shared.dialects.users import integer_id
from shared.env import Env
from shared.errors import TooMany, Unavailable

QUEUE = 256  # messages that wait for one slow listener
Kind: TypeAlias = Literal[
    "media.created", "media.updated", "media.hidden", "media.deleted", "progress", "resync"
]


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections one process keeps: in all, and of one caller."""

    connections: int = 2000
    per_caller: int = 50

    @classmethod
    def from_env(cls, env: Env) -> "LiveSettings":
        return cls(
            connections=env.integer("TRIPOD_LIVE_CONNECTIONS", 2000, least=1, most=100_000),
            per_caller=env.integer("TRIPOD_LIVE_PER_CALLER", 50, least=1, most=100_000),
        )


class LiveMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One thing that happened. `sequence` is its place in the media stream; progress has none.

    While a file is `receiving` there is no media yet; then its name and bytes are told. `eta`: seconds until a long
    job is done, if known.
    `media.hidden`: everybody could see it until now, and whoever hears this may not any more.
    `resync`: messages were lost here, so what is shown should be asked for again.
    `number` and `profile` are known here and not told: older APIs speak of media by number, and of their own alone.
    """

    type: Kind
    id: uuid.UUID | None = None
    sequence: int | None = None
    trace_id: str | None = None
    media: dict[str, Any] | None = None
    stage: str | None = None
    percent: int | None = None
    filename: str | None = None
    received: int | None = None
    size: int | None = None
    eta: float | None = None
    number: int | None = None
    profile: str | None = None

    @cached_property
    def text(self) -> str:
        """As JSON; made once for all who hear it."""
        return msgspec.json.encode(msgspec.structs.replace(self, number=None, profile=None)).decode()


class Listener:
    """One connection's messages. When it is too slow they are dropped and it is told so. `only`: the profiles whose
    media are told of; None is all. `deletions`: also those of others' public media."""

    def __init__(
        self,
        caller: Caller,
        limit: int = QUEUE,
        *,
        only: frozenset[str] | None = None,
        deletions: bool = False,
    ) -> None:
        self.caller = caller
        self.only = only
        self.deletions = deletions
        self._limit = limit
        self._waiting: deque[LiveMessage] = deque()
        self._wake = asyncio.Event()
        self._left = False

    def hears_of(self, profile: str | None) -> bool:
        return self.only is None or profile in self.only

    def put(self, message: LiveMessage) -> None:
        if not self.hears_of(message.profile):
            return
        if len(self._waiting) >= self._limit:
            self.resync()
        self._waiting.append(message)
        self._wake.set()

    def resync(self) -> None:
        """Drop what waits and say so."""
        self._waiting.clear()
        self._waiting.append(LiveMessage(type="resync"))
        self._wake.set()

    def leave(self) -> None:
        """Nothing more comes behind what waits."""
        self._left = True
        self._wake.set()

    async def next(self) -> LiveMessage | None:
        """The next one as soon as there is one; None when this process leaves."""
        while not self._waiting:
            if self._left:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()


class Listeners:
    """All connections of one process, found by whom they are of: most of what happens concerns few."""

    def __init__(self, settings: LiveSettings, *, open_profiles: frozenset[str]) -> None:
        self.open_profiles = open_profiles
        self._settings = settings
        self._all: set[Listener] = set()
        self._staff: set[Listener] = set()
        self._of: dict[str | None, set[Listener]] = {}
        self._of_number: dict[str, set[Listener]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._all)

    def staff(self) -> Iterable[Listener]:
        """Those who see all."""
        return self._staff

    def of(self, subs: Iterable[str]) -> Iterator[Listener]:
        """Those of these users."""
        for sub in subs:
            yield from self._of.get(sub, ())

    def of_number(self, owner: str | None) -> Iterable[Listener]:
        """Those whose tokens have this number as `uid` beside another `sub`: what a service has uploaded for the number
        is theirs, what somebody has who is called so is not."""
        return self._of_number.get(owner or "", ())

    def require_room(self, caller: Caller) -> None:
        """Raises Unavailable where this process has as many connections as it may, TooMany where the caller has. All
        without a token have half of the places together; staff and services have no limit of their own."""
        most = self._settings.connections
        if len(self._all) >= most:
            raise Unavailable(f"This replica has {most} live connections already.", retry_after=10)
        theirs = most // 2 if caller.sub is None else self._settings.per_caller
        if len(self._of.get(caller.sub, ())) >= theirs and not caller.sees_all:
            who = "Callers without a token have" if caller.sub is None else "You have"
            raise TooMany(f"{who} {theirs} live connections here, which is the most.", retry_after=60)

    @contextmanager
    def listening(
        self, caller: Caller, *, only: frozenset[str] | None = None, deletions: bool = False
    ) -> Iterator[Listener]:
        """`only` and `deletions` as a listener has them; somebody without a token hears of open profiles alone unless
        others are named."""
        if only is None and caller.sub is None:
            only = self.open_profiles
        listener = Listener(caller, only=only, deletions=deletions)
        groups = [self._all, self._of.setdefault(caller.sub, set())]
        if caller.sees_all:
            groups.append(self._staff)
        if caller.uid is not None and integer_id(caller.sub or "", None) is None:
            groups.append(self._of_number.setdefault(str(caller.uid), set()))
        for group in groups:
            group.add(listener)
        try:
            yield listener
        finally:
            for group in groups:
                group.discard(listener)
            if self._of.get(caller.sub) == set():
                del self._of[caller.sub]
            if self._of_number.get(str(caller.uid)) == set():
                del self._of_number[str(caller.uid)]
