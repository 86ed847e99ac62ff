"""The bus on NATS JetStream."""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import nats.errors
import structlog
from nats.aio.msg import Msg

from shared.errors import Malformed, SettingsError, Unavailable
from shared.events import jetstream_topology
from shared.events.bus import Delivery, Headers, KeyValue, Message, NoAnswer
from shared.events.jetstream_api import ApiError, answer, ask
from shared.events.jetstream_connection import BusSettings, Connection, Feed
from shared.events.jetstream_kv import JetStreamKeyValue
from shared.events.jetstream_pull import Puller, own_headers
from shared.events.listener import Listener
from shared.events.topology import Durable, Topology

__all__ = ["BusSettings", "JetStreamBus", "connect"]

log = structlog.get_logger()

MESSAGE_ID = "Nats-Msg-Id"
FAILED = "Tripod-Failed"
"""A header of an answer: the handler raised, so there is none."""
SERVE_AT_ONCE = 64
_NO_MESSAGE = 10037


async def connect(settings: BusSettings, *, wait: float = 0.5) -> "JetStreamBus":
    """A bus that connects by itself for as long as it takes.

    Returns when it is connected, or after `wait` seconds without: a broker that is down is no error here.
    """
    bus = JetStreamBus(settings)
    bus._connection.start()  # noqa: SLF001 - the other half of the constructor, which cannot await
    await bus._connection.wait_connected(wait)  # noqa: SLF001
    return bus


