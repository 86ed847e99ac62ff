"""What a child cost, as the log and the metrics are told of it."""

import structlog

from services.processor.failures import Failure
from services.processor.frames import Job
from services.processor.metrics import JobMetrics
from services.processor.sandbox import Outcome

log = structlog.get_logger()


def note(job: Job, outcome: Outcome, metrics: JobMetrics) -> None:
    """Once for each child, however it ended."""
    metrics.note_child(outcome)
    cost = {
        "cpu_ms": outcome.cpu_milliseconds,
        "wall_ms": outcome.wall_milliseconds,
        "peak_kib": outcome.peak_kib,
    }
    if isinstance(outcome.verdict, Failure):
        verdict = outcome.verdict
        log.warning("job.failed", media_id=job.media_id, code=verdict.code, said=verdict.log, **cost)
    else:
        log.info("job.done", media_id=job.media_id, **cost)
