"""What the processor counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.processor.sandbox import Outcome

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BYTES = tuple(2**exponent for exponent in range(25, 33))


class JobMetrics:
    """Make one per registry. `code` is `ready` or that of the failure."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "tripod_jobs_total", "Files processed", ("media_type", "code"), registry=registry
        )
        self._renderings = Counter(
            "tripod_renderings_total", "Pictures made on request", ("code",), registry=registry
        )
        self._steps = Histogram(
            "tripod_job_step_seconds", "Time per step", ("step",), registry=registry, buckets=_SECONDS
        )
        self._cpu = Histogram(
            "tripod_child_cpu_seconds", "CPU time of a child", registry=registry, buckets=_SECONDS
        )
        self._peak = Histogram(
            "tripod_child_peak_bytes", "Peak memory of a child", registry=registry, buckets=_BYTES
        )

    def note_child(self, outcome: Outcome) -> None:
        self._cpu.observe(outcome.cpu_milliseconds / 1000)
        self._peak.observe(outcome.peak_kib * 1024)

    def note_rendering(self, code: str) -> None:
        self._renderings.labels(code).inc()

    def note_job(self, media_type: str, code: str, timings: dict[str, float]) -> None:
        """`timings` in milliseconds per step."""
        self._jobs.labels(media_type, code).inc()
        for step, milliseconds in timings.items():
            self._steps.labels(step).observe(milliseconds / 1000)
