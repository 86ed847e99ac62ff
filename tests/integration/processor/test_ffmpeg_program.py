"""Films and MP3s that a program of the operator's encodes, and what becomes of them where it breaks down."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from services.processor import cancelling, handlers
from services.processor.failures import JobFailed
from services.processor.film_settings import FilmSettings
from services.processor.program import encoding, operators
from services.processor.program.encoders import Pictures
from services.processor.program.operators import Program
from services.processor.program.task import Task
from shared.env import Env
from shared.errors import SettingsError
from shared.events import topology
from shared.events.messages import MediaFailed, MediaProcessed
from shared.film_recipes import Films as FilmsAsked
from shared.film_recipes import FilmSpec
from shared.sound_recipes import Sounds, SoundSpec
from tests.fixtures import encoder_programs
from tests.fixtures.recipes import STANDARD
from tests.fixtures.sounds import hear, sound
from tests.fixtures.videos import KINDS, Video, play, same_picture, video
from tests.fixtures.waiting import eventually_async
from tests.integration.processor.films import body, done, event_of
from tests.integration.processor.test_handlers import Parts, context, process, uploaded

pytestmark = pytest.mark.asyncio(loop_scope="session")

FFMPEG = shutil.which("ffmpeg")
real = pytest.mark.skipif(FFMPEG is None, reason="there is no program ffmpeg here")


def using(parts: Parts, program: Program | None) -> Parts:
    films = msgspec.structs.replace(parts.deps.films, program=program)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    return parts


async def mp3_of(parts: Parts) -> bytes:
    made = sound("flac")
    key = await parts.store(made.data)
    event = uploaded(key, media_type="audio", mime_type=made.mime_type, filename="sound")
    await process(parts, event)
    media = (await parts.events())[-1]
    assert isinstance(media, MediaProcessed), media
    assert media.duration == pytest.approx(1, abs=0.05)
    return body(parts, media, "mp3")


async def test_the_program_encodes_pictures_and_sound_and_they_stay_together(
    film_parts: Parts, tmp_path: Path
) -> None:
    parts = using(film_parts, encoder_programs.encoder(tmp_path))
    made = video("mov", seconds=2, rate=10)
    media = await done(parts, made)
    told = body(parts, media, "mp4")
    assert b"subme=0" in told  # which the encoder of ours never says
    film = play(told)
    assert (film.codec, film.audio_codec, film.frames) == ("h264", "aac", 20)
    assert (film.flash, film.beep) == pytest.approx((made.mark, made.mark), abs=0.04)
    assert (film.video_end, film.audio_end) == pytest.approx((2, 2), abs=0.05)
    assert media.duration == pytest.approx(2, abs=0.05)
    assert media.warnings == ()
    assert told.find(b"moov") < told.find(b"mdat")
    assert groups_of(parts) == set()


async def test_the_program_encodes_the_mp3(film_parts: Parts, tmp_path: Path) -> None:
    program = encoder_programs.encoder(tmp_path)
    heard = hear(await mp3_of(using(film_parts, program)))
    assert (heard.codec, heard.rate, heard.bit_rate, heard.channels) == ("mp3", 44_100, 128_000, 2)
    assert heard.seconds == pytest.approx(1, abs=0.001)
    assert heard.beep == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("lines", "ended", "said"),
    [
        (("echo no such option >&2", "exit 3"), "status 3", "no such option"),
        (("exit 0",), "status 0", ""),
        (("exec cat",), "", "rawvideo"),
        (("exec yes",), "", "not NUT"),
    ],
)
async def test_a_program_that_breaks_down_or_writes_nonsense_makes_the_job_fail(
    film_parts: Parts, tmp_path: Path, lines: tuple[str, ...], ended: str, said: str
) -> None:
    parts = using(film_parts, encoder_programs.shell(tmp_path, *lines))
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            await process(parts, await event_of(parts, video("mov", sound=False)))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "crash"
    assert re.search(rf"The program that encodes here broke down: .*({ended})", failed.detail)
    (first, *_) = [entry for entry in logs if entry["event"] == "job.failed"]
    assert said in first["said"]
    assert parts.deps.sandbox.pids == ()
    assert groups_of(parts) == set()


async def test_a_program_that_is_killed_makes_the_job_fail(film_parts: Parts, tmp_path: Path) -> None:
    parts = using(film_parts, encoder_programs.shell(tmp_path, "exec sleep 86391"))
    event = await event_of(parts, video("mov", sound=False))
    task = asyncio.create_task(process(parts, event))

    async def ended() -> bool:
        for pid in sleepers():
            os.kill(pid, signal.SIGKILL)
        return task.done()

    await eventually_async(ended, "the end of both attempts")
    await task
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert (failed.code, failed.detail) == ("crash", "The program that encodes here broke down: signal 9.")


class Beside:
    """Starts programs without a launcher."""

    started = 0

    def __init__(self, command: str) -> None:
        self._command = command

    def start(self, task: Task, pipes: tuple[int, int, int]) -> None:
        self.started = task.number
        stdin, stdout, stderr = pipes
        self.run = subprocess.Popen(
            ["/bin/sh", "-c", self._command], stdin=stdin, stdout=stdout, stderr=stderr
        )

    def status(self, number: int, *, seconds: float) -> int | None:
        assert number == self.started
        try:
            return self.run.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


@pytest.mark.parametrize(
    ("command", "sides", "said"),
    [("exec sleep 60", 2000, "takes nothing"), ("cat > /dev/null; exec sleep 60", 64, "gives nothing")],
)
async def test_a_program_that_stands_still_is_given_up(
    monkeypatch: pytest.MonkeyPatch, command: str, sides: int, said: str
) -> None:
    monkeypatch.setattr(encoding, "_PATIENCE", 0.1)
    monkeypatch.setattr(encoding, "_DYING", 0.01)
    programs: Any = Beside(command)
    with pytest.raises(JobFailed) as caught:
        Pictures(programs, width=sides, height=sides, rate=Fraction(25), step=3600)
    programs.run.kill()
    programs.run.wait()
    failure = caught.value.failure
    assert (failure.code, failure.retryable) == ("crash", True)
    assert said in failure.log
    assert "did not end by itself" in failure.detail


async def test_the_program_can_open_no_file_of_others_and_no_socket(
    film_parts: Parts, tmp_path: Path
) -> None:
    secret = tmp_path.parent / "secret"
    secret.write_text("secret")
    script = f"""
