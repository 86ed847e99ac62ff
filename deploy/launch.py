"""Becomes a child of the stack: dies with its parent, drops root where asked, then turns into the command.

Run as a script (`python -I -S launch.py ORDER COMMAND...`) and not as preexec_fn, because code between
fork and exec is unsafe in a process with threads. Only the standard library is imported: this runs for
every child, before any dependency is needed.
"""

import contextlib
import ctypes
import json
import os
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


def main() -> None:
    """Apply the order (JSON: parent, signal, uid, gid, reach) and exec the command."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    command = sys.argv[2:]
    os.umask(0o077)
    if order.get("uid") is not None:
        drop_root(order["uid"], order["gid"], order["reach"])
    # After the change of user: the kernel forgets the death signal when credentials change.
    die_with_parent(order["parent"], order["signal"])
    os.execv(command[0], command)  # noqa: S606 -- the command is ours, and no shell is wanted


def die_with_parent(parent: int, number: int) -> None:
    """Ask the kernel for a signal when the parent goes; leave at once if it is gone already."""
    if sys.platform != "linux":
        return
    prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def drop_root(uid: int, gid: int, reach: list[str]) -> None:
    """Become another user for good, keeping one capability where that user could not reach the files.

    A checkout below a home folder of mode 0700 is closed to everyone but root. Passing through folders
    and reading (CAP_DAC_READ_SEARCH, or where a container lacks it CAP_DAC_OVERRIDE) is then the only
    power that stays; it comes as an ambient capability, which survives the exec.
    """
    needed = not reachable(uid, gid, reach)
    if needed:
        prctl(PR_SET_KEEPCAPS, 1)
        # initdb and postgres look at their own files by access(2), which counts capabilities only under this
        # bit. Where it may not be set, the data folder may still lie behind a closed one, but not the programs.
        with contextlib.suppress(OSError):
            prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if needed:
        keep_capability(reach)


def reachable(uid: int, gid: int, paths: list[str]) -> bool:
    """Whether that user could open each path, tried as that user and not guessed from modes."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return all(os.access(path, os.R_OK | os.X_OK, effective_ids=True) for path in paths)
    finally:
        os.seteuid(0)
        os.setegid(0)


def keep_capability(reach: list[str]) -> None:
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if raise_ambient(capability):
            return
    sys.exit(
        f"uid {os.getuid()} cannot reach {' or '.join(reach)}, and this kernel or container grants no capability"
        " for it: run as a normal user, or move the folder to where every user may pass through"
    )


def raise_ambient(capability: int) -> bool:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    # Two triples (effective, permitted, inheritable): the low and the high 32 capabilities.
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        return False
    return bool(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {value}): {os.strerror(number)}")


if __name__ == "__main__":
    main()
