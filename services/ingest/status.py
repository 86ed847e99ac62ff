"""Where an upload stands: the catalog knows best, the day's record and the intent know while it does not."""

import uuid

import msgspec
import structlog

from services.ingest import intents, records
from services.ingest.context import Ingest
from services.ingest.hearing import RECEIVING
from services.ingest.intents import Intent
from services.ingest.schemas import Stage, UploadStatus
from shared.auth import Caller
from shared.errors import NotFound
from shared.events import topology
from shared.events.bus import NoAnswer
from shared.ids import parse_ref, public_id
from shared.media import Media, from_upload

log = structlog.get_logger()

_CATALOG_SECONDS = 0.5


async def status_of(ingest: Ingest, caller: Caller, ref: str) -> UploadStatus:
    """Raises NotFound for what is not there or not the caller's, Unavailable without the broker."""
    media_id = parse_ref(ref)
    found = await _find(ingest, media_id) if media_id else None
    if found is None or not (caller.sees_all or found[0] == caller.sub):
        raise NotFound(f"There is no upload {ref[:80]}.")
    return found[1]


async def _find(ingest: Ingest, media_id: uuid.UUID) -> tuple[str, UploadStatus] | None:
    """Owner and status."""
    media = await _ask_catalog(ingest, media_id)
    if media is None:
        record = await records.find(ingest, media_id)
        media = from_upload(record.event, ingest.settings.http.base_url) if record else None
    if media is not None:
        return media.owner, _of_media(ingest, media)
    entry = await ingest.intents.get(str(media_id))
    if entry is None:
        return None
    intent = intents.decode(entry.value)
    return intent.owner, _of_intent(ingest, intent)


async def _ask_catalog(ingest: Ingest, media_id: uuid.UUID) -> Media | None:
    """None also when it does not answer: then what ingest knows has to do."""
    if not ingest.heartbeat.alive:
        return None
    question = msgspec.json.encode({"id": str(media_id)})
    try:
        answer = await ingest.bus.request(topology.CATALOG_FIND_UPLOAD, question, timeout=_CATALOG_SECONDS)
    except NoAnswer:
        log.warning("catalog.silent", media_id=str(media_id))
        return None
    return msgspec.json.decode(answer, type=Media) if answer else None


def _of_media(ingest: Ingest, media: Media) -> UploadStatus:
    heard = ingest.progress.of(media.id) if media.status == "processing" else None
    if heard is not None and heard.stage == RECEIVING:
        heard = None
    return UploadStatus(
        id=media.id,
        public_id=media.public_id,
        number=media.number,
        status=media.status,
        received=media.size,
        size=media.size,
        media=media,
        progress=Stage(stage=heard.stage, percent=heard.percent) if heard else None,
    )


def _of_intent(ingest: Ingest, intent: Intent) -> UploadStatus:
    """The intent is written again when its lease is renewed; what was told meanwhile, also by another replica, is
    newer."""
    heard = ingest.progress.of(intent.id)
    return UploadStatus(
        id=intent.id,
        public_id=public_id(intent.id),
        number=intent.number,
        status="uploading",
        received=max(intent.received, (heard.received or 0) if heard else 0),
        size=intent.size if heard is None or heard.size is None else heard.size,
        progress=Stage(stage=heard.stage, percent=heard.percent) if heard else None,
    )
