"""Videos through the handlers with a real sandbox: what is made of them plays, and is what was asked for."""

import asyncio
import io
import itertools
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest
import pytest_asyncio
from PIL import Image

from services.processor import cancelling, handlers
from services.processor.frames import Job, Limits
from services.processor.sandbox import Sandbox
from services.processor.scratch import Scratch
from services.processor.videos import Films
from shared.events import topology
from shared.events.memory import MemoryBus
from shared.events.messages import MediaDeleted, MediaFailed, MediaProcessed, Progress, VariantRef, decode
from shared.film_recipes import Films as FilmsAsked
from shared.film_recipes import FilmSpec
from shared.storage.memory import MemoryBlobs
from tests.fixtures.recipes import STANDARD
from tests.fixtures.videos import KINDS, Video, play, same_picture, video
from tests.integration.processor.test_handlers import Parts, context, process, requested, uploaded

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEBIBYTE = 2**20
LIMITS = Limits(cpu_seconds=60, wall_seconds=60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """One fork server for all."""
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def parts(sandbox: Sandbox, tmp_path: Path) -> Parts:
    bus, blobs = MemoryBus(), MemoryBlobs()
    await bus.ensure(topology.TOPOLOGY)
    await blobs.ensure_bucket()
    made = Parts(bus, blobs, sandbox)
    films = Films(scratch=Scratch(tmp_path, 1024 * MEBIBYTE), limits=LIMITS, film_bytes=64 * MEBIBYTE)
    made.deps = msgspec.structs.replace(made.deps, films=films, original_bytes=4 * MEBIBYTE)
    return made


async def done(parts: Parts, made: Video, **changes: Any) -> MediaProcessed:
    """What becomes of it, which has to be a success."""
    await process(parts, await event_of(parts, made, **changes))
    found = (await parts.events())[-1]
    assert isinstance(found, MediaProcessed), found
    return found


async def event_of(parts: Parts, made: Video, **changes: Any) -> Any:
    key = await parts.store(made.data)
    return uploaded(key, media_type="video", mime_type=made.mime_type, filename="clip", **changes)


def body(parts: Parts, media: MediaProcessed, name: str) -> bytes:
    return parts.blobs.objects[ref(media, name).key].body


def ref(media: MediaProcessed, name: str) -> VariantRef:
    return next(variant for variant in media.variants if variant.name == name)


async def test_a_video_ends_as_a_film_a_poster_and_a_storyboard(parts: Parts) -> None:
    made = video("mov", width=320, height=180, seconds=3, rate=10)
    media = await done(parts, made)
    assert [variant.name for variant in media.variants] == [
        *("mp4", "poster", "thumbnail", "storyboard", "storyboard_vtt"),
    ]
    film = play(body(parts, media, "mp4"))
    assert (film.codec, film.pixels, film.audio_codec) == ("h264", "yuv420p", "aac")
    assert (film.width, film.height, film.frames) == (320, 180, 30)
    assert media.duration == pytest.approx(3, abs=0.05)
    assert film.video_end == pytest.approx(3, abs=0.05)
    assert (media.width, media.height) == (320, 180)
    assert media.bitrate is not None
    assert media.exif["video_codec"] == "prores"
    assert (media.exif["frame_rate"], media.exif["hdr"], media.exif["rotation"]) == (10, False, 0)
    assert media.exif["audio_tracks"] == [{"codec": "pcm_s16le", "channels": 2, "sample_rate": 48000}]
    assert media.phash
    assert media.placeholder
    with Image.open(io.BytesIO(body(parts, media, "poster"))) as poster:
        assert poster.size == (320, 180)
    with Image.open(io.BytesIO(body(parts, media, "storyboard"))) as sheet:
        assert sheet.size == (2 * 160, 90)
    cues = body(parts, media, "storyboard_vtt").decode()
    assert cues.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.5")
    assert cues.count("#xywh=") == 2
    index = body(parts, media, "mp4")
    assert index.find(b"moov") < index.find(b"mdat")


@pytest.mark.parametrize("kind", ["webm"])
async def test_picture_and_sound_stay_together_whatever_the_container(parts: Parts, kind: str) -> None:
    await held(parts, kind)


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"webm"}))
async def test_the_same_of_every_other_container_and_codec(parts: Parts, kind: str) -> None:
    await held(parts, kind)


