"""What the jobs of videos and of sounds share inside the child: steps that are timed and told, and FFmpeg's errors."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from av.error import FFmpegError

from services.processor import failures, symptoms
from services.processor.frames import Ahead, Finished, StepDone
from services.processor.work import Work

Report = Callable[[StepDone | Ahead | Finished], None]
_MOST_WARNINGS = 10


@contextmanager
def step(work: Work, name: str, report: Report) -> Iterator[None]:
    """What is done within is this step. Raises JobFailed with the verdict on what FFmpeg cannot do."""
    work.step = name
    started = time.monotonic()
    try:
        yield
    except FFmpegError as error:
        raise _verdict(error, work) from error
    work.timings[name] = milliseconds = round((time.monotonic() - started) * 1000, 1)
    report(StepDone(step=name, percent=0, milliseconds=milliseconds, trace_id=work.job.trace_id))


def warnings_of(work: Work) -> list[str]:
    """Each once, and not too many."""
    return list(dict.fromkeys(work.warnings))[:_MOST_WARNINGS]


def _verdict(error: FFmpegError, work: Work) -> failures.JobFailed:
    said = f"{type(error).__name__}: {error}"
    if symptoms.says_starved(said):
        return failures.JobFailed(failures.out_of_memory(work.job.limits.memory_bytes, said))
    if isinstance(error, EOFError) or symptoms.says_cut_short(said):
        return failures.truncated(said)
    return failures.corrupt(work.job.mime_type, said)
