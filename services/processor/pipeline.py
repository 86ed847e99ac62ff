"""The picture pipeline: a visible tuple of steps, timed, with the deadline checked between them."""

import time
from collections.abc import Callable

from services.processor import failures
from services.processor.frames import Result, StepDone
from services.processor.steps.decode import decode
from services.processor.steps.exif import exif
from services.processor.steps.fingerprint import fingerprint
from services.processor.steps.orient import orient
from services.processor.steps.render import render
from services.processor.steps.variants import variants
from services.processor.work import Work

STEPS: tuple[Callable[[Work], None], ...] = (decode, orient, variants, fingerprint, exif)
OF_A_RENDERING: tuple[Callable[[Work], None], ...] = (decode, orient, render)


def run(work: Work, report: Callable[[StepDone], None]) -> Result:
    """All steps in order; `report` hears of each when it is done.

    Raises JobFailed with the verdict, and whatever the codecs raise; `work.step` then tells where.
    """
    deadline = time.monotonic() + work.job.limits.wall_seconds
    steps = STEPS if work.job.rendering is None else OF_A_RENDERING
    for index, step in enumerate(steps):
        work.step = step.__name__
        started = time.monotonic()
        if started > deadline:
            raise failures.JobFailed(failures.timed_out(work.job.limits.wall_seconds))
        step(work)
        milliseconds = round((time.monotonic() - started) * 1000, 1)
        work.timings[step.__name__] = milliseconds
        report(
            StepDone(
                step=step.__name__,
                percent=100 * (index + 1) // len(steps),
                milliseconds=milliseconds,
                trace_id=work.job.trace_id,
            )
        )
    return result_of(work) if work.job.rendering is None else _picture(work)


def result_of(work: Work) -> Result:
    """What the steps have left in `work`."""
    return Result(
        width=work.width,
        height=work.height,
        exif=work.exif,
        taken_at=work.taken_at,
        phash=work.fingerprint.phash,
        phash_turned=work.fingerprint.phash_turned,
        dhash=work.fingerprint.dhash,
        ahash=work.fingerprint.ahash,
        colour_hash=work.fingerprint.colour_hash,
        colours=work.fingerprint.colours,
        degenerate=work.fingerprint.degenerate,
        placeholder=work.fingerprint.placeholder,
        variants=work.variants,
        kept=work.kept,
        warnings=tuple(work.warnings),
        timings=work.timings,
    )


def _picture(work: Work) -> Result:
    """The one picture that was asked for, and nothing of its media."""
    return Result(
        width=work.width,
        height=work.height,
        exif={},
        taken_at=None,
        phash="",
        dhash="",
        degenerate=True,
        placeholder="",
        variants=work.variants,
        warnings=tuple(work.warnings),
        timings=work.timings,
    )
