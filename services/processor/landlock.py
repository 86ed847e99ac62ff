"""Landlock: after this the process can open no file, connect nowhere and signal nobody outside of itself.

https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os

from services.processor import kernel

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_ASK_VERSION = 1

# How many file system rights each version knows, from 1 on; what is not handled is not restricted.
_RIGHTS = (13, 14, 15, 15, 16)
_NETWORK = 0b11  # bind and connect by TCP, from version 4
_SCOPED = 0b11  # abstract sockets and signals, from version 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def version() -> int:
    """The version of Landlock that the kernel speaks. Raises OSError where there is none."""
    return kernel.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)


def shut() -> None:
    """Handle all rights and allow none. Needs PR_SET_NO_NEW_PRIVS. Raises OSError where Landlock is missing."""
    speaks = version()
    ruleset = _Ruleset(
        files=2 ** _RIGHTS[min(speaks, len(_RIGHTS)) - 1] - 1,
        network=_NETWORK if speaks >= 4 else 0,
        scoped=_SCOPED if speaks >= 6 else 0,
    )
    size = 24 if speaks >= 6 else 16 if speaks >= 4 else 8
    descriptor = kernel.syscall(_CREATE_RULESET, ruleset, size, 0)
    try:
        kernel.syscall(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
