"""The bus in memory, for tests: the rules of JetStream in one process, and a clock that can be moved."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog

from shared.errors import Unavailable
from shared.events.bus import Delivery, Headers, KeyValue, Message, NoAnswer
from shared.events.listener import Listener
from shared.events.memory_broker import MemoryBroker, Subscription
from shared.events.memory_kv import MemoryKeyValue
from shared.events.memory_stream import ADVISORY, MemoryConsumer, Stored
from shared.events.topology import Durable, Topology

log = structlog.get_logger()

_FAILED = "Tripod-Failed"


class MemoryDelivery:
    """See `bus.Delivery`."""

    def __init__(
        self, broker: MemoryBroker, consumer: MemoryConsumer, event: Stored, sequence: int, delivered: int
    ) -> None:
        self._broker = broker
        self._consumer = consumer
        self.subject = event.subject
        self.data = event.data
        self.headers = event.headers
        self.sequence = sequence
        self.delivered = delivered

    async def ack(self) -> None:
        self._broker.check()
        self._consumer.settle(self.sequence)

    async def nak(self, delay: float) -> None:
        self._broker.check()
        self._consumer.postpone(self.sequence, self._broker.now() + delay)
        self._broker.changed()

    async def terminate(self) -> None:
        self._broker.check()
        self._consumer.settle(self.sequence)

    async def in_progress(self) -> None:
        self._broker.check()
        wait = self._consumer.durable.ack_wait.total_seconds()
        self._consumer.postpone(self.sequence, self._broker.now() + wait)


class MemoryBus:
    """See `bus.Bus`. Several buses on one `broker` are several connections to it."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker()
        self._closed = False

    @property
    def connected(self) -> bool:
        return self.broker.running and not self._closed

    async def wait_connected(self, timeout: float) -> bool:
        """Whether it is connected within `timeout` seconds."""
        end = asyncio.get_running_loop().time() + timeout
        while not self.connected and (left := end - asyncio.get_running_loop().time()) > 0:
            await self.broker.wait_for_change(left)
        return self.connected

    async def ensure(self, topology: Topology) -> None:
        self._check()
        self.broker.ensure(topology)

    async def publish(
        self, subject: str, data: bytes, *, message_id: str, headers: Headers | None = None
    ) -> int:
        self._check()
        sequence = self.broker.store(
            Stored(subject=subject, data=data, headers=dict(headers or {})), message_id
        )
        self.broker.route(Message(subject=subject, data=data, headers=dict(headers or {})))
        return sequence

    async def fetch(self, durable: Durable, *, batch: int, wait: float) -> list[Delivery]:
        end = asyncio.get_running_loop().time() + wait
        while True:
            self._check()
            consumer = self._consumer(durable)
            taken = consumer.take(batch, self.broker.now())
            self._announce_exhausted(consumer)
            if taken:
                events = consumer.stream.events
                return [MemoryDelivery(self.broker, consumer, events[s], s, count) for s, count in taken]
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            due = consumer.next_due()
            await self.broker.wait_for_change(left if due is None else min(left, due - self.broker.now()))

    def _consumer(self, durable: Durable) -> MemoryConsumer:
        if durable.name not in self.broker.consumers:
            raise Unavailable(f"The consumer {durable.name} does not exist.")
        return self.broker.consumers[durable.name]

    def _announce_exhausted(self, consumer: MemoryConsumer) -> None:
        while consumer.exhausted:
            sequence = consumer.exhausted.pop()
            stream, name = consumer.durable.stream, consumer.durable.name
            advisory = {"stream": stream, "consumer": name, "stream_seq": sequence}
            subject = f"{ADVISORY}.{stream}.{name}"
            with contextlib.suppress(Unavailable):  # where no stream takes them
                stored = Stored(subject=subject, data=msgspec.json.encode(advisory), headers={})
                self.broker.store(stored, f"{subject}.{sequence}")

    async def erase(self, stream: str, sequence: int) -> None:
        self._check()
        self.broker.stream(stream).erase(sequence)

    async def read(self, stream: str, sequence: int) -> Message | None:
        self._check()
        event = self.broker.stream(stream).events.get(sequence)
        if event is None:
            return None
        return Message(subject=event.subject, data=event.data, headers=event.headers)

    async def last_sequence(self, stream: str) -> int:
        self._check()
        return self.broker.stream(stream).last

    async def handled_through(self, durable: Durable) -> int:
        self._check()
        return self._consumer(durable).floor

    async def broadcast(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        self._check()
        self.broker.route(Message(subject=subject, data=data, headers=dict(headers or {})))

    @contextlib.asynccontextmanager
    async def listen(
        self, subject: str, on_gap: Callable[[], None] | None = None
    ) -> AsyncIterator[AsyncIterator[Message]]:
        listener = Listener(on_gap)
        interest = Subscription(subject=subject, queue="", take=listener.take, again=on_gap)
        with self.broker.subscribed(interest):
            yield listener.messages()

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Headers | None = None
    ) -> bytes:
        self._check()
        reply = self.inbox()
        message = Message(subject=subject, data=data, headers=dict(headers or {}), reply=reply)
        async with self.listen(reply) as answers:
            if not self.broker.route(message):
                raise NoAnswer(subject)
            try:
                answer = await asyncio.wait_for(anext(answers), timeout)
            except TimeoutError as error:
                raise NoAnswer(subject) from error
        if _FAILED in answer.headers:
            raise NoAnswer(f"{subject}: the server failed")
        return answer.data

    @contextlib.asynccontextmanager
    async def serve(
        self, subject: str, queue: str, handler: Callable[[Message], Awaitable[bytes]]
    ) -> AsyncIterator[None]:
        running: set[asyncio.Task[None]] = set()

        def take(message: Message) -> None:
            task = asyncio.create_task(self._answer(message, handler))
            running.add(task)
            task.add_done_callback(running.discard)

        try:
            with self.broker.subscribed(Subscription(subject=subject, queue=queue, take=take)):
                yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _answer(self, message: Message, handler: Callable[[Message], Awaitable[bytes]]) -> None:
        headers = None
        try:
            data = await handler(message)
        except Exception:
            log.exception("request.failed", subject=message.subject)
            data, headers = b"", {_FAILED: "1"}
        if message.reply:
            with contextlib.suppress(Unavailable):  # then the caller has lost the broker, too
                await self.broadcast(message.reply, data, headers)

    def inbox(self) -> str:
        return f"_INBOX.memory.{next(self.broker.inboxes)}"

    def kv(self, bucket: str) -> KeyValue:
        return MemoryKeyValue(self.broker, bucket)

    async def close(self) -> None:
        self._closed = True
        self.broker.changed()

    def _check(self) -> None:
        if self._closed:
            raise Unavailable("The connection to the message broker is closed.")
        self.broker.check()
