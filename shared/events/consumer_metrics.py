"""What a consumer counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConsumerMetrics:
    """Counts by durable. Make one per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("durable",)
        self.handled = Counter(
            "tripod_events_handled_total", "Events handled and acknowledged", labels, registry=registry
        )
        self.failed = Counter(
            "tripod_events_failed_total", "Attempts at events that failed", labels, registry=registry
        )
        self.dead = Counter("tripod_events_dead_total", "Events given up on", labels, registry=registry)
        self.held = Gauge(
            "tripod_events_held", "Events that wait for a dependency", labels, registry=registry
        )
        self.lag = Gauge(
            "tripod_events_lag_seconds", "Age of the newest event handled", labels, registry=registry
        )
