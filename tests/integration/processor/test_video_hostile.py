"""Videos that are damaged or none at all, and files that would like to open others."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from shared.events.messages import MediaFailed
from tests.fixtures.playlists import Canary, concat, dash, hls, sdp
from tests.fixtures.videos import Video, play, video
from tests.integration.processor.films import body, done, event_of
from tests.integration.processor.test_handlers import Parts, process

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def parts(film_parts: Parts) -> Parts:
    return film_parts


@pytest.mark.parametrize(
    "share", [0.8, *(pytest.param(each, marks=pytest.mark.long) for each in (0.5, 0.97))]
)
@pytest.mark.parametrize(
    "kind", ["mp4", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("webm", "mkv", "avi", "mov"))]
)
async def test_a_video_that_was_cut_off_ends_and_says_so(parts: Parts, kind: str, share: float) -> None:
    in_front = {"moov_size": "3072"} if kind in {"mp4", "mov"} else {}
    made = video(kind, container_options=in_front)
    cut = Video(data=made.data[: int(len(made.data) * share)], mime_type=made.mime_type, mark=0)
    media = await done(parts, cut)
    assert any("breaks off" in warning for warning in media.warnings), media.warnings
    play(body(parts, media, "mp4"))


async def test_a_video_that_was_cut_off_before_its_index_fails_as_that(parts: Parts) -> None:
    made = video("mp4")
    cut = Video(data=made.data[: int(len(made.data) * 0.7)], mime_type=made.mime_type, mark=0)
    await process(parts, await event_of(parts, cut))
    (found,) = await parts.events()
    assert isinstance(found, MediaFailed)
    assert found.code in {"corrupt", "truncated"}


@pytest.mark.parametrize(
    ("width", "height", "seconds"),
    [(160, 120, 1), pytest.param(2048, 1152, 0.3, marks=pytest.mark.long)],  # decoded by one, by several
)
async def test_damage_is_guessed_in_the_same_way_each_time_and_told(
    parts: Parts, width: int, height: int, seconds: float
) -> None:
    options = {"preset": "ultrafast", "crf": "20"}
    made = video("mp4", width=width, height=height, seconds=seconds, sound=False, options=options)
    data = bytearray(made.data)
    begin, end = data.index(b"mdat") + 2000, data.index(b"moov") - 200
    for place in range(begin, end, (end - begin) // 200):
        data[place] ^= 0x55
    damaged = Video(data=bytes(data), mime_type=made.mime_type, mark=0)
    first, second = await done(parts, damaged), await done(parts, damaged)
    assert [one.sha256 for one in first.variants] == [one.sha256 for one in second.variants]
    assert first.phash == second.phash
    assert first.warnings == second.warnings
    assert first.warnings
    assert play(body(parts, first, "mp4")).frames


async def test_a_video_that_is_encrypted_is_told_from_one_that_is_damaged(parts: Parts) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "11" * 16, "encryption_kid": "22" * 16}
    await process(parts, await event_of(parts, video("mp4", container_options=key)))
    (failed,) = await parts.events()
    assert isinstance(failed, MediaFailed)
    assert failed.code == "unsupported"
    assert "encrypted" in failed.detail


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
