"""The few Linux calls that Python does not offer, by number or through libc. Each raises OSError when refused."""

import ctypes
import os
import platform

CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
CLONE_NEWUSER = 0x10000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

MACHINE = platform.machine()
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(
    option: int, argument: int = 0, pointer: "ctypes.Array[ctypes.c_char] | ctypes.Structure | None" = None
) -> None:
    third = ctypes.byref(pointer) if pointer is not None else ctypes.c_ulong(0)
    result = _libc.prctl(option, ctypes.c_ulong(argument), third, ctypes.c_ulong(0), ctypes.c_ulong(0))
    _checked(result, f"prctl({option})")


def syscall(number: int, *arguments: "int | ctypes.Structure | None") -> int:
    """A call that libc has no function for; structures go by reference."""
    converted = [
        ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else ctypes.c_ulong(argument or 0)
        for argument in arguments
    ]
    return _checked(_libc.syscall(ctypes.c_long(number), *converted), f"system call {number}")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), f"unshare({flags:#x})")


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * 6),)  # effective, permitted, inheritable; twice 32 bits


def drop_capabilities() -> None:
    """Give up every capability for good."""
    number = _CAPSET.get(MACHINE)
    if number is None:
        raise OSError(f"the number of capset on {MACHINE} is unknown")
    syscall(number, _CapabilityHeader(version=_CAPABILITY_VERSION_3, pid=0), _CapabilitySets())
