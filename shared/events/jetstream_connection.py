"""Keeps one connection to NATS alive: a fresh client after every loss, the subscriptions carried over.

nats-py could reconnect by itself, but then it may send what a caller has long seen fail, gives up for good on
some errors of the server, and leaves pull requests behind that nobody hears. So each loss ends that client.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.env import Env
from shared.errors import Unavailable
from shared.events.jetstream_client import discard, is_deaf, leave, round_trip
from shared.events.topology import TOPOLOGY, Topology

log = structlog.get_logger()

PING_SECONDS = 10  # a peer that vanished without a FIN is noticed after three of these
POLL_SECONDS = 0.25  # the client does not report every way of being lost
CALL_SECONDS = 5.0


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where NATS is and what must exist there. User and password may also stand in the URL; `reconnect_wait` is
    in seconds, `ack_wait` the most that any event of a dead worker waits for another one."""

    url: str = "nats://127.0.0.1:4222"
    user: str = ""
    password: str = ""
    reconnect_wait: float = 2
    ack_wait: float = 60
    name: str = "tripod"

    @property
    def topology(self) -> Topology:
        return TOPOLOGY.handed_on_after(timedelta(seconds=self.ack_wait))

    @classmethod
    def from_env(cls, env: Env, name: str = "tripod") -> "BusSettings":
        return cls(
            url=env.url("TRIPOD_NATS_URL", cls().url, schemes=("nats", "tls")),
            user=env.text("TRIPOD_NATS_USER", ""),
            password=env.text("TRIPOD_NATS_PASSWORD", ""),
            reconnect_wait=env.seconds("TRIPOD_NATS_RECONNECT_WAIT", 2, least=0.01, most=60),
            ack_wait=env.seconds("TRIPOD_NATS_ACK_WAIT", 60, least=1, most=60),
            name=name,
        )


class Feed:
    """A core subscription that outlives connections. `take` is called for each message and must not block, and `again`
    when a new connection has brought it back."""

    def __init__(
        self, subject: str, queue: str, take: Callable[[Msg], None], again: Callable[[], None] | None = None
    ) -> None:
        self.again = again
        self.subject = subject
        self.queue = queue
        self._take = take

    async def callback(self, message: Msg) -> None:
        self._take(message)