async def held(parts: Parts, kind: str) -> None:
    made = video(kind, width=176, height=144)
    source = play(made.data)
    media = await done(parts, made)
    film = play(body(parts, media, "mp4"))
    assert (film.codec, film.pixels, film.audio_codec) == ("h264", "yuv420p", "aac")
    assert film.frames == source.frames
    assert film.flash is not None
    assert film.beep is not None
    assert source.flash is not None
    assert source.beep is not None
    # No further apart than they were before.
    assert film.beep - film.flash == pytest.approx(source.beep - source.flash, abs=0.04)
    assert media.duration == pytest.approx(film.duration, abs=0.05)
    length = max(source.video_end, source.audio_end or 0) - min(source.flash, source.beep)
    ends = max(film.video_end, film.audio_end or 0) - min(film.flash, film.beep)
    assert ends == pytest.approx(length, abs=0.05)
    assert media.warnings == ()


async def test_a_film_that_is_one_already_is_copied_packet_by_packet(parts: Parts) -> None:
    made = video("flv-h264", options={"preset": "veryfast", "bf": "2"})
    media = await done(parts, made)
    assert _packets(made.data, "flv") == _packets(body(parts, media, "mp4"), "mp4")


async def test_matroska_is_copied_too_though_it_does_not_say_when_to_decode(parts: Parts) -> None:
    made = video("mkv", options={"preset": "veryfast", "bf": "2"})
    media = await done(parts, made)
    copied = body(parts, media, "mp4")
    assert _packets(made.data, "matroska") == _packets(copied, "mp4")
    assert play(copied).audio_codec == "aac"  # it was FLAC


def _packets(data: bytes, container: str) -> list[int]:
    """The lengths of the pictures as they are stored, which no encoder would hit again."""
    with av.open(io.BytesIO(data), "r", format=container) as file:
        return [packet.size for packet in file.demux(file.streams.video[0]) if packet.size]


@pytest.mark.long
async def test_a_ladder_is_cut_at_the_same_moments_and_each_segment_plays(parts: Parts) -> None:
    rungs = tuple(
        FilmSpec(name=f"{side}p", width=16 * side // 9, height=side, crf=30, fragmented=True)
        for side in (72, 36)
    )
    recipe = msgspec.structs.replace(STANDARD, films=FilmsAsked(mp4=(), ladder=rungs))
    assert isinstance(parts.deps.recipes, dict)
    parts.deps.recipes["standard"] = recipe
    made = video("mov", width=128, height=72, seconds=9, rate=10)
    event = await event_of(parts, made)
    await process(parts, event)
    (media,) = await parts.events()
    assert isinstance(media, MediaProcessed)
    master = body(parts, media, "hls").decode().splitlines()
    assert [line for line in master if not line.startswith("#")] == [
        f"{rung.name}_playlist?v={rung.hash}" for rung in rungs
    ]
    assert "RESOLUTION=128x72" in master[3]
    lengths = []
    for rung in rungs:
        film, text = body(parts, media, rung.name), body(parts, media, f"{rung.name}_playlist").decode()
        assert play(film).frames == 90
        lengths.append(re.findall(r"#EXTINF:([\d.]+),", text))
        assert f"{rung.name}?v={rung.hash}" in text
        head = int(re.findall(r'BYTERANGE="(\d+)@0"', text)[0])
        ranges = [
            (int(size), int(place)) for size, place in re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text)
        ]
        assert ranges[0][1] == head
        parts_of = [play(film[:head] + film[place : place + size]).frames for size, place in ranges]
        assert parts_of == [40, 40, 10]
    assert lengths[0] == lengths[1]
    assert [float(length) for length in lengths[0]] == pytest.approx([4, 4, 1], abs=0.05)

    # What a stopped worker has made of it stays.
    await parts.blobs.delete(ref(media, "36p").key)
    await process(parts, event, delivered=2)
    again = (await parts.events())[-1]
    assert isinstance(again, MediaProcessed)
    assert again.variants == media.variants


