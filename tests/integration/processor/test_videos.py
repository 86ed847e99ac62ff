"""Videos through the handlers with a real sandbox: what is made of them plays, and is what was asked for."""

import io
import re
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import pytest
from PIL import Image

from services.processor.video_check import LONGEST_WHOLE, plays
from shared.events.messages import MediaProcessed
from shared.film_recipes import Films as FilmsAsked
from shared.film_recipes import FilmSpec
from tests.fixtures import videos
from tests.fixtures.recipes import STANDARD
from tests.fixtures.videos import KINDS, Video, play, video
from tests.integration.processor.films import body, done, event_of, ref
from tests.integration.processor.test_handlers import Parts, process

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def parts(film_parts: Parts) -> Parts:
    return film_parts


async def test_a_video_ends_as_a_film_a_poster_and_a_storyboard(parts: Parts) -> None:
    made = video("mov", width=160, height=90, seconds=3, rate=10)
    media = await done(parts, made)
    assert [variant.name for variant in media.variants] == [
        *("mp4", "poster", "thumbnail", "storyboard", "storyboard_vtt"),
    ]
    film = play(body(parts, media, "mp4"))
    assert (film.codec, film.pixels, film.audio_codec) == ("h264", "yuv420p", "aac")
    assert (film.width, film.height, film.frames) == (160, 90, 30)
    assert media.duration == pytest.approx(3, abs=0.05)
    assert film.video_end == pytest.approx(3, abs=0.05)
    assert (media.width, media.height) == (160, 90)
    assert media.bitrate is not None
    assert media.exif["video_codec"] == "prores"
    assert (media.exif["frame_rate"], media.exif["hdr"], media.exif["rotation"]) == (10, False, 0)
    assert media.exif["audio_tracks"] == [{"codec": "pcm_s16le", "channels": 2, "sample_rate": 48000}]
    assert media.phash
    assert media.placeholder
    with Image.open(io.BytesIO(body(parts, media, "poster"))) as poster:
        assert poster.size == (160, 90)
    with Image.open(io.BytesIO(body(parts, media, "storyboard"))) as sheet:
        assert sheet.size == (2 * 160, 90)
    cues = body(parts, media, "storyboard_vtt").decode()
    assert cues.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.5")
    assert cues.count("#xywh=") == 2
    index = body(parts, media, "mp4")
    assert index.find(b"moov") < index.find(b"mdat")


@pytest.mark.parametrize("kind", ["webm"])
async def test_picture_and_sound_stay_together_whatever_the_container(parts: Parts, kind: str) -> None:
    film = await held(parts, kind)
    # Several threads have encoded it, and have cut no picture into slices for that.
    assert [_slices(picture) for picture in _packets(film, "mp4")] == [1] * 25


def _slices(picture: bytes) -> int:
    """How many there are in a picture of H.264 in MP4: each unit stands behind its length (ISO/IEC 14496-15, 5.3.3)."""
    place, count = 0, 0
    while place < len(picture):
        count += picture[place + 4] & 31 in {1, 5}
        place += 4 + int.from_bytes(picture[place : place + 4])
    return count


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"webm"}))
async def test_the_same_of_every_other_container_and_codec(parts: Parts, kind: str) -> None:
    await held(parts, kind)


async def held(parts: Parts, kind: str) -> bytes:
    """The film that was made of such a one."""
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
    return body(parts, media, "mp4")


async def test_a_film_that_is_one_already_is_copied_packet_by_packet(parts: Parts) -> None:
    made = video("flv-h264", options={"preset": "veryfast", "bf": "2"})
    media = await done(parts, made)
    assert _packets(made.data, "flv") == _packets(body(parts, media, "mp4"), "mp4")


async def test_the_sound_of_an_mp4_is_copied_with_what_its_encoder_put_before_it(parts: Parts) -> None:
    made = video("mp4", options={"preset": "veryfast", "bf": "2"})
    with av.open(io.BytesIO(made.data), "r") as file:
        first = next(iter(file.demux(file.streams.audio[0])))
        assert first.is_discard
    copied = body(parts, await done(parts, made), "mp4")
    for track in ("video", "audio"):
        assert _packets(made.data, "mp4", track) == _packets(copied, "mp4", track)
    source, film = play(made.data), play(copied)
    assert (film.flash, film.beep) == pytest.approx((source.flash, source.beep), abs=0.001)
    assert film.audio_end == source.audio_end
    # What was made here is not made anew.
    again = body(parts, await done(parts, Video(data=copied, mime_type="video/mp4", mark=0)), "mp4")
    assert again == copied


