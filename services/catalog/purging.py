"""Tells a shared cache (a CDN, a proxy) what of its copies is out of date: an HTTP call on each change and deletion."""

import asyncio
import hashlib
import hmac
import time
import uuid
from collections import deque
from collections.abc import Iterable
from typing import Literal

import aiohttp
import msgspec
import structlog

from services.catalog.delivery import VERSION_DIGITS, tag
from shared.env import Env
from shared.errors import Malformed, Unavailable
from shared.events.bus import Bus
from shared.events.consumer import HOLD_SECONDS, ConsumerMetrics, EventContext, consume
from shared.events.messages import MediaDeleted, MediaUpdated
from shared.events.topology import Durable
from shared.media import media_url

log = structlog.get_logger()

MOST = 100
"""Media in one call."""
AT_ONCE = 200
"""Events that wait for a call; the others wait in the stream."""
GATHER_SECONDS = 0.2
CALL_SECONDS = 10.0
_AGAIN = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 408, 409, 425, 429})
"""Answers after which the same call may succeed, beside 5xx: somebody mends a secret or an address, or there was too
much at once."""


class PurgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to tell, and the secret that proves who tells."""

    url: str
    secret: str

    @classmethod
    def from_env(cls, env: Env) -> "PurgeSettings | None":
        """None where there is nobody to tell."""
        url = env.text("TRIPOD_PURGE_URL", "")
        if not url:
            return None
        env.url("TRIPOD_PURGE_URL", "", schemes=("https", "http"))  # which leaves out a slash at the end
        return cls(url=url, secret=env.secret("TRIPOD_PURGE_SECRET"))


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """What is out of date of one media. `surrogate_keys` are those that answers had as Surrogate-Key and Cache-Tag and
    name all of it; so does the prefix. `urls` are those of ours that are known by name, without pictures on request and
    older APIs. `sequence` is the place of the event in the stream: a call may come twice."""

    id: uuid.UUID
    event: Literal["media.updated", "media.deleted"]
    sequence: int
    surrogate_keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    urls: tuple[str, ...]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The body of one call."""

    purges: tuple[Purge, ...]


async def keep_purging(
    settings: PurgeSettings,
    bus: Bus,
    durable: Durable,
    *,
    base_url: str,
    stop: asyncio.Event,
    metrics: ConsumerMetrics,
    hold: tuple[float, ...] = HOLD_SECONDS,
) -> None:
    """Tell the hook of each event of `durable` until `stop` is set; again after each of the waits `hold`, the last
    of them for as long as it takes, where it does not answer."""
    purger = Purger(settings, base_url)
    try:
        await consume(
            bus,
            durable,
            purger.handle,
            stop=stop,
            concurrency=AT_ONCE,
            batch=AT_ONCE,
            metrics=metrics,
            hold=hold,
        )
    finally:
        await purger.close()


class Purger:
    """Gathers what is out of date and calls. An event is done when a call that holds it was answered with 2xx."""

    def __init__(self, settings: PurgeSettings, base_url: str) -> None:
        self._settings = settings
        self._base_url = base_url
        self._waiting: deque[tuple[Purge, asyncio.Future[None]]] = deque()
        self._calling: asyncio.Task[None] | None = None

    async def handle(self, context: EventContext) -> None:
        """Raises Unavailable where the hook does not answer: then the event is held and told again for as long as it
        takes. What the hook refuses for good becomes a dead letter after some attempts."""
        purge = purge_of(context.event, context.sequence, self._base_url)
        told = asyncio.get_running_loop().create_future()
        self._waiting.append((purge, told))
        if self._calling is None:
            self._calling = asyncio.create_task(self._call_all(), name="purge")
        await told

    async def close(self) -> None:
        """Wait for nothing any more."""
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.gather(self._calling, return_exceptions=True)

    async def _call_all(self) -> None:
        try:
            await asyncio.sleep(GATHER_SECONDS)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                await self._call(batch)
        finally:
            self._calling = None
            while self._waiting:  # only where this was cancelled
                self._waiting.popleft()[1].cancel()

    async def _call(self, batch: list[tuple[Purge, "asyncio.Future[None]"]]) -> None:
        """One call; each of the batch by itself where the hook refuses it as a whole."""
        try:
            await call(self._settings, Call(purges=tuple(purge for purge, _ in batch)))
        except Refused as error:
            if len(batch) == 1:
                _end(batch, error)
            for one in batch if len(batch) > 1 else ():
                await self._call([one])
        except asyncio.CancelledError:
            for _, told in batch:
                told.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - those who wait are told
            _end(batch, error)
        else:
            _end(batch, None)


class Refused(Exception):
    """The hook has understood the call and will not have it."""


def _end(batch: list[tuple[Purge, "asyncio.Future[None]"]], error: Exception | None) -> None:
    for _, told in batch:
        if told.done():
            continue
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(error)


def purge_of(event: object, sequence: int, base_url: str) -> Purge:
    """Raises Malformed for an event that puts nothing out of date."""
    match event:
        case MediaUpdated(id=media_id, media=shown):
            url = media_url(base_url, media_id)
            paths = [made["url"].removeprefix(f"{url}/") for made in shown.get("variants", ())]
            original = f"download?v={shown.get('sha256', '')[:VERSION_DIGITS]}"
            return _purge(media_id, "media.updated", sequence, url, [original, *paths])
        case MediaDeleted(id=media_id, paths=paths):
            return _purge(media_id, "media.deleted", sequence, media_url(base_url, media_id), paths)
        case _:
            raise Malformed(f"A purge has no use for {type(event).__name__}.")


def _purge(
    media_id: uuid.UUID,
    event: Literal["media.updated", "media.deleted"],
    sequence: int,
    url: str,
    paths: Iterable[str],
) -> Purge:
    files = [f"{url}/{path}" for path in ("download", *paths)]
    plain = [known.partition("?")[0] for known in files]
    return Purge(
        id=media_id,
        event=event,
        sequence=sequence,
        surrogate_keys=(tag(media_id),),
        prefixes=(f"{url}/",),
        urls=(url, *dict.fromkeys([*plain, *files])),
    )


def signature(secret: str, at: int, body: bytes) -> str:
    """What proves that a call is ours: HMAC-SHA256 of the time, a dot and the body."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


async def call(settings: PurgeSettings, told: Call) -> None:
    """Return when the hook has it. Raises Unavailable where another try may help, else Refused. The address may hold a
    password, so no error repeats it."""
    body = msgspec.json.encode(told)
    headers = {
        "Content-Type": "application/json",
        "Tripod-Signature": signature(settings.secret, int(time.time()), body),
    }
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as session,
            session.post(settings.url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f"The purge hook does not answer ({type(error).__name__}).") from error
    if status < 300:
        log.info("caches.purged", media=len(told.purges))
    elif status >= 500 or status in _AGAIN:
        raise Unavailable(f"The purge hook answers {status}.")
    else:
        raise Refused(f"The purge hook refuses {len(told.purges)} media: {status}.")