@pytest.mark.parametrize(
    ("turned", "rotation", "sides"),
    [(-90, 90, (48, 64)), pytest.param(180, 180, (64, 48), marks=pytest.mark.long)],
)
async def test_what_a_phone_has_stored_on_its_side_is_turned_upright(
    parts: Parts, turned: float, rotation: int, sides: tuple[int, int]
) -> None:
    media = await done(parts, video("mp4", turned=turned, sound=False))
    film = play(body(parts, media, "mp4"))
    assert (film.width, film.height, film.rotation) == (*sides, 0)
    assert (media.width, media.height, media.exif["rotation"]) == (*sides, rotation)


async def test_a_place_and_a_moment_are_told_and_are_not_in_the_film(parts: Parts) -> None:
    told = {
        "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.1/",
        "com.apple.quicktime.creationdate": "2023-05-09T12:41:46+0200",
        "com.apple.quicktime.model": "Phone 14",
        "title": "A \x1b[31mtitle",
    }
    made = video("flv-h264", sound=False)
    made = Video(data=_remuxed(made.data, told), mime_type="video/quicktime", mark=0)
    media = await done(parts, made)
    assert media.exif["gps"] == {"latitude": 48.8577, "longitude": 2.295, "altitude": 35.1}
    assert media.taken_at == "2023-05-09T12:41:46+02:00"
    assert media.exif["camera_model"] == "Phone 14"
    assert media.exif["title"] == "A [31mtitle"
    film = body(parts, media, "mp4")
    assert b"48.85" not in film
    assert b"Phone" not in film


