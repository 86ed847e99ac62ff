"""How many videos are made at once and what each may take, from what the machine has unless it is said."""

import os
import tempfile
from pathlib import Path

import msgspec

from services.processor.frames import Limits
from services.processor.places import Places
from services.processor.program import operators
from services.processor.program.operators import Program
from services.processor.scratch import Scratch
from services.processor.videos import Films
from shared.env import Env

_MEBIBYTE = 1024 * 1024
_MEMORY = 2048  # MiB
_THREADS = 4  # with more of them x264 gains little
_SHARE = 2  # of memory, one part in so many is for videos at most


class FilmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`jobs` at once, `threads` of each, `sounds` beside them; the folder for what is under way and how many bytes of
    it may be used. `program` encodes, where the operator has named one."""

    jobs: int = 1
    sounds: int = 1
    threads: int = 2
    limits: Limits = Limits(cpu_seconds=8 * 3600, wall_seconds=2 * 3600)
    scratch: str = ""
    scratch_bytes: int = 16 * 1024 * _MEBIBYTE
    original_bytes: int = 2048 * _MEBIBYTE
    film_bytes: int = 4096 * _MEBIBYTE
    program: Program | None = None

    @classmethod
    def from_env(cls, env: Env, *, processors: int) -> "FilmSettings":
        """As many at once as there are processors and memory for, so that renditions never run the machine out."""
        memory = env.integer("TRIPOD_PROCESSOR_VIDEO_MEMORY_MIB", _MEMORY, least=256, most=64 * 1024)
        program = operators.from_env(env)
        # A program that encodes may take as much again.
        each = memory if program is None else 2 * memory
        fitting = memory_of_machine() // _SHARE // (each * _MEBIBYTE)
        default = max(1, min(processors // _THREADS, fitting))
        jobs = env.integer("TRIPOD_PROCESSOR_VIDEO_JOBS", default, least=1, most=64)
        # A sound takes one processor, and little memory.
        sounds = env.integer("TRIPOD_PROCESSOR_AUDIO_JOBS", max(1, processors // 2), least=1, most=64)
        seconds = env.integer("TRIPOD_PROCESSOR_VIDEO_SECONDS", 7200, least=10, most=48 * 3600)
        scratch = env.text("TRIPOD_PROCESSOR_SCRATCH", tempfile.gettempdir())
        if not os.access(scratch, os.W_OK | os.X_OK):
            env.complain("TRIPOD_PROCESSOR_SCRATCH", scratch, "a folder that can be written to")
        threads = max(1, min(processors // jobs, 4 * _THREADS))
        return cls(
            jobs=jobs,
            sounds=sounds,
            threads=threads,
            limits=Limits(
                memory_bytes=memory * _MEBIBYTE, cpu_seconds=seconds * threads, wall_seconds=float(seconds)
            ),
            scratch=scratch,
            scratch_bytes=_MEBIBYTE
            * env.integer("TRIPOD_PROCESSOR_SCRATCH_MIB", 16 * 1024, least=256, most=16 * 1024 * 1024),
            original_bytes=_MEBIBYTE
            * env.integer("TRIPOD_PROCESSOR_VIDEO_MIB", 2048, least=1, most=1024 * 1024),
            film_bytes=_MEBIBYTE * env.integer("TRIPOD_PROCESSOR_FILM_MIB", 4096, least=1, most=1024 * 1024),
            program=program,
        )

    def made(self) -> Films:
        """The parts that the handlers use."""
        return Films(
            places=Places(self.jobs),
            sounds=Places(self.sounds),
            scratch=Scratch(Path(self.scratch or tempfile.gettempdir()), self.scratch_bytes),
            limits=self.limits,
            threads=self.threads,
            original_bytes=self.original_bytes,
            film_bytes=self.film_bytes,
            program=self.program,
        )


def memory_of_machine() -> int:
    """Bytes, fewer where a container has fewer."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return whole
    return min(whole, int(allowed)) if allowed.isdigit() else whole
