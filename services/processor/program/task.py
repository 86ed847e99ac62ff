"""What a program is to encode, as whole numbers only, and the arguments that it is started with."""

import enum
import struct

import msgspec

EPOCH = 2**20
"""Seconds that are added to every time on its way to the program, so that none of its times is below 0."""
_TICKS = 90_000
_HALF_A_TICK = 0.000005  # seconds; what is divided by so many is not exact


class Kind(enum.IntEnum):
    """What is made; STOP ends the one that has that number."""

    STOP = 0
    PICTURES = 1
    AAC = 2
    MP3 = 3


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Of pictures `crf`, `threads`, the three `colours` as H.264 numbers them, and where a film of a ladder is made:
    seconds between the places where it may be cut, the most pictures between them, and when the film begins, in ticks
    of 1/90000 s, since ffmpeg counts from there. Of sound `kbits`, `rate` and `channels`."""

    number: int
    kind: Kind
    crf: int = 0
    threads: int = 1
    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    segment: int = 0
    begins: int = 0
    longest: int = 0
    kbits: int = 0
    rate: int = 0
    channels: int = 0


_MOST = {
    "number": 2**31,
    "crf": 51,
    "threads": 64,
    "matrix": 255,
    "primaries": 255,
    "transfer": 255,
    "segment": 60,
    "begins": 2**32 - 1,
    "longest": 10_000,
    "kbits": 1000,
    "rate": 192_000,
    "channels": 2,
}
_PACKED = struct.Struct(f"<{len(Task.__struct_fields__)}I")
SIZE = _PACKED.size


def pack(task: Task) -> bytes:
    return _PACKED.pack(*(getattr(task, name) for name in Task.__struct_fields__))


def unpack(data: bytes) -> Task:
    """Raises ValueError for what is no task. Who wrote it may be a stranger's by now."""
    if len(data) != SIZE:
        raise ValueError(f"a task has {SIZE} bytes; these are {len(data)}")
    told = dict(zip(Task.__struct_fields__, _PACKED.unpack(data), strict=True))
    for name, most in _MOST.items():
        if told[name] > most:
            raise ValueError(f"{name} of a task is {told[name]}; at most {most} is allowed")
    return Task(**{**told, "kind": Kind(told["kind"])})


def arguments(path: str, task: Task) -> list[str]:
    """Frames come in as NUT and packets leave as NUT; the program gets no name of anything else."""
    output = _pictures(task) if task.kind is Kind.PICTURES else _sound(task)
    return [
        path,
        *("-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"),
        *("-protocol_whitelist", "pipe", "-probesize", "32", "-analyzeduration", "0", "-threads", "1"),
        *("-copyts", "-f", "nut", "-i", "pipe:0"),
        *output,
        *("-map_metadata", "-1", "-fflags", "+bitexact", "-flush_packets", "1"),
        # Only without these points it tells how much of the last packet is to be heard.
        *("-strict", "experimental", "-syncpoints", "none", "-write_index", "0", "-f", "nut", "pipe:1"),
    ]


def _pictures(task: Task) -> list[str]:
    colours = f"colorspace={task.matrix}:color_primaries={task.primaries}:color_trc={task.transfer}"
    made = [
        *("-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000"),
        *("-vf", f"setparams=range=tv:{colours}"),
        *("-c:v", "libx264", "-crf", str(task.crf), "-preset", "medium", "-pix_fmt", "yuv420p"),
        *("-threads", str(task.threads), "-flags", "+global_header"),
    ]
    if task.segment:
        begins = task.begins / _TICKS + _HALF_A_TICK
        moment = f"expr:gte(t+{begins:.6f},n_forced*{task.segment})"
        made += [
            "-force_key_frames",
            moment,
            "-forced-idr",
            "1",
            "-sc_threshold",
            "0",
            "-g",
            str(task.longest),
        ]
    return made


def _sound(task: Task) -> list[str]:
    if task.kind is Kind.AAC:
        codec = ["-c:a", "aac", "-profile:a", "aac_low", "-flags", "+global_header"]
    else:
        codec = ["-c:a", "libmp3lame", "-sample_fmt", "s32p"]
    steady = ("-ar", str(task.rate), "-ac", str(task.channels), "-threads", "1")
    return ["-map", "0:a:0", *codec, "-b:a", f"{task.kbits}k", *steady]
