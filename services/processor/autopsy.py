"""What killed a child that ended without a verdict: its exit status, its CPU time and what native code printed."""

import os
import signal

from services.processor import failures
from services.processor.failures import Failure
from services.processor.frames import Limits
from services.processor.orders import Exited

_LAST_WORDS_BYTES = 2000
# Native code that gets no memory says so and aborts, which by the signal alone would look like a crash.
_STARVED = ("failed to allocate", "bad_alloc", "memoryerror", "cannot allocate", "out of memory")


def autopsy(exited: Exited, limits: Limits, stderr: int) -> Failure:
    """The verdict. `stderr` is the descriptor of the file that the child's error output went to."""
    last_words = _read_end(stderr)
    if exited.status == -signal.SIGXCPU:
        return failures.timed_out(limits.cpu_seconds, last_words)
    if exited.status == -signal.SIGKILL:
        if exited.cpu_milliseconds >= limits.cpu_seconds * 1000:
            return failures.timed_out(limits.cpu_seconds, last_words)
        return failures.killed_for_memory(last_words)
    if any(words in last_words.lower() for words in _STARVED):
        return failures.out_of_memory(limits.memory_bytes, last_words)
    ended = f"signal {-exited.status}" if exited.status < 0 else f"status {exited.status}"
    return failures.crashed(f"{ended} {last_words}".strip())


def _read_end(stderr: int) -> str:
    start = max(0, os.fstat(stderr).st_size - _LAST_WORDS_BYTES)
    return os.pread(stderr, _LAST_WORDS_BYTES, start).decode("utf-8", "replace").strip()