class JetStreamBus:
    """See `bus.Bus`. The topology of the last `ensure` is made again on each new connection, so that a broker
    that lost its state gets it back."""

    def __init__(self, settings: BusSettings) -> None:
        self._connection = Connection(settings, self._on_connect)
        self._topology: Topology | None = None
        self._prefix = f"_INBOX.{secrets.token_hex(11)}"
        self._inboxes = 0
        self._listeners: dict[str, Listener] = {}
        self._inbox_feed = Feed(f"{self._prefix}.r.*", "", self._to_inbox)
        self._pullers: dict[str, list[Puller]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection.always(self._inbox_feed)

    @property
    def connected(self) -> bool:
        return self._connection.connected

    @property
    def failed_attempts(self) -> int:
        """How often connecting has failed since the connection was last there."""
        return self._connection.failed_attempts

    async def wait_connected(self, timeout: float) -> bool:
        """Whether it is connected within `timeout` seconds."""
        return await self._connection.wait_connected(timeout)

    async def ensure(self, topology: Topology) -> None:
        self._topology = topology
        await jetstream_topology.ensure(self._connection, topology)

    async def _on_connect(self) -> None:
        if self._topology is not None:
            try:
                await jetstream_topology.ensure(self._connection, self._topology)
            except SettingsError as error:
                log.error("broker.topology_refused", error=error.detail)  # noqa: TRY400 - the text says it all

    async def publish(
        self, subject: str, data: bytes, *, message_id: str, headers: Headers | None = None
    ) -> int:
        what = f"publish {subject}"
        message = await self._connection.request(
            subject, data, what, headers={**(headers or {}), MESSAGE_ID: message_id}
        )
        try:
            return int(answer(message.data, what)["seq"])
        except ApiError as error:
            raise Malformed(
                f"The broker refuses the {len(data)} bytes of {message_id} on {subject}: {error}."
            ) from error

    async def fetch(self, durable: Durable, *, batch: int, wait: float) -> list[Delivery]:
        idle = self._pullers.setdefault(durable.name, [])
        puller = idle.pop() if idle else await self._new_puller(durable)
        try:
            return list(await puller.fetch(batch, wait))
        except asyncio.CancelledError:
            # Nobody may come back for what the broker sends to this request.
            puller.spent = True
            self._spawn(self._retire(puller))
            raise
        finally:
            if not puller.spent:
                idle.append(puller)

    async def _new_puller(self, durable: Durable) -> Puller:
        puller = Puller(self._connection, durable.stream, durable.name, self._fresh("p"))
        try:
            await self._connection.subscribe(puller.feed)
        except asyncio.CancelledError:
            self._spawn(self._retire(puller))
            raise
        return puller

    async def _retire(self, puller: Puller) -> None:
        with contextlib.suppress(Unavailable):  # then the ack wait brings them back
            await self._connection.unsubscribe(puller.feed, drain=True)
            await puller.give_back()

    async def erase(self, stream: str, sequence: int) -> None:
        try:
            await ask(self._connection, f"STREAM.MSG.DELETE.{stream}", seq=sequence)
        except (ApiError, Unavailable) as error:
            # The broker reports an absent message as trouble of its own.
            if await self.read(stream, sequence) is not None:
                raise Unavailable(f"Message {sequence} of {stream} cannot be erased: {error}.") from error

    async def read(self, stream: str, sequence: int) -> Message | None:
        try:
            found = await ask(self._connection, f"STREAM.MSG.GET.{stream}", seq=sequence)
        except ApiError as error:
            if error.code == _NO_MESSAGE:
                return None
            raise Unavailable(f"Stream {stream} cannot be read: {error}.") from error
        message = found["message"]
        return Message(
            subject=message["subject"],
            data=base64.b64decode(message.get("data", "")),
            headers=own_headers(_parse_headers(base64.b64decode(message.get("hdrs", "")))),
        )

    async def last_sequence(self, stream: str) -> int:
        try:
            return int((await ask(self._connection, f"STREAM.INFO.{stream}"))["state"]["last_seq"])
        except ApiError as error:
            raise Unavailable(f"Stream {stream} cannot be read: {error}.") from error

    async def handled_through(self, durable: Durable) -> int:
        last = await self.last_sequence(durable.stream)  # first: what is published meanwhile shows as pending
        try:
            found = await ask(self._connection, f"CONSUMER.INFO.{durable.stream}.{durable.name}")
        except ApiError as error:
            raise Unavailable(f"The consumer {durable.name} cannot be looked at: {error}.") from error
        floor = int(found["ack_floor"]["stream_seq"])
        # The floor stays at the last event that was for this consumer, whatever has followed that is not.
        return floor if found["num_pending"] or found["num_ack_pending"] else max(floor, last)

    async def broadcast(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        async with self._connection.call(f"send {subject}") as client:
            await client.publish(subject, data, headers=dict(headers) if headers else None)

    @contextlib.asynccontextmanager
    async def listen(
        self, subject: str, on_gap: Callable[[], None] | None = None
    ) -> AsyncIterator[AsyncIterator[Message]]:
        listener = Listener(on_gap)
        if subject.startswith(f"{self._prefix}.r."):
            # The connection hears all its inboxes anyway: this costs the broker nothing.
            self._listeners[subject] = listener
            try:
                yield listener.messages()
            finally:
                del self._listeners[subject]
            return
        feed = Feed(subject, "", lambda message: listener.take(_message(message)), on_gap)
        async with self._connection.subscribed(feed):
            yield listener.messages()

    def _to_inbox(self, message: Msg) -> None:
        listener = self._listeners.get(message.subject)
        if listener is not None:
            listener.take(_message(message))

    async def request(
        self, subject: str, data: bytes, *, timeout: float, headers: Headers | None = None
    ) -> bytes:
        try:
            # More time than the request has, so that a slow server is told from a lost connection.
            async with self._connection.call(f"ask {subject}", timeout + 1) as client:
                answered = await client.request(
                    subject, data, timeout=timeout, headers=dict(headers) if headers else None
                )
        except Unavailable as error:
            if isinstance(error.__cause__, nats.errors.NoRespondersError | nats.errors.TimeoutError):
                raise NoAnswer(subject) from error
            raise
        if answered.headers and FAILED in answered.headers:
            raise NoAnswer(f"{subject}: the server failed")
        return answered.data

    @contextlib.asynccontextmanager
    async def serve(
        self, subject: str, queue: str, handler: Callable[[Message], Awaitable[bytes]]
    ) -> AsyncIterator[None]:
        running: set[asyncio.Task[None]] = set()
        places = asyncio.Semaphore(SERVE_AT_ONCE)

        def take(message: Msg) -> None:
            task = asyncio.create_task(self._answer(message, handler, places))
            running.add(task)
            task.add_done_callback(running.discard)

        try:
            async with self._connection.subscribed(Feed(subject, queue, take)):
                yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _answer(
        self, message: Msg, handler: Callable[[Message], Awaitable[bytes]], places: asyncio.Semaphore
    ) -> None:
        async with places:
            headers = None
            try:
                data = await handler(_message(message))
            except Exception:
                log.exception("request.failed", subject=message.subject)
                data, headers = b"", {FAILED: "1"}
        if message.reply:
            with contextlib.suppress(Unavailable):  # then the caller has lost the broker, too
                await self.broadcast(message.reply, data, headers)

    def inbox(self) -> str:
        return self._fresh("r")

    def _fresh(self, kind: str) -> str:
        self._inboxes += 1
        return f"{self._prefix}.{kind}.{self._inboxes}"

    def kv(self, bucket: str) -> KeyValue:
        return JetStreamKeyValue(self._connection, bucket, f"{self._prefix}.k")

    async def close(self) -> None:
        for puller in [p for idle in self._pullers.values() for p in idle]:
            self._spawn(self._retire(puller))
        self._pullers.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        await self._connection.close()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _message(message: Msg) -> Message:
    return Message(
        subject=message.subject,
        data=message.data,
        headers=own_headers(message.headers),
        reply=message.reply,
    )


def _parse_headers(raw: bytes) -> dict[str, str]:
    lines = raw.decode(errors="replace").split("\r\n")[1:]
    return {name: value.strip() for name, found, value in (line.partition(":") for line in lines) if found}
