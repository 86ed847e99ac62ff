import os
import signal

import pytest

from services.processor.autopsy import autopsy
from services.processor.frames import Limits
from services.processor.orders import Exited

LIMITS = Limits(memory_bytes=100 * 2**20, cpu_seconds=10)


@pytest.mark.parametrize(
    ("status", "cpu_seconds", "peak_mib", "printed", "code", "retryable"),
    [
        (-signal.SIGSEGV, 1, 50, "", "crash", True),
        (-signal.SIGABRT, 1, 50, "malloc(): corrupted top size", "crash", True),
        (1, 1, 50, "Traceback: KeyError", "crash", True),
        (0, 1, 50, "", "crash", True),
        (-signal.SIGXCPU, 10, 50, "", "timeout", False),
        (-signal.SIGKILL, 11, 50, "", "timeout", False),
        (-signal.SIGKILL, 1, 50, "", "memory", True),
        (-signal.SIGTRAP, 1, 50, "GLib-ERROR: failed to allocate 30000 bytes", "memory", False),
        (-signal.SIGABRT, 1, 50, "terminate called after throwing 'std::bad_alloc'", "memory", False),
        (1, 1, 50, "MemoryError", "memory", False),
        (-signal.SIGSEGV, 1, 95, "", "memory", False),
    ],
)
def test_how_a_child_ended_tells_why(
    status: int, cpu_seconds: int, peak_mib: int, printed: str, code: str, *, retryable: bool
) -> None:
    stderr = os.memfd_create("stderr")
    try:
        os.write(stderr, printed.encode())
        exited = Exited(
            number=1, status=status, cpu_milliseconds=cpu_seconds * 1000, peak_kib=peak_mib * 1024
        )
        found = autopsy(exited, LIMITS, stderr)
    finally:
        os.close(stderr)
    assert (found.code, found.retryable) == (code, retryable)
    assert printed in found.log


def test_only_the_end_of_what_was_printed_is_kept() -> None:
    stderr = os.memfd_create("stderr")
    try:
        os.write(stderr, b"x" * 50_000 + b"\xff the end")
        found = autopsy(Exited(number=1, status=-11, cpu_milliseconds=1, peak_kib=1), LIMITS, stderr)
    finally:
        os.close(stderr)
    assert found.log.endswith("the end")
    assert len(found.log) < 2100