@pytest.mark.long
async def test_sound_of_few_samples_a_second_lasts_no_longer_than_its_pictures(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "RATE", 8000)
    made = video("3gp", seconds=1.04)
    with av.open(io.BytesIO(made.data), "r") as file:
        assert file.duration == 1_040_000
        heard = sum(frame.samples for frame in file.decode(audio=0))
        assert heard > 1.1 * 8000
    media = await done(parts, made)
    film = play(body(parts, media, "mp4"))
    assert media.duration == pytest.approx(1.04, abs=0.03)
    assert film.audio_end == pytest.approx(1.04, abs=0.03)


async def test_sound_that_was_cut_away_by_an_edit_list_is_not_in_the_film(parts: Parts) -> None:
    made, out = video("mp4"), io.BytesIO()
    with av.open(io.BytesIO(made.data), "r") as source, av.open(out, "w", format="mp4") as target:
        tracks = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                cut = round(Fraction(1, 4) / packet.time_base)
                packet.pts, packet.dts = packet.pts - cut, packet.dts - cut
                packet.stream = tracks[packet.stream.index]
                target.mux(packet)
    film = body(parts, await done(parts, Video(data=out.getvalue(), mime_type="video/mp4", mark=0)), "mp4")
    with av.open(io.BytesIO(film), "r", options={"ignore_editlist": "1"}) as file:
        (sound,) = file.streams.audio
        assert sound.duration is not None
        assert float(sound.duration * (sound.time_base or 0)) == pytest.approx(0.75, abs=0.07)


@pytest.mark.long
async def test_matroska_is_copied_too_though_it_does_not_say_when_to_decode(parts: Parts) -> None:
    made = video("mkv", options={"preset": "veryfast", "bf": "2"})
    media = await done(parts, made)
    copied = body(parts, media, "mp4")
    assert _packets(made.data, "matroska") == _packets(copied, "mp4")
    assert play(copied).audio_codec == "aac"  # it was FLAC


@pytest.mark.parametrize("open_group", [False, True])
async def test_of_a_long_copied_film_every_picture_that_needs_no_other_is_decoded(
    tmp_path: Path, *, open_group: bool
) -> None:
    told = f"open-gop={int(open_group)}:keyint=5:min-keyint=5:scenecut=0"
    made = video("mp4", options={"preset": "veryfast", "crf": "10", "bf": "2", "x264-params": told})
    with av.open(io.BytesIO(made.data), "r") as file:
        stored = [packet for packet in file.demux(file.streams.video[0]) if packet.size]
    last = [packet for packet in stored if packet.is_keyframe][-1]
    damaged = bytearray(made.data)
    assert last.pos is not None
    for place in range(last.pos + 40, last.pos + last.size, 11):
        damaged[place] ^= 0x55
    for data, whole in ((made.data, True), (bytes(damaged), False)):
        film = tmp_path / "film"
        film.write_bytes(data)
        with film.open("rb") as opened:
            assert plays(opened.fileno(), LONGEST_WHOLE + 1, threads=2) is whole


def _packets(data: bytes, container: str, track: str = "video") -> list[bytes]:
    """A track as it is stored, which no encoder would hit again."""
    with av.open(io.BytesIO(data), "r", format=container) as file:
        stream = next(stream for stream in file.streams if stream.type == track)
        return [bytes(packet) for packet in file.demux(stream) if packet.size]


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
        f"{rung.name}_playlist.m3u8?v={rung.hash}" for rung in rungs
    ]
    assert "RESOLUTION=128x72" in master[3]
    assert re.search(r',CODECS="avc1\.64[0-9a-f]{4},mp4a\.40\.2"$', master[3])
    assert media.duration == pytest.approx(9, abs=0.05)
    lengths, source = [], play(made.data)
    for rung in rungs:
        film, text = body(parts, media, rung.name), body(parts, media, f"{rung.name}_playlist").decode()
        played = play(film)
        assert played.frames == 90
        # At ten pictures a second, what is decoded before it is shown would be seen at once.
        assert played.flash == pytest.approx(source.flash, abs=0.04)
        assert played.beep == pytest.approx(source.beep, abs=0.04)
        assert played.video_end == pytest.approx(9, abs=0.01)
        lengths.append(re.findall(r"#EXTINF:([\d.]+),", text))
        assert f"{rung.name}.mp4?v={rung.hash}" in text
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
    first = await done(parts, video("mp4", width=96, height=72, rate=16, seed=1))
    second = await done(parts, video("avi", width=64, height=48, seed=1, options={"qscale": "20"}))
    other = await done(parts, video("mp4", width=96, height=72, rate=16, seed=2))
    assert not first.degenerate
    assert _distance(first, second) <= 5
    assert _distance(first, other) > 10


def _distance(one: MediaProcessed, other: MediaProcessed) -> int:
    assert one.phash is not None
    assert other.phash is not None
    return (int(one.phash, 16) ^ int(other.phash, 16)).bit_count()
