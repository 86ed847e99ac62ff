"""How long an MP3 takes beside FFmpeg's own program with the same settings, and the whole job beside its MP3."""

import mmap
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
from av.audio.frame import AudioFrame

from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.bench.rounds import interleaved
from services.processor import audio
from services.processor.frames import Job, Limits
from services.processor.program import operators
from services.processor.program.programs import Programs
from services.processor.work import Work
from shared.recipes import shipped
from shared.sound_recipes import Sounds

_RATE = 48_000
_NO_FFMPEG = "no program `ffmpeg` here to compare with"
_SLOW_LAME = "the LAME of PyAV's wheel takes 2.4 times the CPU of Debian's"
_MP3_ALONE = Sounds(waveform=None)
_KBITS, _RATE_OUT = 128, 44_100


def measure(setting: Setting) -> Iterator[Row]:
    """Seconds by the clock for minutes of stereo."""
    minutes, rounds = (1, 1) if setting.quick else (3, 3)
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        source = Path(folder) / "source.flac"
        _make(source, minutes)
        ways: dict[str, Callable[[], float]] = {
            "job": lambda: _job(source, Sounds(), Path(folder) / "job.mp3"),
            "mp3": lambda: _job(source, _MP3_ALONE, Path(folder) / "ours.mp3"),
            "lame": lambda: _lame(source, Path(folder) / "lame.mp3"),
        }
        program = shutil.which("ffmpeg")
        if program is not None:
            programs = Programs.open(operators.checked(program), Limits(cpu_seconds=3600))
            ways["ffmpeg"] = lambda: _ffmpeg(program, source, Path(folder) / "theirs.mp3")
            ways["program"] = lambda: _job(source, _MP3_ALONE, Path(folder) / "program.mp3", programs)
        found = interleaved(setting.console, "sounds", ways, rounds)
    name = f"{minutes} min of stereo"
    with_meter = f"{name}, MP3 and loudness"
    if "ffmpeg" in found:
        yield compared(
            "sounds",
            with_meter,
            found["mp3"],
            "s",
            baseline="ffmpeg -af ebur128 -c:a libmp3lame -b:a 128k",
            against=found["ffmpeg"],
            target=Target(sense="at most", ratio=1.1),
            note=_SLOW_LAME,
        )
        yield compared(
            "sounds",
            f"{with_meter} by TRIPOD_FFMPEG",
            found["program"],
            "s",
            baseline="ffmpeg -af ebur128 -c:a libmp3lame -b:a 128k",
            against=found["ffmpeg"],
            target=Target(sense="at most", ratio=1.1),
        )
        programs.close()
    else:
        yield alone("sounds", with_meter, found["mp3"], "s", note=_NO_FFMPEG)
    yield compared(
        "sounds", with_meter, found["mp3"], "s", baseline="the same LAME alone", against=found["lame"]
    )
    yield compared(
        "sounds", f"{name}, the whole job", found["job"], "s", baseline="its MP3 alone", against=found["mp3"]
    )


def _make(file: Path, minutes: int) -> None:
    """Chords that change, and noise."""
    dice = np.random.default_rng(1)
    moments = np.arange(_RATE) / _RATE
    with av.open(str(file), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=_RATE)
        stream.layout = "stereo"
        for second in range(minutes * 60):
            chord = sum(
                np.sin(2 * np.pi * 110 * 2 ** ((second * step) % 24 / 12) * moments) for step in (3, 5, 7)
            )
            noise = dice.normal(0, 0.02, (2, _RATE))
            wave = (np.stack([chord, np.roll(chord, 480)]) / 6 + noise).clip(-1, 1)
            frame = AudioFrame.from_ndarray((wave * 32_000).astype(np.int16), format="s16p", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = _RATE, second * _RATE, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _job(source: Path, asked: Sounds, target: Path, programs: Programs | None = None) -> float:
    """As in a child, without the child."""
    started = time.perf_counter()
    original = os.open(source, os.O_RDONLY)
    output = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        job = Job(
            media_id="bench",
            trace_id="0" * 32,
            mime_type="audio/flac",
            recipe=msgspec.structs.replace(shipped()["standard"], sounds=asked),
            limits=Limits(file_bytes=2**40),
            film=True,
        )
        work = Work(job=job, descriptor=original, view=mmap.mmap(-1, 1), programs=programs)
        audio.run(work, [output], lambda _: None)
    finally:
        os.close(original)
        os.close(output)
    return time.perf_counter() - started


def _lame(source: Path, target: Path) -> float:
    """Decode, resample, encode: nothing else, by the library that we use."""
    started = time.perf_counter()
    with av.open(str(source)) as container, av.open(str(target), "w", format="mp3") as made:
        stream = made.add_stream("libmp3lame", rate=_RATE_OUT)
        stream.bit_rate, stream.layout = _KBITS * 1000, "stereo"
        for frame in container.decode(audio=0):
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return time.perf_counter() - started


def _ffmpeg(program: str, source: Path, target: Path) -> float:
    started = time.perf_counter()
    settings = ["-af", "ebur128=peak=true", "-c:a", "libmp3lame", "-b:a", f"{_KBITS}k", "-ar", str(_RATE_OUT)]
    command = [program, "-y", "-loglevel", "error", "-i", str(source), *settings, str(target)]
    subprocess.run(command, check=True)
    return time.perf_counter() - started