class Connection:
    """One connection at a time. `on_connect` runs on each new one before it counts as connected."""

    def __init__(self, settings: BusSettings, on_connect: Callable[[], Awaitable[None]]) -> None:
        self._settings = settings
        self._on_connect = on_connect
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._feeds: dict[Feed, Subscription | None] = {}
        self._calls: set[asyncio.Timeout] = set()
        self._task: asyncio.Task[None] | None = None
        self.failed_attempts = 0
        """Since the connection was last there."""

    def always(self, feed: Feed) -> None:
        """Hear this on every connection, from the first on. To be called before `start`."""
        self._feeds[feed] = None

    @property
    def connected(self) -> bool:
        return self._ready.is_set() and self._client is not None and self._client.is_connected

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="broker-connection")

    async def wait_connected(self, timeout: float) -> bool:
        """Whether it is connected within that many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._ready.wait()
                while not self.connected:  # lost, and that is noticed in a moment
                    await asyncio.sleep(POLL_SECONDS / 10)
                    await self._ready.wait()
        return self.connected

    async def close(self) -> None:
        """Send what is pending and disconnect, within two seconds."""
        if self._task is None:
            return
        if self.connected and self._client is not None:
            with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
                await self._client.flush(timeout=2)
        # The client swallows a cancellation that reaches it while it gives a failed connection up, and goes on.
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=POLL_SECONDS)
        self._task = None

    @contextlib.asynccontextmanager
    async def call(self, what: str, timeout: float = CALL_SECONDS) -> AsyncIterator[Client]:
        """The client for one exchange. Losing the connection ends it at once.

        Whatever keeps the broker from answering is raised as Unavailable; `what` completes the sentence
        "The broker did not answer in time: ...".
        """
        client = self._client
        if client is None or not client.is_connected:
            raise Unavailable("The message broker is not reachable.")
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                self._calls.add(limit)
                yield client
        except TimeoutError as error:
            if not self.connected:
                raise Unavailable(f"The connection to the message broker was lost: {what}.") from error
            raise Unavailable(f"The message broker did not answer in time: {what}.") from error
        except (
            nats.errors.BadSubjectError,
            nats.errors.BadHeaderError,
            nats.errors.MaxPayloadError,
        ) as error:
            raise ValueError(f"The message broker cannot take this ({error}): {what}.") from error
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"The message broker failed ({error}): {what}.") from error
        finally:
            self._calls.discard(limit)

    async def request(
        self,
        subject: str,
        data: bytes,
        what: str,
        *,
        timeout: float = CALL_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> Msg:
        """One answer. Raises Unavailable, also when nobody listens."""
        async with self.call(what, timeout) as client:
            # The client's own timeout lies above, so that `call` alone decides.
            return await client.request(
                subject, data, timeout=timeout + 1, headers=dict(headers) if headers else None
            )

    @contextlib.asynccontextmanager
    async def subscribed(self, feed: Feed) -> AsyncIterator[None]:
        """Hear `feed.subject` while the context is open, over all reconnects."""
        try:
            await self.subscribe(feed)
            yield
        finally:
            await self.unsubscribe(feed)

    async def subscribe(self, feed: Feed) -> None:
        """Hear `feed.subject` from now on, over all reconnects."""
        self._feeds[feed] = None
        with contextlib.suppress(Unavailable):  # then the next connection brings it
            async with self.call(f"subscribe to {feed.subject}") as client:
                await self._subscribe(client, feed)
                await round_trip(client)  # from here on the server knows

    async def unsubscribe(self, feed: Feed, *, drain: bool = False) -> None:
        """Hear no more; with `drain` what the server has sent by now is still taken."""
        subscription = self._feeds.pop(feed, None)
        if subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError, Unavailable):
                if drain:
                    async with self.call(f"leave {feed.subject}") as client:
                        await leave(client, subscription)
                await subscription.unsubscribe()

    async def _subscribe(self, client: Client, feed: Feed) -> None:
        subscription = await client.subscribe(feed.subject, queue=feed.queue, cb=feed.callback)
        if feed in self._feeds:
            self._feeds[feed] = subscription
        else:  # left while we waited
            await subscription.unsubscribe()

    async def _run(self) -> None:
        me = asyncio.current_task()
        while me is None or not me.cancelling():
            started = asyncio.get_running_loop().time()
            client = Client()
            self._lost.clear()
            try:
                await self._open(client)
                await self._on_open(client)
                await self._until_lost(client)
                log.warning("broker.lost", error=str(client.last_error or "closed"))
            except (nats.errors.Error, OSError, TimeoutError, Unavailable) as error:
                self._count_failure(error)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Not ours: something inside of the client was cancelled while we waited for it.
                self._count_failure(error)
            except Exception:
                # Nothing may end this loop: without it the service would stay deaf for good.
                log.exception("broker.connection_failed")
            finally:
                self._forget()
                await discard(client)
            lived = asyncio.get_running_loop().time() - started
            await asyncio.sleep(max(self._settings.reconnect_wait - lived, 0.01))

    async def _open(self, client: Client) -> None:
        settings = self._settings
        await client.connect(
            settings.url.split(","),
            name=settings.name,
            user=settings.user or None,
            password=settings.password or None,
            allow_reconnect=False,
            # It tries each server again and again by itself, so this returns connected or not at all;
            # a server that refuses us raises.
            max_reconnect_attempts=-1,
            reconnect_time_wait=settings.reconnect_wait,  # type: ignore[arg-type] # a float works
            ping_interval=PING_SECONDS,
            error_cb=self._on_error,
            closed_cb=self._on_closed,
        )

    async def _on_open(self, client: Client) -> None:
        # Set first: a feed that is added from here on subscribes itself, all others are in the snapshot.
        self._client = client
        feeds = list(self._feeds)
        for feed in feeds:
            await self._subscribe(client, feed)
        await round_trip(client)
        for feed in feeds:
            if feed.again is not None:
                feed.again()
        await self._on_connect()
        self._ready.set()
        log.info("broker.connected", server=client.connected_url.hostname if client.connected_url else None)
        self.failed_attempts = 0

    async def _until_lost(self, client: Client) -> None:
        while client.is_connected and not is_deaf(client):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._lost.wait()

    def _forget(self) -> None:
        """No call may wait for an answer that cannot come any more."""
        self._client = None
        self._ready.clear()
        self._feeds = dict.fromkeys(self._feeds)
        for limit in self._calls:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    async def _on_closed(self) -> None:
        self._lost.set()

    async def _on_error(self, error: Exception) -> None:
        if self._ready.is_set():
            log.warning("broker.error", error=str(error))
        else:
            self._count_failure(error)

    def _count_failure(self, error: BaseException) -> None:
        self.failed_attempts += 1
        if self.failed_attempts in {1, 10} or self.failed_attempts % 100 == 0:
            log.warning("broker.unreachable", error=str(error) or repr(error), attempts=self.failed_attempts)
