"""What nobody will finish: multipart uploads that broke off, and originals that no row names."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta

import structlog

from services.ingest import intents
from services.ingest.context import Ingest
from shared.errors import Unavailable
from shared.events import topology
from shared.events.consumer import unless
from shared.storage import keys, unreferenced

log = structlog.get_logger()

_SWEEP_SECONDS = 3600.0
_ABANDONED = timedelta(days=1)
_IDS = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


async def keep_tidy(ingest: Ingest, stop: asyncio.Event) -> None:
    """Serve the janitor's requests, and abort abandoned uploads now and then, until `stop` is set."""

    async def ours(key: str) -> bool:
        """An upload that is under way, or waits to be finished, keeps what it has stored. Keys may hold other ids, and
        some hold none: whoever asks has looked at the intents, too."""
        if key.startswith(keys.VARIANTS):
            return False
        ids = [str(uuid.UUID(found)) for found in _IDS.findall(key)]
        return not any([await ingest.intents.get(one) for one in ids])

    async with ingest.bus.serve(topology.INGEST_ERASE, "ingest", unreferenced.erasing(ingest.blobs, ours)):
        while not stop.is_set():
            try:
                swept = await sweep_unfinished(ingest, _ABANDONED)
                if swept:
                    log.warning("uploads.abandoned_aborted", count=swept)
            except Unavailable as error:
                log.info("uploads.not_swept", error=error.detail)
            await unless(stop, asyncio.sleep(_SWEEP_SECONDS))


async def sweep_unfinished(ingest: Ingest, older_than: timedelta) -> int:
    """Abort multipart uploads that old whose key is in no intent; how many. Raises Unavailable."""
    before = datetime.now(UTC) - older_than
    # The uploads first: whoever begins one has an intent by then.
    old = [upload for upload in await ingest.blobs.unfinished() if upload.begun <= before]
    under_way = await intents.keys_in(ingest.intents) if old else set()
    abandoned = [upload for upload in old if upload.key not in under_way]
    for upload in abandoned:
        await ingest.blobs.abort(upload)
    return len(abandoned)
