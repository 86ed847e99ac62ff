"""What the catalog counts, beside what every service does."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class CatalogMetrics:
    """One per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.projected = Counter(
            "tripod_projected_events_total",
            "Events taken in, by what they did",
            ("type", "outcome"),
            registry=registry,
        )
        self.rows_served = Counter(
            "tripod_rows_served_total", "Media objects in answers", ("route",), registry=registry
        )
        self.bytes_asked = Counter(
            "tripod_delivery_requests_total", "Files asked for", ("kind",), registry=registry
        )
        self.outbox_rows = Gauge("tripod_outbox_rows", "Outbox rows that are not told yet", registry=registry)
        self.outbox_seconds = Gauge(
            "tripod_outbox_lag_seconds",
            "Age of the oldest outbox row that is not told yet",
            registry=registry,
        )
        self.listeners = Gauge("tripod_live_listeners", "Open live connections", registry=registry)

    def report(self, *, rows: int, seconds: float) -> None:
        """How far behind the relay is."""
        self.outbox_rows.set(rows)
        self.outbox_seconds.set(seconds)
