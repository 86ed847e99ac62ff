"""Landlock: after this the process can open no file, connect nowhere and signal nobody outside of itself.

https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from services.processor import kernel

_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446
_ASK_VERSION = 1
_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3

# How many file system rights each version knows, from 1 on; what is not handled is not restricted.
_RIGHTS = (13, 14, 15, 15, 16)
_NETWORK = 0b11  # bind and connect by TCP, from version 4
_SCOPED = 0b11  # abstract sockets and signals, from version 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The version of Landlock that the kernel speaks. Raises OSError where there is none."""
    return kernel.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)


def shut(reads: Sequence[str] = ()) -> None:
    """Handle all rights and allow none but to read and execute what is under `reads`.

    Needs PR_SET_NO_NEW_PRIVS. Raises OSError where Landlock is missing.
    """
    speaks = version()
    ruleset = _Ruleset(
        files=2 ** _RIGHTS[min(speaks, len(_RIGHTS)) - 1] - 1,
        network=_NETWORK if speaks >= 4 else 0,
        scoped=_SCOPED if speaks >= 6 else 0,
    )
    size = 24 if speaks >= 6 else 16 if speaks >= 4 else 8
    descriptor = kernel.syscall(_CREATE_RULESET, ruleset, size, 0)
    try:
        for place in reads:
            _allow(descriptor, place)
        kernel.syscall(_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, place: str) -> None:
    rights = _EXECUTE | _READ_FILE | (_READ_FOLDER if Path(place).is_dir() else 0)
    folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        kernel.syscall(_ADD_RULE, ruleset, _BENEATH, _Beneath(rights=rights, folder=folder), 0)
    finally:
        os.close(folder)
