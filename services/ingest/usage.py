"""Asking the catalog what an owner's media amount to."""

import msgspec
import structlog

from services.ingest.hearing import Heartbeat
from services.ingest.quota_records import Count, Usage
from shared.errors import Unavailable
from shared.events import topology
from shared.events.bus import Bus, NoAnswer

log = structlog.get_logger()

_CATALOG_SECONDS = 0.5


def asking(bus: Bus, heartbeat: Heartbeat) -> Count:
    """The question, for the quotas. Nobody is made to wait for a catalog that is known to be away."""

    async def count(owner: str, besides: list[str], through: int) -> Usage | None:
        if not heartbeat.alive:
            return None
        question = msgspec.json.encode({"owner": owner, "besides": besides, "through": through})
        try:
            answer = await bus.request(topology.CATALOG_USAGE, question, timeout=_CATALOG_SECONDS)
        except (NoAnswer, Unavailable) as error:
            log.warning("usage.not_told", owner=owner, error=str(error))
            return None
        return msgspec.json.decode(answer, type=Usage) if answer else None

    return count
