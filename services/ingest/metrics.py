"""What ingest counts beside its requests."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class IngestMetrics:
    """One per registry. The outcome is `stored`, or the code of what the client was told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.uploads = Counter(
            "tripod_ingest_uploads_total", "Uploads by outcome", ("outcome",), registry=registry
        )
        self.bytes = Counter("tripod_ingest_bytes_total", "Bytes of files received", registry=registry)
        self.seconds = Histogram(
            "tripod_ingest_upload_seconds",
            "From the first byte to the answer",
            registry=registry,
            buckets=_SECONDS,
        )
        self.open_intents = Gauge(
            "tripod_ingest_open_intents", "Intents that the last sweep found", registry=registry
        )
        self.recovered = Counter(
            "tripod_ingest_recovered_total",
            "Uploads of dead holders finished or undone",
            ("how",),
            registry=registry,
        )
