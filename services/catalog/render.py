"""Renderings as the catalog sees them: who may ask for which, which object is meant, and one request for each."""

import asyncio
import math
import mimetypes
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from services.catalog import queries
from services.catalog.conditions import quoted
from services.catalog.database import Database
from services.catalog.delivery import File
from services.catalog.live import Feed
from services.catalog.queries import Deliverable, Filters
from services.catalog.render_failures import Failures
from shared import presets, trace
from shared.auth import Caller
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from shared.events import rendering as wire
from shared.events import topology
from shared.events.bus import Bus, NoAnswer
from shared.events.rendering import NotRendered, RenderRequest
from shared.formats import BY_MIME
from shared.ids import public_id
from shared.presets import Presets
from shared.rendering import EXTENSIONS, Options, Rendering, mime_type_of, rendering
from shared.storage import keys
from shared.storage.blobs import BlobInfo, Blobs
from shared.storage.unreferenced import ask_to_erase

log = structlog.get_logger()

ASK_SECONDS = 25.0
ASKS = 5
"""So often one picture is asked for: a processor that died does not say so, and where one works on it, whoever is asked
next waits for that one. Callers are not kept as long."""
MOST_UNDER_WAY = 64  # half of them of one owner's media
_LOOK_SECONDS = 1.0
_PAUSE = 0.2  # seconds in which a processor that is stopping has left
_ZERO = re.compile(r"q\s*=\s*0(?:\.0*)?")
_STORED_ONLY = "image/svg+xml"


def require_right(options: Options, caller: Caller) -> None:
    """Raises Unauthenticated and Forbidden where there is no signature: whoever may read a media may ask for presets,
    of which there are few, but not fill the store with sizes of their own."""
    if caller.sub is None:
        raise Unauthenticated("A rendering needs a token or a signed link.")
    if options.preset is None:
        raise Forbidden(
            "Sides, fit, format and q of one's own need a signed link, see POST /v1/media/{ref}/links; "
            "with a token alone a preset is allowed."
        )


def accepts_webp(accept: str | None) -> bool:
    """Whether an Accept field names WebP. `*/*` is no promise: those who show it nowhere else send that as well."""
    for part in (accept or "").lower().split(","):
        kind, *parameters = (each.strip() for each in part.split(";"))
        if kind == "image/webp":
            return not any(_ZERO.fullmatch(each) for each in parameters)
    return False


def meant(options: Options, known: Presets, *, mime_type: str, accept: str | None) -> tuple[Rendering, bool]:
    """What is to be made, and whether another Accept would make it another. Raises Invalid."""
    asked = presets.find(known, options.preset) if options.preset is not None else options
    found = rendering(asked, mime_type=mime_type, accepts_webp=accepts_webp(accept))
    return found, asked.format in {None, "auto"}


async def original_of(
    database: Database, feed: Feed, caller: Caller | None, media_id: uuid.UUID, *, wait: float
) -> Deliverable:
    """The media of which a picture can be made. A new one is waited for: what cannot be decoded is to fail once, in its
    own job. Raises NotFound, then with Retry-After; Conflict for one that has failed; Invalid for what is no picture.
    """
    deadline = time.monotonic() + wait
    with feed.watching(media_id) as news:
        while True:
            news.clear()
            async with database.reading_for(caller, linked=media_id) as connection:
                found = await queries.deliverable(connection, caller, media_id)
            if found.status != "processing" or found.made_at is not None:
                _require_picture(found)
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotFound(f"{public_id(media_id)} is not processed yet.", retry_after=2)
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(left, _LOOK_SECONDS))


def _require_picture(found: Deliverable) -> None:
    known = BY_MIME.get(found.mime_type)
    if known is None or known.media_type != "image" or found.mime_type == _STORED_ONLY:
        raise Invalid(
            f"{public_id(found.id)} is {found.mime_type}; only pictures other than SVG are rendered.",
            field="ref",
        )
    if found.status == "failed":
        raise Conflict(
            f"Nothing can be made of {public_id(found.id)}: {found.error_detail or 'its processing has failed.'}",
            reason=found.error_code,
        )


def file_of(found: Deliverable, made: Rendering, info: BlobInfo) -> File:
    """As it is handed out. The ETag is that of its bytes: what was erased and made again may differ."""
    extension = info.key.rsplit(".", 1)[-1]
    mime_type = next(mime_type_of(f) for f in made.formats if EXTENSIONS[f] == extension)
    stem = found.filename.rsplit(".", 1)[0] if "." in found.filename[1:] else found.filename
    return File(
        media_id=found.id,
        key=info.key,
        size=info.size,
        mime_type=mime_type,
        filename=f"{stem}-{made.width}x{made.height}{mimetypes.guess_extension(mime_type) or ''}",
        etag=quoted(info.etag),
        version=made.hash,
        modified=info.modified,
        shown="inline",
        is_public=found.is_public,
    )


