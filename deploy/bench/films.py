"""A film with sound beside FFmpeg's own program with the same settings; a copied one, which is looked at before it is
believed, beside an encoded one."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from deploy.bench import photos
from deploy.bench.results import Row, Setting, Target, alone, compared
from deploy.bench.rounds import interleaved
from services.processor.frames import Limits
from services.processor.program import operators
from services.processor.program.programs import Programs
from services.processor.video_check import plays
from services.processor.video_film import Filming
from services.processor.video_shape import look_of
from services.processor.video_source import frames, opened, picture_stream
from shared.film_recipes import FilmSpec

_RATE = 25
_SOUND = 48_000
_THREADS = len(os.sched_getaffinity(0))
_NO_FFMPEG = "no program `ffmpeg` here to compare with"


def measure(setting: Setting) -> Iterator[Row]:
    """Seconds by the clock for a film of 720p."""
    seconds, rounds = (2, 1) if setting.quick else (6, 3)
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        source, conforming = Path(folder) / "source.mkv", Path(folder) / "film.mp4"
        _make(source, seconds)
        _film(source, "video/x-matroska", conforming)
        ways: dict[str, Callable[[], float]] = {
            "encoded": lambda: _film(source, "video/x-matroska", Path(folder) / "ours.mp4"),
            "copied": lambda: _film(conforming, "video/mp4", Path(folder) / "copy.mp4"),
        }
        program = shutil.which("ffmpeg")
        if program is not None:
            programs = Programs.open(operators.checked(program), Limits(cpu_seconds=3600))
            ways["ffmpeg"] = lambda: _ffmpeg(program, source, Path(folder) / "theirs.mp4")
            ways["program"] = lambda: _film(
                source, "video/x-matroska", Path(folder) / "program.mp4", programs
            )
        found = interleaved(setting.console, "films", ways, rounds)
    name = f"{seconds} s of 720p, encoded"
    if "ffmpeg" in found:
        yield compared(
            "films",
            name,
            found["encoded"],
            "s",
            baseline="ffmpeg -c:v libx264 -crf 23 -c:a aac -b:a 128k",
            against=found["ffmpeg"],
            target=Target(sense="at most", ratio=1.1),
        )
        yield compared(
            "films",
            f"{name} by TRIPOD_FFMPEG",
            found["program"],
            "s",
            baseline="ffmpeg -c:v libx264 -crf 23 -c:a aac -b:a 128k",
            against=found["ffmpeg"],
            target=Target(sense="at most", ratio=1.1),
        )
        programs.close()
    else:
        yield alone("films", name, found["encoded"], "s", note=_NO_FFMPEG)
    yield compared(
        "films",
        "encoded beside copied",
        found["encoded"],
        "s",
        baseline="copied",
        against=found["copied"],
        target=Target(sense="at least", ratio=20),
    )


def _make(file: Path, seconds: int) -> None:
    """A camera that moves over a landscape with grain, in a codec that has to be encoded anew."""
    landscape = np.asarray(photos.pixels(1600, 1000))
    dice = np.random.default_rng(1)
    with av.open(str(file), "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.bit_rate = 20_000_000
        sound = container.add_stream("flac", rate=_SOUND, layout="stereo")
        for number in range(seconds * _RATE):
            left, top = number % 320, number % 280
            view = landscape[top : top + 720, left : left + 1280].astype(np.int16)
            grain = dice.integers(-6, 7, (720, 1280, 1), dtype=np.int16)
            frame = VideoFrame.from_ndarray(np.clip(view + grain, 0, 255).astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
            container.mux(sound.encode(_tone(number, dice)))
        for track in (stream, sound):
            container.mux(track.encode(None))


def _tone(number: int, dice: np.random.Generator) -> AudioFrame:
    """What is heard during one picture: a chord in noise."""
    samples = _SOUND // _RATE
    moments = (number * samples + np.arange(samples)) / _SOUND
    chord = sum(np.sin(2 * np.pi * hertz * moments) for hertz in (220, 277, 330))
    both = np.repeat(6000 * chord, 2) + dice.integers(-300, 301, 2 * samples)
    frame = AudioFrame.from_ndarray(both.astype(np.int16)[np.newaxis], format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = _SOUND, number * samples, Fraction(1, _SOUND)
    return frame


def _film(source: Path, mime_type: str, target: Path, programs: Programs | None = None) -> float:
    started = time.perf_counter()
    original = os.open(source, os.O_RDONLY)
    output = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        with opened(original, mime_type) as container:
            stream = picture_stream(container)
            if stream is None:
                raise RuntimeError(f"{source} has no pictures")
            look = look_of(next(frames(container, stream, [])), stream)
        filming = Filming(
            descriptor=original,
            mime_type=mime_type,
            look=look,
            duration=None,
            limit=2**40,
            threads=_THREADS,
            warnings=[],
            on_time=lambda _: None,
            programs=programs,
        )
        filming.make(FilmSpec(), output)
        # Its pictures were decoded for poster and storyboard, which costs the same whatever becomes of them.
        if filming.copied and not plays(output, None, threads=_THREADS, seen=True):
            raise RuntimeError(f"The copy of {source} does not play")
    finally:
        os.close(original)
        os.close(output)
    return time.perf_counter() - started


def _ffmpeg(program: str, source: Path, target: Path) -> float:
    started = time.perf_counter()
    settings = [
        "-c:v",
        "libx264",
        "-crf",
        "23",
        "-preset",
        "medium",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-b:a",
        "128k",
    ]
    subprocess.run(
        [
            program,
            "-y",
            "-loglevel",
            "error",
            "-i",
            str(source),
            *settings,
            "-movflags",
            "+faststart",
            str(target),
        ],
        check=True,
    )
    return time.perf_counter() - started
