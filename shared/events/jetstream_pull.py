"""Pulling events from a durable consumer, and the deliveries that come of it."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping

from nats.aio.msg import Msg

from shared.errors import Unavailable
from shared.events.jetstream_connection import CALL_SECONDS, Connection, Feed

HEARTBEAT_SECONDS = 2.0
"""How often the broker says that it still knows of our request; silence for twice as long means it does not."""
LEAST_WAIT = 0.02
QUIET_SECONDS = 0.05
"""How long after a message the next one, or the word that there is none, may take."""
HEARTBEAT_STATUS = "100"
ENDS_WELL = ("404", "408")  # no messages, time is up


def own_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Without the broker's own."""
    return {k: v for k, v in (headers or {}).items() if not k.startswith("Nats-")}


class JetStreamDelivery:
    """See `bus.Delivery`. It may be settled over another connection than it came by."""

    def __init__(self, connection: Connection, message: Msg) -> None:
        self._connection = connection
        self._reply = message.reply
        metadata = message.metadata
        self.subject = message.subject
        self.data = message.data
        self.headers: Mapping[str, str] = own_headers(message.headers)
        self.sequence: int = metadata.sequence.stream
        self.delivered: int = metadata.num_delivered

    async def ack(self) -> None:
        await self._connection.request(self._reply, b"+ACK", f"acknowledge {self.subject}")

    async def nak(self, delay: float) -> None:
        body = b"-NAK " + json.dumps({"delay": int(delay * 1e9)}).encode() if delay > 0 else b"-NAK"
        await self._connection.request(self._reply, body, f"hand back {self.subject}")

    async def terminate(self) -> None:
        await self._connection.request(self._reply, b"+TERM", f"terminate {self.subject}")

    async def in_progress(self) -> None:
        async with self._connection.call(f"extend {self.subject}") as client:
            await client.publish(self._reply, b"+WPI")


class Puller:
    """Where the answers to one fetch at a time arrive. Kept between fetches: a message that arrives late is
    handed out by the next one instead of waiting for its ack to time out."""

    def __init__(self, connection: Connection, stream: str, consumer: str, inbox: str) -> None:
        self._connection = connection
        self._stream = stream
        self._consumer = consumer
        self._inbox = inbox
        self._arrived: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._requests = 0
        self._reply = ""
        self._end = ""
        self.spent = False
        """A request was left open; another puller must do the next fetch."""
        self.feed = Feed(f"{inbox}.*", "", self._take)

    @property
    def over(self) -> bool:
        """Whether it was left, and all that had arrived by then is handed out."""
        return self.spent and not self._arrived

    def _take(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            self._arrived.append(message)
        elif status != HEARTBEAT_STATUS and message.subject == self._reply:
            self._end = f"{status} {headers.get('Description', '')}"
        self._wake.set()

    async def fetch(self, batch: int, wait: float) -> list[JetStreamDelivery]:
        """See `Bus.fetch`."""
        return [JetStreamDelivery(self._connection, message) for message in await self.take(batch, wait)]

    async def take(self, batch: int, wait: float) -> list[Msg]:
        """Up to `batch` messages as they came. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while not self._arrived:
            await self._pull(batch, max(end - loop.time(), LEAST_WAIT))
            if self._arrived or loop.time() >= end:
                break
            # Over before its time: others ask as well, and the broker holds what there is for them.
            await asyncio.sleep(LEAST_WAIT)
        # Taken out only here, so that a cancelled call loses nothing.
        _check_cancelled()
        return [self._arrived.popleft() for _ in range(min(batch, len(self._arrived)))]

    async def _pull(self, batch: int, wait: float) -> None:
        what = f"fetch for {self._consumer}"
        # The broker refuses a heartbeat that is longer than half of the wait.
        beat = min(HEARTBEAT_SECONDS, wait / 2)
        request = {
            "batch": batch,
            "expires": int(wait * 1e9),
            # With `expires`: answer with what is there at once, or else with the first that comes.
            "no_wait": True,
            "idle_heartbeat": int(beat * 1e9),
        }
        self._requests += 1
        self._reply = f"{self._inbox}.{self._requests}"
        self._end = ""
        verb = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        async with self._connection.call(what, wait + CALL_SECONDS) as client:
            await client.publish(verb, json.dumps(request).encode(), reply=self._reply)
            while not self._end and len(self._arrived) < batch:
                self._wake.clear()
                patience = QUIET_SECONDS if self._arrived else 2 * beat + 1
                try:
                    async with asyncio.timeout(patience):
                        await self._wake.wait()
                except TimeoutError:
                    if not self._arrived:
                        # The request is forgotten at the other end, e.g. by a restart that we did not see.
                        raise Unavailable(f"The message broker has fallen silent: {what}.") from None
                    await self._leave_request()
                    return
        if not self._arrived and not self._end.startswith(ENDS_WELL):
            raise Unavailable(f"The message broker ended the request ({self._end}): {what}.")

    async def _leave_request(self) -> None:
        """There may be more but the consumer has its most events pending, so the broker would keep us waiting.
        What it still sends before it knows that we left is taken, too."""
        self.spent = True
        await self._connection.unsubscribe(self.feed, drain=True)

    async def give_back(self) -> None:
        """Let others have at once what has arrived here and nobody will fetch."""
        while self._arrived:
            await JetStreamDelivery(self._connection, self._arrived.popleft()).nak(0)


def _check_cancelled() -> None:
    """Raise the CancelledError that `asyncio.wait_for` (3.11) swallows when an answer comes at the same moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