import os, socket, sys
def tried(what, *given):
    try:
        what(*given)
    except OSError as error:
        return
    sys.stderr.write(f"{{what.__name__}}{{given}} was allowed\\n")
tried(open, {str(secret)!r})
tried(open, "/etc/passwd")
tried(open, f"/proc/{{os.getppid()}}/environ")
tried(open, {str(tmp_path / "made")!r}, "w")
tried(socket.socket)
tried(os.fork)
sys.stderr.write("; ".join(sorted(os.environ)) + "; " + str(os.listdir("/usr") != []) + "\\n")
sys.exit(9)
"""
    parts = using(film_parts, encoder_programs.python(tmp_path, script))
    with capture_logs() as logs:
        await process(parts, await event_of(parts, video("mov", sound=False)))
    said = next(entry["said"] for entry in logs if entry["event"] == "job.failed")
    assert "allowed" not in said
    assert "status 9 LANG; " in said
    assert "True" in said


@pytest.mark.parametrize("way", ["cancel", "child", "server"])
async def test_no_program_outlives_its_job(film_parts: Parts, tmp_path: Path, way: str) -> None:
    # It takes nothing and gives nothing.
    parts = using(film_parts, encoder_programs.shell(tmp_path, "exec sleep 86391"))
    listening = asyncio.Event()
    reader = asyncio.create_task(cancelling.keep_listening(parts.bus, parts.deps.running, listening))
    event = await event_of(parts, same_picture(3, width=64, height=64))
    task = asyncio.create_task(handlers.process(context(event), parts.deps))

    async def sleeping() -> bool:
        assert not task.done()
        return bool(sleepers())

    await eventually_async(sleeping, "the program")
    (child,) = parts.deps.sandbox.pids
    assert len(groups_of(parts)) == 1
    programs = sleepers()
    server = parts.deps.sandbox.server_pid
    assert server is not None
    async with asyncio.timeout(2):
        if way == "cancel":
            await parts.bus.broadcast(topology.cancel(str(event.id)), b"1")
            await task
        else:
            os.kill(child if way == "child" else server, signal.SIGKILL)

        async def gone() -> bool:
            return not any(alive(pid) for pid in programs)

        await eventually_async(gone, "the end of the program")
    if way != "cancel":
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    listening.set()
    await reader
    assert not sleepers()
    assert groups_of(parts) == set()


def sleepers() -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"86391" in (folder / "cmdline").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def groups_of(parts: Parts) -> set[str]:
    """The children of the fork server, those included that wait to be reaped."""
    server = parts.deps.sandbox.server_pid
    children = Path(f"/proc/{server}/task/{server}/children")
    return set(children.read_text().split()) if children.exists() else set()


SAYS = "echo ffmpeg version 9; echo 'libavcodec     62. 28.100 / 62. 28.100'"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (("exit 4",), "status 4"),
        (("echo sox 14",), "answers -version with 'sox 14'"),
        (("echo ffmpeg version 4.4; echo 'libavcodec     58.134.100 / 58.134.100'",), "older"),
        (
            (f'[ "$1" = -version ] && {{ {SAYS}; exit; }}', "echo ' A....D aac  x'"),
            "no libx264, libmp3lame",
        ),
    ],
)
async def test_a_program_that_will_not_do_ends_the_start(
    tmp_path: Path, lines: tuple[str, ...], wrong: str
) -> None:
    program = encoder_programs.shell(tmp_path, *lines)
    env = Env({"TRIPOD_FFMPEG": program.path})
    FilmSettings.from_env(env, processors=1)
    with pytest.raises(SettingsError, match=f"TRIPOD_FFMPEG is '{program.path}'.*{wrong}"):
        env.check()


async def test_a_program_that_is_not_there_or_may_not_be_run_ends_the_start(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    for path, wrong in (
        (str(tmp_path / "none"), "no such file"),
        (str(plain), "may not be executed"),
        ("ffmpeg", "no whole path"),
    ):
        env = Env({"TRIPOD_FFMPEG": path})
        FilmSettings.from_env(env, processors=1)
        with pytest.raises(SettingsError, match=f"TRIPOD_FFMPEG is .*{wrong}"):
            env.check()


async def test_a_program_that_will_do_is_taken_with_its_memory_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.processor.film_settings.memory_of_machine", lambda: 16 * 2**30)
    program = encoder_programs.encoder(tmp_path)
    found = FilmSettings.from_env(Env({"TRIPOD_FFMPEG": program.path}), processors=16)
    assert found.program is not None
    assert found.program.path == program.path
    assert str(tmp_path) in found.program.reads
    assert found.made().program == found.program
    assert found.jobs == 2
    without = FilmSettings.from_env(Env({}), processors=16)
    assert (without.jobs, without.program) == (4, None)


# What follows needs the real one.


def debian() -> Program:
    return operators.checked(FFMPEG or "")


@pytest.mark.long
@real
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_ffmpeg_makes_the_same_of_every_container_and_codec(film_parts: Parts, kind: str) -> None:
    made = video(kind, width=176, height=144)
    own = play(body(film_parts, await done(film_parts, made), "mp4"))
    media = await done(using(film_parts, debian()), made)
    theirs = play(body(film_parts, media, "mp4"))
    assert media.warnings == ()
    for field in ("width", "height", "frames", "codec", "audio_codec", "pixels", "transfer", "rotation"):
        assert getattr(theirs, field) == getattr(own, field)
    for field in ("duration", "video_end", "audio_end", "flash", "beep"):
        assert getattr(theirs, field) == pytest.approx(getattr(own, field), abs=0.001)


@pytest.mark.long
@real
async def test_the_ladder_of_ffmpeg_is_cut_where_ours_is(film_parts: Parts) -> None:
    rungs = tuple(
        FilmSpec(name=f"{side}p", width=16 * side // 9, height=side, crf=30, fragmented=True)
        for side in (72, 36)
    )
    recipe = msgspec.structs.replace(STANDARD, films=FilmsAsked(mp4=(), ladder=rungs))
    assert isinstance(film_parts.deps.recipes, dict)
    film_parts.deps.recipes["standard"] = recipe
    made = video("mov", width=128, height=72, seconds=9, rate=10)
    own = await done(film_parts, made)
    theirs = await done(using(film_parts, debian()), made)
    lengths = []
    for media in (own, theirs):
        for rung in rungs:
            film, text = body(film_parts, media, rung.name), body(film_parts, media, f"{rung.name}_playlist")
            lengths.append(re.findall(r"#EXTINF:([\d.]+),", text.decode()))
            (head,) = re.findall(r'BYTERANGE="(\d+)@0"', text.decode())
            ranges = re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text.decode())
            made_of = [film[: int(head)] + film[int(at) : int(at) + int(size)] for size, at in ranges]
            assert [play(part).frames for part in made_of] == [40, 40, 10]
    assert lengths[0] == lengths[1] == lengths[2] == lengths[3]


@pytest.mark.long
@real
async def test_the_mp3_of_ffmpeg_lasts_as_long_as_ours(film_parts: Parts) -> None:
    own = hear(await mp3_of(film_parts))
    theirs = hear(await mp3_of(using(film_parts, debian())))
    assert (theirs.seconds, theirs.beep) == pytest.approx((own.seconds, own.beep), abs=0.001)
    assert (theirs.rate, theirs.channels, theirs.bit_rate) == (own.rate, own.channels, own.bit_rate)


@pytest.mark.long
@real
async def test_the_silence_that_lame_puts_behind_the_end_is_taken(film_parts: Parts) -> None:
    whole = sound("mp3", seconds=2).data
    made = whole[: int(len(whole) * 0.3)]
    asked = Sounds(mp3=(SoundSpec(kbits=96),), waveform=None)
    assert isinstance(film_parts.deps.recipes, dict)
    film_parts.deps.recipes["standard"] = msgspec.structs.replace(STANDARD, sounds=asked)
    lasting = []
    for program in (None, debian()):
        parts = using(film_parts, program)
        key = await parts.store(made)
        await process(parts, uploaded(key, media_type="audio", mime_type="audio/mpeg", filename="sound"))
        media = (await parts.events())[-1]
        assert isinstance(media, MediaProcessed), media
        lasting.append(hear(body(parts, media, "mp3")).seconds)
    assert lasting[0] == pytest.approx(lasting[1], abs=0.001)


async def test_a_program_that_makes_too_little_breaks_the_job_though_it_ends_well(
    film_parts: Parts, tmp_path: Path
) -> None:
    program = encoder_programs.encoder(tmp_path)
    encoder_programs.stopping_after(program, frames=3)
    made = sound("flac")
    key = await film_parts.store(made.data)
    parts = using(film_parts, program)
    await process(parts, uploaded(key, media_type="audio", mime_type=made.mime_type, filename="sound"))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert (failed.code, failed.detail) == ("crash", "The program that encodes here broke down: status 0.")


@pytest.mark.long
@real
async def test_ffmpeg_at_work_ends_with_its_job(film_parts: Parts) -> None:
    parts = using(film_parts, debian())
    listening = asyncio.Event()
    reader = asyncio.create_task(cancelling.keep_listening(parts.bus, parts.deps.running, listening))
    long: Video = same_picture(200, width=960, height=540)
    event = await event_of(parts, long)
    task = asyncio.create_task(handlers.process(context(event), parts.deps))

    async def encoding() -> bool:
        assert not task.done()
        return any(b"libx264" in told for told in commands())

    await eventually_async(encoding, "ffmpeg at work")
    async with asyncio.timeout(2):
        await parts.bus.broadcast(topology.cancel(str(event.id)), b"1")
        await task
    assert not any(b"libx264" in told and b"pipe:0" in told for told in commands())
    assert groups_of(parts) == set()
    listening.set()
    await reader


def commands() -> list[bytes]:
    found: list[Any] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return found