def _remuxed(data: bytes, metadata: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source:
        options = {"movflags": "use_metadata_tags"}
        with av.open(out, "w", format="mov", container_options=options) as target:
            target.metadata.update(metadata)
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    return out.getvalue()


async def test_a_large_video_is_made_to_fit_and_one_with_odd_sides_even(parts: Parts) -> None:
    recipe = msgspec.structs.replace(STANDARD, films=FilmsAsked(mp4=(FilmSpec(width=100, height=60),)))
    assert isinstance(parts.deps.recipes, dict)
    parts.deps.recipes["standard"] = recipe
    media = await done(parts, video("mov", width=162, height=122, sound=False))
    film = play(body(parts, media, "mp4"))
    assert (film.width, film.height) == (78, 60)
    assert (ref(media, "mp4").width, ref(media, "mp4").height) == (78, 60)


@pytest.mark.long  # libswscale's table takes seconds to make
async def test_hdr_becomes_sdr(parts: Parts) -> None:
    told = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    options = {"preset": "ultrafast", "x265-params": told}
    media = await done(parts, video("hevc", sound=False, seconds=0.4, options=options))
    film = play(body(parts, media, "mp4"))
    assert media.exif["hdr"] is True
    assert (film.transfer, film.pixels) == (1, "yuv420p")


async def test_encodings_of_one_video_are_near_duplicates_and_another_video_is_none(parts: Parts) -> None:
    first = await done(parts, video("mp4", width=160, height=120, seed=1))
    second = await done(parts, video("avi", width=96, height=72, seed=1, options={"qscale": "20"}))
    other = await done(parts, video("mp4", width=160, height=120, seed=2))
    assert not first.degenerate
    assert _distance(first, second) <= 5
    assert _distance(first, other) > 10


def _distance(one: MediaProcessed, other: MediaProcessed) -> int:
    assert one.phash is not None
    assert other.phash is not None
    return (int(one.phash, 16) ^ int(other.phash, 16)).bit_count()


async def test_progress_is_told_all_the_time_and_never_goes_back(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = same_picture(20, width=320, height=240)
    event = await event_of(parts, made)
    told: list[Progress] = []
    monkeypatch.setattr("services.processor.videos._TOLD_EVERY", 0.02)
    async with parts.bus.listen(topology.progress(str(event.id))) as messages:
        await process(parts, event)
        await parts.bus.broadcast(topology.progress(str(event.id)), b"end")
        async for message in messages:
            if message.data == b"end":
                break
            progress = decode(message.data)[1]
            assert isinstance(progress, Progress)
            told.append(progress)
    assert [one.percent for one in told] == sorted(one.percent for one in told)
    assert {"wait", "film mp4"} <= {one.stage for one in told}
    gaps = [(b.at - a.at).total_seconds() for a, b in itertools.pairwise(told)]
    assert max(gaps) < 2


async def running(parts: Parts, event: Any) -> "asyncio.Task[None]":
    """A job whose child is at work on a film."""
    task = asyncio.create_task(handlers.process(context(event), parts.deps))
    async with parts.bus.listen(topology.progress(str(event.id))) as messages:
        async for message in messages:
            progress = decode(message.data)[1]
            if isinstance(progress, Progress) and progress.stage != "wait":
                return task
    raise AssertionError


@pytest.fixture(scope="module")
def long_job() -> Video:
    """Seconds of work and more."""
    return same_picture(100, width=960, height=540)


async def test_cancelling_and_deleting_stop_the_child_at_once(parts: Parts, long_job: Video) -> None:
    listening = asyncio.Event()
    reader = asyncio.create_task(cancelling.keep_listening(parts.bus, parts.deps.running, listening))
    await asyncio.sleep(0)
    event = await event_of(parts, long_job)
    task = await running(parts, event)
    async with asyncio.timeout(2):
        await parts.bus.broadcast(topology.cancel(str(event.id)), b"1")
        await task
    assert parts.deps.sandbox.pids == ()
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "cancelled"

    second = await event_of(parts, long_job)
    task = await running(parts, second)
    gone = MediaDeleted(
        id=second.id,
        number=1,
        owner="ann",
        media_type="video",
        key=second.key,
        variants="",
        deleted_at=second.created_at,
    )
    async with asyncio.timeout(2):
        await handlers.erase(context(gone), parts.deps)
        await task
    assert parts.deps.sandbox.pids == ()
    assert parts.variants(second.id) == {}
    listening.set()
    await reader


async def test_what_is_asked_for_again_while_it_is_made_is_made_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.processor.leases._RENEWED", 0.05)
    event = await event_of(parts, same_picture(40, width=320, height=240))
    first = await running(parts, event)
    asked = requested(event, media_type="video", mime_type=event.mime_type, generation=1)
    await process(parts, asked)
    assert not first.done()
    await first
    assert len(await parts.events()) == 1


async def test_a_job_that_was_cancelled_while_it_waited_is_not_begun(parts: Parts) -> None:
    event = await event_of(parts, video("mp4", sound=False))
    await parts.bus.kv(topology.CANCELLED).put(str(event.id), b"1")
    await process(parts, event)
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "cancelled"
    # The next generation is asked for on purpose.
    await process(parts, requested(event, media_type="video", mime_type="video/mp4"))
    assert isinstance((await parts.events())[-1], MediaProcessed)


async def test_what_a_stopped_worker_has_finished_is_not_made_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = FilmsAsked(mp4=(FilmSpec(), FilmSpec(name="tiny", width=32, height=32)))
    assert isinstance(parts.deps.recipes, dict)
    parts.deps.recipes["standard"] = msgspec.structs.replace(STANDARD, films=films)
    event = await event_of(parts, video("mov", sound=False))
    jobs: list[tuple[str, ...]] = []
    run = parts.deps.sandbox.run

    async def watched(job: Job, *rest: Any, **more: Any) -> Any:
        jobs.append(job.there)
        return await run(job, *rest, **more)

    monkeypatch.setattr(parts.deps.sandbox, "run", watched)
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    # As if the worker had died in the second film: it is not in the store.
    await parts.blobs.delete(ref(first, "tiny").key)
    before = parts.blobs.objects[ref(first, "mp4").key]
    await process(parts, event, delivered=2)
    again = (await parts.events())[-1]
    assert isinstance(again, MediaProcessed)
    assert jobs == [(), (films.mp4[0].code,)]
    assert parts.blobs.objects[ref(first, "mp4").key] is before
    assert again.variants == first.variants
    play(body(parts, again, "tiny"))


async def test_a_film_that_was_damaged_in_the_store_is_made_again(parts: Parts) -> None:
    event = await event_of(parts, video("mov", sound=False))
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    whole = body(parts, first, "mp4")
    await parts.blobs.put_bytes(ref(first, "mp4").key, whole[:-9] + b"x" * 9, content_type="video/mp4")
    await process(
        parts, requested(event, media_type="video", mime_type=event.mime_type, variants=first.variants)
    )
    second = (await parts.events())[-1]
    assert isinstance(second, MediaProcessed)
    assert body(parts, second, "mp4") == whole


@pytest.mark.parametrize("share", [0.7])
@pytest.mark.parametrize(
    "kind", ["mp4", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("webm", "avi"))]
)
async def test_a_video_that_was_cut_off_ends_and_says_so(parts: Parts, kind: str, share: float) -> None:
    made = video(kind)
    cut = Video(data=made.data[: int(len(made.data) * share)], mime_type=made.mime_type, mark=0)
    await process(parts, await event_of(parts, cut))
    (found,) = await parts.events()
    if isinstance(found, MediaFailed):
        assert found.code in {"corrupt", "truncated"}
    else:
        assert isinstance(found, MediaProcessed)
        play(body(parts, found, "mp4"))


async def test_a_recording_that_was_cut_and_joined_goes_on_without_a_gap(parts: Parts) -> None:
    begins, later = video("ts", seed=1), video("ts", seed=2)
    joined = Video(data=begins.data + later.data, mime_type=begins.mime_type, mark=0)
    media = await done(parts, joined)
    film = play(body(parts, media, "mp4"))
    assert film.frames >= 49  # the last before the cut may be taken for the beginning of the next
    assert film.video_end == pytest.approx(2, abs=0.1)
    assert media.warnings


async def test_sound_alone_under_the_name_of_a_video_is_ready_with_a_warning(parts: Parts) -> None:
    made = video("mkv")
    out = io.BytesIO()
    with av.open(io.BytesIO(made.data), "r") as source, av.open(out, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    media = await done(parts, Video(data=out.getvalue(), mime_type=made.mime_type, mark=0))
    assert (media.variants, media.width, media.phash) == ((), None, None)
    assert media.duration == pytest.approx(1, abs=0.1)
    assert media.warnings


class Canary:
    """Listens, and counts who comes."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.visits = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                visitor, _ = self.socket.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()

    def close(self) -> None:
        self.socket.close()


def hls(port: int, file: Path) -> bytes:
    return f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXTINF:1,\nfile://{file}\n".encode()


def concat(port: int, file: Path) -> bytes:
    return f"ffconcat version 1.0\nfile {file}\nfile http://127.0.0.1:{port}/a.mp4\n".encode()


def dash(port: int, file: Path) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        f"<BaseURL>http://127.0.0.1:{port}/</BaseURL><AdaptationSet><Representation><BaseURL>file://{file}"
        "</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


def sdp(port: int, file: Path) -> bytes:  # noqa: ARG001 - it names no file
    return f"v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n".encode()


@pytest.mark.parametrize("playlist", [hls, concat, dash, sdp])
async def test_a_playlist_that_calls_itself_a_video_opens_no_file_and_no_socket(
    parts: Parts, tmp_path: Path, playlist: Callable[[int, Path], bytes]
) -> None:
    canary, bait = Canary(), tmp_path / "bait.mp4"
    bait.write_bytes(video("mp4", sound=False).data)
    read_before = bait.stat().st_atime_ns
    data = playlist(canary.port, bait)
    for mime_type in ("video/mp4", "video/mp2t", "video/mpeg", "video/x-matroska"):
        await process(parts, await event_of(parts, Video(data=data, mime_type=mime_type, mark=0)))
        found = (await parts.events())[-1]
        assert isinstance(found, MediaFailed)
        assert found.code in {"corrupt", "truncated"}
    assert canary.visits == 0
    assert bait.stat().st_atime_ns == read_before
    canary.close()


async def test_a_file_of_countless_streams_ends_at_once(parts: Parts) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        streams: list[Any] = [file.add_stream("mpeg4", rate=25) for _ in range(80)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame(16, 16, "yuv420p")
            file.mux([*stream.encode(frame), *stream.encode(None)])
    await process(parts, await event_of(parts, Video(data=out.getvalue(), mime_type="video/mp4", mark=0)))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "unsupported"
    assert "64" in failed.detail


async def test_a_film_longer_than_there_is_room_for_ends_as_failed(parts: Parts) -> None:
    films = msgspec.structs.replace(parts.deps.films, film_bytes=4096)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    await process(parts, await event_of(parts, same_picture(3)))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "output"


@pytest.mark.long
async def test_a_video_that_takes_for_ever_ends_at_its_budget(parts: Parts, long_job: Video) -> None:
    limits = msgspec.structs.replace(LIMITS, cpu_seconds=1)
    films = msgspec.structs.replace(parts.deps.films, limits=limits)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    await process(parts, await event_of(parts, long_job))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "timeout"