class Renderings:
    """Asks processors, once for each picture however many callers of this process want it: they wait together, and
    what they no longer wait for is made all the same."""

    def __init__(self, database: Database, bus: Bus, blobs: Blobs) -> None:
        self._database = database
        self._bus = bus
        self._blobs = blobs
        self._under_way: dict[str, asyncio.Task[BlobInfo]] = {}
        self._owners: Counter[str] = Counter()
        self._failures = Failures()

    async def get(self, found: Deliverable, made: Rendering, *, wait: float) -> BlobInfo:
        """The object, made where it is not there. Raises Unavailable where that takes longer than `wait` seconds or
        nobody does it, Invalid where it cannot be made."""
        there = await self._there(found.id, made)
        if there is not None:
            return there
        name = f"{found.id}.{made.hash}"
        task = self._under_way.get(name)
        if task is None:
            if len(self._under_way) >= MOST_UNDER_WAY or self._owners[found.owner] >= MOST_UNDER_WAY // 2:
                raise Unavailable("Too many pictures are being made just now; try again soon.", retry_after=2)
            task = asyncio.create_task(self._make(found, made), name=f"rendering {name}")
            self._under_way[name] = task
            self._owners[found.owner] += 1
            task.add_done_callback(self._forgetting(name, found.owner))
        try:
            return await asyncio.wait_for(asyncio.shield(task), wait)
        except TimeoutError:
            raise Unavailable("The picture is being made; try again soon.", retry_after=2) from None

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forgetting(self, name: str, owner: str) -> Callable[["asyncio.Task[BlobInfo]"], None]:
        def forget(task: "asyncio.Task[BlobInfo]") -> None:
            del self._under_way[name]
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]
            # Nobody may be waiting any more, who would look at it.
            if not task.cancelled() and (error := task.exception()) is not None:
                log.info("rendering.not_made", rendering=name, reason=str(error))

        return forget

    async def _there(self, media_id: uuid.UUID, made: Rendering) -> BlobInfo | None:
        for format_ in made.formats:
            info = await self._blobs.head(
                keys.rendering(media_id, made=made.hash, extension=EXTENSIONS[format_])
            )
            if info is not None:
                return info
        return None

    async def _make(self, found: Deliverable, made: Rendering) -> BlobInfo:
        name = f"{found.id}.{made.hash}"
        answer: wire.RenderAnswer
        remembered = self._failures.find(name)
        if remembered is not None:
            answer, kept = remembered
        else:
            answer = await self._ask(
                RenderRequest(
                    id=found.id,
                    key=found.key,
                    mime_type=found.mime_type,
                    rendering=made,
                    owner=found.owner,
                )
            )
            kept = self._failures.note(name, answer) if isinstance(answer, NotRendered) else 0.0
        if isinstance(answer, NotRendered):
            if answer.retryable:  # not before it is forgotten: until then the answer is the same
                raise Unavailable(answer.detail, retry_after=max(2, math.ceil(kept)))
            await self._require_there(found.id)  # a media that was deleted meanwhile has no fault
            raise Invalid(answer.detail, reason=answer.code)
        await self._still_wanted(found.id, answer.key)
        info = await self._blobs.head(answer.key)
        if info is None:
            raise Unavailable("The picture was made and has been erased since; ask again.", retry_after=1)
        return info

    async def _ask(self, request: RenderRequest) -> wire.RenderAnswer:
        current = trace.traceparent()
        headers = {trace.HEADER: current} if current else None
        for _ in range(ASKS):
            started = time.monotonic()
            try:
                data = await self._bus.request(
                    topology.PROCESSOR_RENDER, wire.encode(request), timeout=ASK_SECONDS, headers=headers
                )
                answer = wire.read_answer(data)
                if not (isinstance(answer, NotRendered) and answer.code == wire.STOPPING):
                    return answer
                await asyncio.sleep(_PAUSE)
            except NoAnswer as error:
                if time.monotonic() - started < ASK_SECONDS / 2:  # nobody is there, which is known at once
                    raise Unavailable("No processor is there to make the picture.", retry_after=5) from error
                log.warning("rendering.asked_again", media_id=str(request.id))
            except msgspec.MsgspecError as error:
                raise Unavailable("The processor's answer cannot be read.", retry_after=5) from error
        raise Unavailable("No processor has made the picture in time.", retry_after=5)

    async def _require_there(self, media_id: uuid.UUID) -> None:
        """Raises NotFound."""
        async with self._database.reading() as connection:
            if not await queries.exists_elsewhere(connection, filters=Filters(), media_id=media_id):
                raise queries.absent(str(media_id))

    async def _still_wanted(self, media_id: uuid.UUID, key: str) -> None:
        """A picture of a media that was deleted meanwhile is erased again. Raises NotFound."""
        try:
            await self._require_there(media_id)
        except NotFound:
            with suppress(NoAnswer):  # then the janitor finds it
                await ask_to_erase(self._bus, topology.PROCESSOR_ERASE, [key])
            log.info("rendering.came_late", media_id=str(media_id), key=key)
            raise
