"""What killed a child that ended without a verdict: its exit status, its CPU time and what native code printed."""

import os
import signal

from services.processor import failures, symptoms
from services.processor.failures import Failure
from services.processor.frames import Limits
from services.processor.orders import Exited

_LAST_WORDS_BYTES = 2000
_NEARLY = 0.85  # of the memory limit, in use when a child broke down: that is why it did


def autopsy(exited: Exited, limits: Limits, stderr: int) -> Failure:
    """The verdict. `stderr` is the descriptor of the file that the child's error output went to."""
    last_words = _read_end(stderr)
    if exited.status == -signal.SIGXCPU:
        return failures.computed_too_long(limits.cpu_seconds, last_words)
    if exited.status == -signal.SIGKILL:
        if exited.cpu_milliseconds >= limits.cpu_seconds * 1000:
            return failures.computed_too_long(limits.cpu_seconds, last_words)
        return failures.killed_for_memory(last_words)
    # Native code that gets no memory says so and aborts, or does not even say so.
    if symptoms.says_starved(last_words) or exited.peak_kib * 1024 > _NEARLY * limits.memory_bytes:
        return failures.out_of_memory(limits.memory_bytes, last_words)
    ended = f"signal {-exited.status}" if exited.status < 0 else f"status {exited.status}"
    return failures.crashed(f"{ended} {last_words}".strip())


def _read_end(stderr: int) -> str:
    # The file may have its full length from the beginning.
    said = os.pread(stderr, os.fstat(stderr).st_size, 0).rstrip(b"\0")
    return said[-_LAST_WORDS_BYTES:].decode("utf-8", "replace").strip()
