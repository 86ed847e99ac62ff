"""What runs between fork and exit: one file, one verdict, written as frames to a socket."""

import contextlib
import fcntl
import mmap
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from services.processor import audio, failures, guards, pipeline, video
from services.processor.documents import job as document
from services.processor.documents import kinds
from services.processor.failures import JobFailed
from services.processor.frames import Failed, Frame, Job, Limits, Result, pack
from services.processor.program.programs import Programs
from services.processor.vips import VipsError, verdict
from services.processor.work import Work

_ORIGINAL, _FRAMES, _FILMS = 3, 4, 5
_NICENESS = 10
_PARKING = 64  # above every descriptor that a fork server has open


def main(
    job: Job, *, original: int, frames: int, stderr: int, films: Sequence[int] = (), server: int
) -> None:
    """Run the job and exit. Never returns: what the fork server would do next is not for a child."""
    try:
        os.setsid()
        if job.background:
            _step_back()
        _keep_only(stderr, original, frames, *films)
        programs = Programs.open(job.program, job.limits) if job.film and job.program is not None else None
        guards.apply(job.limits, parent=server)
        _run(job, films=len(films), programs=programs)
        if programs is not None:
            programs.close()
    except BaseException:  # noqa: BLE001 - the last line before the process ends; the worker reads what is printed
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _step_back() -> None:
    """Leave the processors to whoever is in a hurry. Where the kernel groups sessions, it weighs these instead."""
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):  # no such grouping, or changed too often just now
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


def probe(server: int) -> tuple[str, ...]:
    """The guards that are missing here. It shuts the doors of the calling process: fork first."""
    return tuple(guards.apply(Limits(), parent=server))


def _keep_only(*ours: int) -> None:
    """No descriptor of anybody else: 0 and 1 lead nowhere, 2 to the file for stderr, then original, frames, films."""
    nothing = os.open(os.devnull, os.O_RDWR)
    wanted = (nothing, nothing, *ours)
    parked = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _PARKING) for descriptor in wanted]
    for place, descriptor in enumerate(parked):
        os.dup2(descriptor, place, inheritable=False)
    os.closerange(len(wanted), os.sysconf("SC_OPEN_MAX"))


def _run(job: Job, *, films: int, programs: Programs | None) -> None:
    if os.fstat(_ORIGINAL).st_size == 0:  # which cannot be mapped
        _send(Failed(step="start", failure=failures.truncated().failure))
        return
    # A video is read bit by bit: mapped, it would count as memory.
    view = mmap.mmap(-1, 1) if job.film else mmap.mmap(_ORIGINAL, 0, prot=mmap.PROT_READ)
    work = Work(job=job, descriptor=_ORIGINAL, view=view, programs=programs)
    said: Result | Failed
    try:
        if job.film:
            derive = audio.run if job.is_sound else video.run
            said = derive(work, range(_FILMS, _FILMS + films), report=_send)
        elif job.rendering is None and job.mime_type in kinds.READ:
            said = document.run(work, report=_send)
        else:
            said = pipeline.run(work, report=_send)
    except JobFailed as error:
        said = Failed(step=work.step, failure=error.failure)
    except VipsError as error:
        said = Failed(step=work.step, failure=verdict(str(error), job.mime_type, view, job.limits))
    except MemoryError as error:
        said = Failed(step=work.step, failure=failures.out_of_memory(job.limits.memory_bytes, repr(error)))
    _send(said)


def _send(frame: Frame) -> None:
    rest = memoryview(pack(frame))
    # The worker may have given up on this job; then nobody reads, and the exit status says enough.
    with contextlib.suppress(BrokenPipeError):
        while rest:
            rest = rest[os.write(_FRAMES, rest) :]
