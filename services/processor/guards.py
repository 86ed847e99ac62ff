"""What a child may not do, applied by itself before it looks at the file; nothing here can be undone."""

import os
import resource
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from services.processor import kernel, landlock, seccomp
from services.processor.frames import Limits

_DESCRIPTORS = 64
STDERR_BYTES = 64 * 1024  # of what native code prints; beside films it is the only file that it can write to
_THREADS = 64
_GRACE_SECONDS = 2
_LIBRARIES = 512 * 1024 * 1024  # bytes of address space that a program's libraries may take beside its limit


def apply(limits: Limits, *, parent: int) -> list[str]:
    """Shut every door that this kernel has. Returns the names of those it has not, with the reason.

    The order matters: giving up capabilities clears the death signal, Landlock and seccomp need no_new_privs,
    and seccomp comes last because it refuses what the others call.
    """
    missing: list[str] = []
    _try("user namespace", _leave_namespaces, missing)
    _try("capabilities", kernel.drop_capabilities, missing)
    _die_with(parent)
    _limit(limits)
    if not missing:
        # Counted per user: only inside an own user namespace are these threads ours alone.
        _set(resource.RLIMIT_NPROC, _THREADS)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    _try("landlock", landlock.shut, missing)
    _try("seccomp", seccomp.shut, missing)
    return missing


def apply_to_launcher(reads: Sequence[str], *, parent: int) -> list[str]:
    """The same for the process that starts the operator's program, which has to find its libraries under `reads`."""
    missing: list[str] = []
    _try("user namespace", _leave_namespaces, missing)
    _try("capabilities", kernel.drop_capabilities, missing)
    _die_with(parent)
    if not missing:
        _set(resource.RLIMIT_NPROC, 2 * _THREADS)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    _try("landlock", partial(landlock.shut, reads), missing)
    return missing


def apply_to_program(limits: Limits) -> list[str]:
    """What is left to shut before the launcher's child becomes the program; as much memory as the job's child has."""
    missing: list[str] = []
    _try("seccomp", partial(seccomp.shut, becomes_program=True), missing)
    cpu = limits.cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + _GRACE_SECONDS))
    _set(resource.RLIMIT_FSIZE, STDERR_BYTES)
    _set(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_AS, _LIBRARIES + limits.memory_bytes)
    return missing


def _try(name: str, guard: Callable[[], None], missing: list[str]) -> None:
    try:
        guard()
    except OSError as error:
        missing.append(f"{name} ({error.strerror or error})")


def _leave_namespaces() -> None:
    """An own, empty network, and a user that is nobody outside, even where we are root."""
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC)


def _die_with(parent: int) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def _limit(limits: Limits) -> None:
    cpu = limits.cpu_seconds
    _set(resource.RLIMIT_AS, _address_space() + limits.memory_bytes)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + _GRACE_SECONDS))
    _set(resource.RLIMIT_FSIZE, max(STDERR_BYTES, limits.file_bytes))
    _set(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    _set(resource.RLIMIT_CORE, 0)


def _set(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))


def _address_space() -> int:
    """Bytes mapped already: the libraries, shared with every other child."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
