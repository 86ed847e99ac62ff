"""The stream of media events as another system could see and disturb it: read, published again, waited for."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import nats
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from deploy.stack import EmbeddedStack
from tests.fixtures.waiting import eventually

STREAM = "MEDIA"
READ_AT_ONCE = 100
SHORT_MEMORY = 0.2
"""Seconds."""
T = TypeVar("T")


class Told(msgspec.Struct, frozen=True):
    """One stored event."""

    sequence: int
    subject: str
    data: bytes

    @property
    def media_id(self) -> str:
        found: str = msgspec.json.decode(self.data)["subject"]
        return found


def on_broker(stack: EmbeddedStack, work: Callable[[JetStreamContext], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives, over a connection of its own."""

    async def run() -> T:
        client = await nats.connect(stack.nats_url)
        try:
            return await work(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


def told(stack: EmbeddedStack) -> list[Told]:
    """Everything that the stream holds, in order."""

    async def read(js: JetStreamContext) -> list[Told]:
        last = (await js.stream_info(STREAM)).state.last_seq
        found: list[RawStreamMsg | None] = []
        for start in range(1, last + 1, READ_AT_ONCE):
            places = range(start, min(start + READ_AT_ONCE, last + 1))
            found += await asyncio.gather(*(_message(js, place) for place in places))
        return [
            Told(m.seq, m.subject, m.data) for m in found if m is not None and m.subject and m.data and m.seq
        ]

    return on_broker(stack, read)


async def _message(js: JetStreamContext, sequence: int) -> RawStreamMsg | None:
    try:
        return await js.get_msg(STREAM, sequence)
    except NotFoundError:
        return None


def forgotten(stack: EmbeddedStack, media_id: str) -> bool:
    """Whether all that the stream tells of that media is older than what a broker of short memory remembers."""

    async def newest(js: JetStreamContext) -> datetime | None:
        found = await asyncio.gather(*(_message(js, place) for place in places))
        return max((message.time for message in found if message and message.time), default=None)

    places = [event.sequence for event in told(stack) if event.media_id == media_id]
    last = on_broker(stack, newest)
    # Some more, because the broker forgets at rounds of its own.
    return last is not None and datetime.now(UTC) - last > timedelta(seconds=5 * SHORT_MEMORY)


def tell_again(stack: EmbeddedStack, events: list[Told]) -> None:
    """The same events under message ids that the broker has not seen: for it they are new."""

    async def publish(js: JetStreamContext) -> None:
        for event in events:
            await js.publish(event.subject, event.data, headers={"Nats-Msg-Id": str(uuid.uuid4())})

    on_broker(stack, publish)


def all_handled(stack: EmbeddedStack, seconds: float = 60) -> None:
    """Return when every durable consumer has acknowledged all there is for it."""

    async def behind(js: JetStreamContext) -> list[str]:
        found = await js.consumers_info(STREAM)
        return [f.name for f in found if f.num_pending or f.num_ack_pending]

    def look() -> bool:
        try:
            return not on_broker(stack, behind)
        except (Error, OSError):
            return False

    eventually(look, "every event to be handled", seconds)


def held(stack: EmbeddedStack, durables: str) -> int:
    """How many events are in somebody's hands, of the durable consumers whose names begin like this."""

    async def count(js: JetStreamContext) -> int:
        found = await js.consumers_info(STREAM)
        return sum(info.num_ack_pending or 0 for info in found if info.name.startswith(durables))

    return on_broker(stack, count)


@contextmanager
def short_memory(stack: EmbeddedStack) -> Iterator[None]:
    """The broker knows a message id for no longer than this, so that what is told again soon is told twice."""

    async def remember(js: JetStreamContext, seconds: float) -> float:
        config = (await js.stream_info(STREAM)).config
        before = config.duplicate_window
        config.duplicate_window = seconds
        await js.update_stream(config)
        return before or 0

    before = on_broker(stack, lambda js: remember(js, SHORT_MEMORY))
    try:
        yield
    finally:
        on_broker(stack, lambda js: remember(js, before))
