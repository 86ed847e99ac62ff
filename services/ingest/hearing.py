"""What ingest hears on the broker without asking: the catalog's heartbeat and the progress of jobs."""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable

import structlog

from shared.errors import Malformed
from shared.events import topology
from shared.events.bus import Bus, Message
from shared.events.consumer import unless
from shared.events.messages import Progress, decode

log = structlog.get_logger()

PROGRESS_KEPT = 10_000
RECEIVING = "receiving"
"""The stage of a file that is still on its way to us."""


class Heartbeat:
    """When the catalog was last heard."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._heard: float | None = None

    def beat(self, _message: Message) -> None:
        self._heard = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether it was heard within the seconds that it may be silent."""
        return self._heard is not None and time.monotonic() - self._heard <= self._silence


class ProgressBoard:
    """The newest progress of the media last heard of, bounded."""

    def __init__(self, most: int = PROGRESS_KEPT) -> None:
        self._most = most
        self._newest: OrderedDict[uuid.UUID, Progress] = OrderedDict()

    def note(self, message: Message) -> None:
        try:
            _, event = decode(message.data)
        except Malformed as error:
            log.warning("progress.unreadable", subject=message.subject, error=error.detail)
            return
        if isinstance(event, Progress):
            self._newest[event.id] = event
            self._newest.move_to_end(event.id)
            if len(self._newest) > self._most:
                self._newest.popitem(last=False)

    def of(self, media_id: uuid.UUID) -> Progress | None:
        return self._newest.get(media_id)


async def hear(bus: Bus, subject: str, take: Callable[[Message], None], stop: asyncio.Event) -> None:
    """Call `take` for every message until `stop` is set."""

    async def listen() -> None:
        async with bus.listen(subject) as messages:
            async for message in messages:
                take(message)

    await unless(stop, listen())


PROGRESS_SUBJECT = topology.progress(">")
