"""Prometheus metrics that every service has. Each process, or app within one, has a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class HttpMetrics:
    """Requests by method, route and status; the route is the path template, so cardinality is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "tripod_http_requests_total",
            "Answered requests",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "tripod_http_request_seconds", "Time to the end of the answer", ("method", "route"),
            registry=registry, buckets=_LATENCY,
        )  # fmt: skip
