"""All that handling an upload needs, put together once per process."""

import msgspec

from services.ingest.ahead import Ahead
from services.ingest.hearing import Heartbeat, ProgressBoard
from services.ingest.lanes import Lanes
from services.ingest.metrics import IngestMetrics
from services.ingest.numbers import Numbers
from services.ingest.quota import Quota
from services.ingest.rates import Rates
from services.ingest.searches import Searches
from services.ingest.settings import IngestSettings
from services.ingest.store import StoreWatch
from services.ingest.usage import asking
from shared.events import topology
from shared.events.bus import Bus, KeyValue
from shared.storage.blobs import Blobs


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """The broker, the store, and what this process knows."""

    settings: IngestSettings
    bus: Bus
    blobs: Blobs
    store: StoreWatch
    numbers: Numbers
    heartbeat: Heartbeat
    progress: ProgressBoard
    ahead: Ahead
    lanes: Lanes
    quota: Quota
    rates: Rates
    searches: Searches
    metrics: IngestMetrics

    @property
    def intents(self) -> KeyValue:
        return self.bus.kv(topology.INTENTS)

    @property
    def uploads(self) -> KeyValue:
        return self.bus.kv(topology.UPLOADS)

    @property
    def idempotency(self) -> KeyValue:
        return self.bus.kv(topology.IDEMPOTENCY)

    @property
    def entities(self) -> KeyValue:
        return self.bus.kv(topology.ENTITIES)


def make(settings: IngestSettings, bus: Bus, blobs: Blobs, metrics: IngestMetrics) -> Ingest:
    heartbeat = Heartbeat(settings.timing.heartbeat)
    return Ingest(
        settings=settings,
        bus=bus,
        blobs=blobs,
        store=StoreWatch(blobs),
        numbers=Numbers(bus.kv(topology.COUNTERS)),
        heartbeat=heartbeat,
        progress=ProgressBoard(),
        ahead=Ahead(),
        lanes=Lanes(settings.bulk_above),
        quota=Quota(bus.kv(topology.QUOTAS), asking(bus, heartbeat), lasting=settings.timing.lease),
        rates=Rates(settings.rates),
        searches=Searches(settings.searches),
        metrics=metrics,
    )
