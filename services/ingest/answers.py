"""What an upload is answered: 201 when the catalog has the row, 202 when it will."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from services.ingest.context import Ingest
from services.ingest.idempotency import Answer
from shared.events.messages import MediaUploaded
from shared.media import from_upload


def answer_to(ingest: Ingest, event: MediaUploaded, *, committed: bool) -> Answer:
    base = ingest.settings.http.base_url
    media = from_upload(event, base)
    return Answer(
        status=201 if committed else 202,
        location=media.url if committed else f"{base}/v1/uploads/{event.id}",
        body=msgspec.json.encode(media).decode(),
    )


async def await_commit(
    ingest: Ingest,
    publish: Callable[[str | None], Awaitable[None]],
    settle: Callable[[], Awaitable[None]],
    *,
    wait: bool,
) -> bool:
    """Publish, then settle; whether the catalog said within the time for it that it has committed.

    The inbox is listened to before the event is out, or the answer could come too early to be heard.
    """
    if not wait:
        await publish(None)
        await settle()
        return False
    inbox = ingest.bus.inbox()
    async with ingest.bus.listen(inbox) as messages:
        await publish(inbox)
        settling = asyncio.ensure_future(settle())
        try:
            async with asyncio.timeout(ingest.settings.timing.reply):
                await anext(messages)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            await settling
