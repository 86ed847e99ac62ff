"""What an upload is answered, and what it waits for before it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import msgspec
import structlog

from services.ingest.context import Ingest
from services.ingest.idempotency import Answer
from shared.dialects import view
from shared.dialects.view import View
from shared.errors import Invalid, Malformed, Unavailable
from shared.events import topology
from shared.events.bus import Message, NoAnswer
from shared.events.messages import Event, MediaCreated, MediaDeleted, MediaUpdated, MediaUploaded, decode
from shared.media import Media, from_upload

log = structlog.get_logger()

_TAKE_BACK_SECONDS = 2.0
Until: TypeAlias = Literal["acknowledged", "committed", "processed"]


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """How an upload is answered. `until`: what the client would rather hear of, for which it waits up to `seconds`
    (None: the moment that our own API gives the catalog). `shape`: a dialect's answer, always 201; None for ours,
    201 when the catalog has the row and 202 when it will."""

    until: Until = "committed"
    seconds: float | None = None
    shape: Callable[[View], Any] | None = None


def answer_to(
    ingest: Ingest,
    answering: Answering,
    event: MediaUploaded,
    *,
    committed: bool,
    media: Media | None = None,
) -> Answer:
    base = ingest.settings.http.base_url
    if answering.shape is not None:
        shown = view.of_upload(event, base, media)
        body = answering.shape(shown)
        return Answer(status=201, location=shown.media.url, body=msgspec.json.encode(body).decode())
    plain = from_upload(event, base)
    return Answer(
        status=201 if committed else 202,
        location=plain.url if committed else f"{base}/v1/uploads/{event.id}",
        body=msgspec.json.encode(plain).decode(),
    )


async def _taken_back(ingest: Ingest, event: MediaUploaded) -> bool:
    """Whether the catalog has deleted the media again; when it does not say so, the upload stands."""
    question = msgspec.json.encode({"id": str(event.id)})
    try:
        answer = await ingest.bus.request(topology.CATALOG_TAKE_BACK, question, timeout=_TAKE_BACK_SECONDS)
    except (NoAnswer, Unavailable) as error:
        log.warning("upload.not_taken_back", media_id=str(event.id), error=str(error))
        return False
    return msgspec.json.decode(answer, type=bool)


def _is_refused(ingest: Ingest, media: Media) -> bool:
    """Whether it cannot be processed and its profile does not keep it all the same."""
    return (
        media.status == "failed"
        and media.media_type not in ingest.settings.profiles[media.profile].keep_failed
    )


def _not_processed(media: Media) -> Invalid:
    reason = media.error.detail if media.error else "it cannot be processed."
    code = media.error.code if media.error else "failed"
    return Invalid(f"The file cannot be processed: {reason}", field="file", reason=code)


async def given(
    ingest: Ingest,
    answering: Answering,
    event: MediaUploaded,
    publish: Callable[[str | None], Awaitable[None]],
    settle: Callable[[], Awaitable[None]],
) -> Answer:
    """Publish, settle, wait for what is wanted while the catalog lives, and answer. Raises Invalid for a file that
    was to be processed and cannot be, unless its profile keeps such: then it is deleted again."""
    media = None
    committed = False
    if answering.until == "acknowledged" or not ingest.heartbeat.alive:
        await publish(None)
        await settle()
    elif answering.until == "processed":
        media = await _await_result(ingest, event, publish, settle, seconds=answering.seconds)
        if media is not None and _is_refused(ingest, media) and await _taken_back(ingest, event):
            raise _not_processed(media)
    else:
        committed = await _await_commit(ingest, publish, settle, seconds=answering.seconds)
    return answer_to(ingest, answering, event, committed=committed, media=media)


async def _await_commit(
    ingest: Ingest,
    publish: Callable[[str | None], Awaitable[None]],
    settle: Callable[[], Awaitable[None]],
    *,
    seconds: float | None,
) -> bool:
    """Whether the catalog said within the time for it that it has committed.

    The inbox is listened to before the event is out, or the answer could come too early to be heard.
    """
    inbox = ingest.bus.inbox()
    async with ingest.bus.listen(inbox) as messages:
        await publish(inbox)
        settling = asyncio.ensure_future(settle())
        try:
            async with asyncio.timeout(_patience(ingest, seconds)):
                await anext(messages)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            await settling


async def _await_result(
    ingest: Ingest,
    event: MediaUploaded,
    publish: Callable[[str | None], Awaitable[None]],
    settle: Callable[[], Awaitable[None]],
    *,
    seconds: float | None,
) -> Media | None:
    """The media as the catalog tells of it: processed where that came in time, else the last word of it. A media that
    is gone, because a newer one has its place already, will not be processed any more: nobody waits for it."""
    deadline = time.monotonic() + _patience(ingest, seconds)
    known: Media | None = None
    async with ingest.bus.listen(topology.live(str(event.id))) as messages:
        await publish(None)
        settling = asyncio.ensure_future(settle())
        try:
            while known is None or known.status == "processing":
                async with asyncio.timeout(deadline - time.monotonic()):
                    told = _told(await anext(messages))
                if isinstance(told, MediaDeleted):
                    log.info("upload.gone_while_waited_for", media_id=str(event.id))
                    break
                if isinstance(told, (MediaCreated, MediaUpdated)):
                    known = msgspec.convert(told.media, Media)
        except TimeoutError:
            log.info("upload.not_processed_in_time", media_id=str(event.id))
        finally:
            await settling
    return known


def _told(message: Message) -> Event | None:
    try:
        return decode(message.data)[1]
    except Malformed as error:
        log.warning("live.unreadable", subject=message.subject, error=str(error))
        return None


def _patience(ingest: Ingest, seconds: float | None) -> float:
    return ingest.settings.timing.reply if seconds is None else seconds
