"""Why a file could not be processed: the codes, whether a retry may help, and the text for people."""

from typing import Literal, TypeAlias

import msgspec

Code: TypeAlias = Literal[
    "truncated",
    "corrupt",
    "dimensions",
    "unsupported",
    "output",
    "too_large",
    "missing",
    "crash",
    "memory",
    "timeout",
    "interrupted",
    "cancelled",
]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a file. `detail` is for people; `log` is what the codec said, for operators only."""

    code: Code
    detail: str
    retryable: bool = False
    log: str = ""


class JobFailed(Exception):
    """Raised inside the child when the file is at fault; carries the verdict."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


def truncated(log: str = "") -> JobFailed:
    detail = "The file ends before it is complete; it was probably cut off during a transfer."
    return JobFailed(Failure(code="truncated", detail=detail, log=log))


def corrupt(mime_type: str, log: str = "") -> JobFailed:
    detail = f"The content of the file is damaged and cannot be read as {mime_type}."
    return JobFailed(Failure(code="corrupt", detail=detail, log=log))


def unsupported(mime_type: str, allowed: tuple[str, ...]) -> JobFailed:
    detail = f"Files of type {mime_type} cannot be processed; these can: {', '.join(allowed)}."
    return JobFailed(Failure(code="unsupported", detail=detail))


def unsupported_feature(mime_type: str, log: str) -> JobFailed:
    detail = f"The file is {mime_type}, but of a rare kind that cannot be processed."
    return JobFailed(Failure(code="unsupported", detail=detail, log=log))


def no_decoder(found: str, allowed: tuple[str, ...]) -> JobFailed:
    """For sound. `found` is what it is, in words."""
    detail = f"The sound in the file is {found}, which is not decoded here; these are: {', '.join(allowed)}."
    return JobFailed(Failure(code="unsupported", detail=detail))


def unsupported_samples(mime_type: str, samples: str) -> JobFailed:
    detail = (
        f"The file is {mime_type} with samples of type {samples}; "
        "only whole numbers of at most 16 bits and without a sign are read."
    )
    return JobFailed(Failure(code="unsupported", detail=detail))


def too_many_streams(limit: int) -> JobFailed:
    detail = f"The file has more than {limit} streams; at most that many are read."
    return JobFailed(Failure(code="unsupported", detail=detail))


def encrypted() -> JobFailed:
    detail = "The file is encrypted: without its key there is nothing to see or hear in it."
    return JobFailed(Failure(code="unsupported", detail=detail))


def too_many_scans(limit: int) -> JobFailed:
    detail = f"The picture is a progressive JPEG of more than {limit} scans; at most that many are read."
    return JobFailed(Failure(code="unsupported", detail=detail))


def too_many_pixels(width: int, height: int, limit: int) -> JobFailed:
    detail = (
        f"The picture is {width} x {height} pixels, {width * height / 1e6:.1f} million; "
        f"at most {limit / 1e6:g} million are allowed."
    )
    return JobFailed(Failure(code="dimensions", detail=detail))


def side_out_of_bounds(width: int, height: int, least: int, most: int) -> JobFailed:
    detail = f"The picture is {width} x {height} pixels; each side must have at least {least} and at most {most} here."
    return JobFailed(Failure(code="dimensions", detail=detail))


def no_pixels(width: int, height: int) -> JobFailed:
    detail = f"The picture is {width} x {height} pixels; both sides must be at least 1."
    return JobFailed(Failure(code="dimensions", detail=detail))


def out_of_memory(limit: int, log: str = "") -> Failure:
    """Over our own limit: the same file would do it again, so no retry."""
    detail = f"Reading the file takes more than the {limit // 2**20} MiB of memory that a file may use."
    return Failure(code="memory", detail=detail, log=log)


def killed_for_memory(log: str = "") -> Failure:
    """Somebody else sent SIGKILL, which is what the kernel does when memory runs out. Elsewhere it may fit."""
    detail = "The machine ran out of memory while the file was being processed."
    return Failure(code="memory", detail=detail, retryable=True, log=log)


def timed_out(seconds: float, log: str = "") -> Failure:
    """By the clock, which runs faster where others have the processors."""
    detail = f"Processing the file takes longer than the {seconds:g} seconds that a file may use."
    return Failure(code="timeout", detail=detail, retryable=True, log=log)


def computed_too_long(seconds: float, log: str = "") -> Failure:
    """By the child's own CPU time: the same file would do it again, so no retry."""
    return msgspec.structs.replace(timed_out(seconds, log), retryable=False)


def crashed(log: str) -> Failure:
    detail = "The decoder broke down on this file; it is damaged or made to do so."
    return Failure(code="crash", detail=detail, retryable=True, log=log)


def program_broke(ended: str, log: str) -> Failure:
    """The operator's own encoder. `ended` tells how, `log` what it said last."""
    detail = f"The program that encodes here broke down: {ended}."
    return Failure(code="crash", detail=detail, retryable=True, log=f"{ended} {log}".strip())


def too_much_output(size: int, limit: int) -> Failure:
    detail = f"What was made of the file takes {size} bytes or more; at most {limit} are allowed."
    return Failure(code="output", detail=detail)


def too_large(limit: int) -> Failure:
    detail = f"The file is longer than the {limit // 2**20} MiB that a file of its kind may have."
    return Failure(code="too_large", detail=detail)


def no_room(size: int, limit: int) -> Failure:
    detail = f"The file needs {size // 2**20} MiB of room while it is processed; at most {limit // 2**20} are there."
    return Failure(code="too_large", detail=detail)


def cancelled() -> Failure:
    return Failure(code="cancelled", detail="Processing was stopped on request; it can be asked for again.")


def missing() -> Failure:
    return Failure(code="missing", detail="The original is not in the object store any more.")


def interrupted(log: str) -> Failure:
    """Our own machinery gave way, which says nothing about the file."""
    detail = "Processing was interrupted and can be repeated."
    return Failure(code="interrupted", detail=detail, retryable=True, log=log)
