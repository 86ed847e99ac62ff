"""A seccomp filter: no sockets, no new processes or programs, no tracing, no signals to others, no mounts.

It refuses what is listed rather than allowing a list, because the codecs and libc change what they call from
release to release; memory, files and time are held by rlimits, Landlock and the worker.
"""

import ctypes
import errno
import os
import struct

from services.processor import kernel

_FILTER_MODE = 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_NOT_THERE = 0x00050000 | errno.ENOSYS
_KILL = 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# The same on both: everything since Linux 5.1 has one number everywhere.
_NEW_CALLS = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsmount": 432,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
}
_REFUSED = {
    "x86_64": {
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288,
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129,
        "rt_tgsigqueueinfo": 297, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155,
        "chroot": 161, "reboot": 169, "swapon": 167, "kexec_load": 246, "kexec_file_load": 320,
        "init_module": 175, "finit_module": 313, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298,
        "add_key": 248, "request_key": 249, "keyctl": 250, "open_by_handle_at": 304,
    },
    "aarch64": {
        "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203,
        "accept4": 242, "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138,
        "rt_tgsigqueueinfo": 240, "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41,
        "chroot": 51, "reboot": 142, "swapon": 224, "kexec_load": 104, "kexec_file_load": 294,
        "init_module": 105, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241,
        "add_key": 217, "request_key": 218, "keyctl": 219, "open_by_handle_at": 265,
    },
}  # fmt: skip
_CLONE3 = 435
_CLONE = {"x86_64": 56, "aarch64": 220}
_TGKILL = {"x86_64": 234, "aarch64": 131}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _program(machine: str, *, becomes_program: bool) -> bytes:
    """The filter as BPF. Jumps count the instructions to skip."""
    refused = {
        name: number for name, number in _REFUSED[machine].items() if name != "execve" or not becomes_program
    }
    lines = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, _ARCHITECTURES[machine], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        lines += [_instruction(_AT_LEAST, _X32, 0, 1), _instruction(_RETURN, _KILL)]
    # libc falls back to clone, whose flags can be seen here; those of clone3 lie behind a pointer.
    lines += [_instruction(_EQUAL, _CLONE3, 0, 1), _instruction(_RETURN, _NOT_THERE)]
    for number in sorted((refused | _NEW_CALLS).values()):
        lines += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _REFUSE)]
    lines += [  # clone: threads only
        _instruction(_EQUAL, _CLONE[machine], 0, 4),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_ANY_BIT, _CLONE_THREAD, 1, 0),
        _instruction(_RETURN, _REFUSE),
        _instruction(_RETURN, _ALLOW),
    ]
    lines += [  # tgkill: own threads only, which abort() needs
        _instruction(_EQUAL, _TGKILL[machine], 0, 3),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_EQUAL, os.getpid(), 1, 0),
        _instruction(_RETURN, _REFUSE),
    ]
    return b"".join([*lines, _instruction(_RETURN, _ALLOW)])


def shut(*, becomes_program: bool = False) -> None:
    """Apply the filter to this (single) thread and all it starts; who is about to become another program may.

    Needs PR_SET_NO_NEW_PRIVS. Raises OSError.
    """
    if kernel.MACHINE not in _ARCHITECTURES:
        raise OSError(f"no filter is known for {kernel.MACHINE}")
    code = _program(kernel.MACHINE, becomes_program=becomes_program)
    program = _Program(length=len(code) // 8, instructions=code)
    kernel.prctl(kernel.PR_SET_SECCOMP, _FILTER_MODE, program)
