"""Sound through the handlers with a real sandbox: what is made of it plays, and is what was asked for."""

import asyncio
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from services.ingest.sniff import sniff
from services.processor import cancelling
from shared.events import topology
from shared.events.messages import MediaFailed, MediaProcessed
from shared.sound_recipes import Sounds, SoundSpec
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.playlists import Canary, concat, dash, hls, sdp
from tests.fixtures.recipes import STANDARD
from tests.fixtures.sounds import KINDS, Sound, beeping, hear, sound
from tests.integration.processor.films import LIMITS, body, ref
from tests.integration.processor.test_handlers import Parts, process, requested, uploaded
from tests.integration.processor.test_video_jobs import running

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROJECT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("TRIPOD_CORPUS", PROJECT.parent / "shared" / "corpus")) / "video-audio"


@pytest_asyncio.fixture(loop_scope="session")
async def parts(film_parts: Parts) -> Parts:
    return film_parts


async def done(parts: Parts, made: Sound, **changes: Any) -> MediaProcessed:
    """What becomes of it, which has to be a success."""
    await process(parts, await event_of(parts, made, **changes))
    found = (await parts.events())[-1]
    assert isinstance(found, MediaProcessed), found
    return found


async def failed(parts: Parts, made: Sound) -> MediaFailed:
    await process(parts, await event_of(parts, made))
    found = (await parts.events())[-1]
    assert isinstance(found, MediaFailed), found
    return found


async def event_of(parts: Parts, made: Sound, **changes: Any) -> Any:
    key = await parts.store(made.data)
    return uploaded(key, media_type="audio", mime_type=made.mime_type, filename="sound", **changes)


async def test_a_sound_ends_as_an_mp3_a_waveform_and_its_cover(parts: Parts) -> None:
    told = {"title": "A \x1b[31mtitle\u202e", "artist": "Somebody", "album": "Something", "comment": "secret"}
    made = sound("flac", metadata=told, cover=encoded(picture(64, 64), "PNG"))
    media = await done(parts, made)
    assert [variant.name for variant in media.variants] == [
        *("mp3", "waveform", "waveform_png", "cover", "thumbnail"),
    ]
    heard = hear(body(parts, media, "mp3"))
    assert (heard.codec, heard.rate, heard.bit_rate, heard.channels) == ("mp3", 44_100, 128_000, 2)
    assert heard.seconds == pytest.approx(1, abs=0.05)
    assert heard.beep == pytest.approx(0.5, abs=0.005)
    assert media.duration == pytest.approx(1, abs=0.05)
    assert (media.width, media.height, media.phash, media.warnings) == (None, None, None, ())
    assert {name: media.exif[name] for name in ("title", "artist", "album")} == {
        "title": "A [31mtitle",
        "artist": "Somebody",
        "album": "Something",
    }
    assert media.exif["audio_codec"] == "flac"
    assert media.exif["loudness"] == pytest.approx(-8, abs=0.5)
    assert media.exif["true_peak"] == pytest.approx(-2, abs=0.3)
    assert media.placeholder
    assert b"Somebody" not in body(parts, media, "mp3")
    with Image.open(io.BytesIO(body(parts, media, "cover"))) as cover:
        assert (cover.format, cover.size) == ("JPEG", (64, 64))
    assert ref(media, "mp3").key.endswith(".mp3")
    assert ref(media, "mp3").mime_type == "audio/mpeg"

    told = msgspec.json.decode(body(parts, media, "waveform"))
    data = np.array(told.pop("data")).reshape(-1, 2)
    assert told == {
        "version": 2,
        "channels": 1,
        "sample_rate": 48_000,
        "samples_per_pixel": 256,
        "bits": 8,
        "length": 188,
    }
    loud = np.nonzero(data[:, 1] > 64)[0]
    assert (loud[0], loud[-1]) == (93, 112)
    assert (data[:, 0].min(), data[:, 1].max()) == (-101, 101)
    with Image.open(io.BytesIO(body(parts, media, "waveform_png"))) as drawn:
        assert (drawn.format, drawn.size, drawn.mode) == ("PNG", (1200, 240), "RGBA")
        pixels = np.asarray(drawn)[:, :, 3]
    assert pixels[:, 660].sum() > 50 * pixels[:, 100].sum()


@pytest.mark.parametrize("layout", ["stereo", pytest.param("mono", marks=pytest.mark.long)])
async def test_an_mp3_that_is_what_is_asked_for_is_kept_frame_by_frame(parts: Parts, layout: str) -> None:
    made = sound(
        "mp3", rate=44_100, kbits=128, layout=layout, metadata={"title": "Mine", "comment": "secret"}
    )
    assert b"secret" in made.data
    media = await done(parts, made)
    kept = body(parts, media, "mp3")
    source, heard = hear(made.data), hear(kept)
    assert heard.frames == source.frames
    assert heard.seconds == source.seconds
    assert kept[:2] == b"\xff\xfb"
    assert b"secret" not in kept
    assert media.exif["title"] == "Mine"


@pytest.mark.long
@pytest.mark.parametrize(("kbits", "rate"), [(64, 44_100), (192, 44_100), (128, 48_000)])
async def test_any_other_mp3_is_encoded(parts: Parts, kbits: int, rate: int) -> None:
    made = sound("mp3", rate=rate, kbits=kbits)
    heard = hear(body(parts, await done(parts, made), "mp3"))
    assert heard.frames != hear(made.data).frames
    assert (heard.rate, heard.bit_rate) == (44_100, 128_000)


@pytest.mark.parametrize(
    "kind",
    ["opus", *(pytest.param(kind, marks=pytest.mark.long) for kind in sorted(KINDS.keys() - {"opus"}))],
)
async def test_a_sound_lasts_as_long_as_before_whatever_the_container(parts: Parts, kind: str) -> None:
    made = sound(kind, metadata={"title": "T", "artist": "A", "album": "B"})
    source, media = hear(made.data), await done(parts, made)
    heard = hear(body(parts, media, "mp3"))
    assert (heard.codec, heard.rate, heard.bit_rate) == ("mp3", 44_100, 128_000)
    assert heard.seconds == pytest.approx(source.seconds, abs=0.05)
    assert media.duration == pytest.approx(source.seconds, abs=0.05)
    assert heard.beep == pytest.approx(source.beep, abs=0.01)
    assert media.warnings == ()
    if kind != "aac":  # which has no place for them
        assert (media.exif["title"], media.exif["artist"], media.exif["album"]) == ("T", "A", "B")


@pytest.mark.parametrize("kind", ["m4a", "wav-adpcm"])
async def test_what_fills_the_last_frame_is_no_sound_where_the_file_says_so(parts: Parts, kind: str) -> None:
    seconds = 1.07
    made = sound(kind, seconds=seconds, rate=8000)
    assert hear(made.data).seconds > seconds + 0.05
    if kind == "wav-adpcm":  # PyAV counts the filling, too
        data = bytearray(made.data)
        struct.pack_into("<L", data, data.index(b"fact") + 8, round(seconds * 8000))
        made = Sound(data=bytes(data), mime_type=made.mime_type)
    media = await done(parts, made)
    assert media.duration == pytest.approx(seconds, abs=0.001)
    assert hear(body(parts, media, "mp3")).seconds == pytest.approx(seconds, abs=0.001)
    assert msgspec.json.decode(body(parts, media, "waveform"))["length"] == -(-seconds * 8000 // 256)


async def test_a_wav_that_was_written_into_a_pipe_is_whole_whatever_it_lasts(parts: Parts) -> None:
    made = bytearray(sound("wav").data)
    for place in (4, made.index(b"data") + 4):
        made[place : place + 4] = b"\xff" * 4
    media = await done(parts, Sound(data=bytes(made), mime_type="audio/wav"))
    assert (media.duration, media.warnings) == (1.0, ())


@pytest.mark.long
async def test_a_wma_that_was_sent_as_it_was_made_is_whole_whatever_it_lasts(parts: Parts) -> None:
    made = bytearray(sound("wma", kbits=96, seconds=3).data)
    made[made.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 88] |= 1
    media = await done(parts, Sound(data=bytes(made), mime_type="audio/x-ms-wma"))
    assert media.duration == pytest.approx(3, abs=0.05)
    assert media.warnings == ()


@pytest.mark.long
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_a_sound_that_was_cut_off_ends_and_says_so(parts: Parts, kind: str, share: float) -> None:
    await cut_off(parts, kind, share)


async def test_an_mp3_that_was_cut_off_ends_and_says_so(parts: Parts) -> None:
    await cut_off(parts, "mp3", 0.7)


async def cut_off(parts: Parts, kind: str, share: float) -> None:
    made = sound(kind, seconds=2)
    data = made.data[: int(len(made.data) * share)]
    await process(parts, await event_of(parts, Sound(data=data, mime_type=made.mime_type)))
    (found,) = await parts.events()
    if isinstance(found, MediaFailed):
        assert found.code in {"corrupt", "truncated"}
    else:
        assert isinstance(found, MediaProcessed)
        assert found.warnings
        assert hear(body(parts, found, "mp3")).seconds == pytest.approx(found.duration, abs=0.05)


@pytest.mark.parametrize(
    "playlist", [hls, *(pytest.param(other, marks=pytest.mark.long) for other in (concat, dash, sdp))]
)
async def test_a_playlist_that_calls_itself_sound_opens_no_file_and_no_socket(
    parts: Parts, tmp_path: Path, playlist: Callable[[int, Path], bytes]
) -> None:
    canary, bait = Canary(), tmp_path / "bait.wav"
    bait.write_bytes(sound("wav").data)
    read_before = bait.stat().st_atime_ns
    data = playlist(canary.port, bait)
    for mime_type in ("audio/mp4", "audio/mpeg", "audio/ogg"):
        found = await failed(parts, Sound(data=data, mime_type=mime_type))
        assert found.code in {"corrupt", "truncated"}
    assert canary.visits == 0
    assert bait.stat().st_atime_ns == read_before
    canary.close()


async def test_a_sound_without_end_ends_at_its_budget(parts: Parts) -> None:
    wave = np.zeros(48_000 * 60, np.float32)
    films = msgspec.structs.replace(parts.deps.films, film_bytes=64 * 1024)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    found = await failed(parts, sound("flac", wave=wave))
    assert found.code == "output"


@pytest.mark.long
async def test_a_sound_that_takes_for_ever_ends_at_its_budget(parts: Parts) -> None:
    limits = msgspec.structs.replace(LIMITS, cpu_seconds=1)
    films = msgspec.structs.replace(parts.deps.films, limits=limits)
    parts.deps = msgspec.structs.replace(parts.deps, films=films)
    found = await failed(parts, sound("flac", wave=np.zeros(48_000 * 600, np.float32)))
    assert found.code == "timeout"


@pytest.mark.long
async def test_what_a_stopped_worker_has_finished_is_not_made_again(parts: Parts) -> None:
    assert isinstance(parts.deps.recipes, dict)
    sounds = Sounds(mp3=(SoundSpec(), SoundSpec(name="small", kbits=64, rate=32_000)))
    parts.deps.recipes["standard"] = msgspec.structs.replace(STANDARD, sounds=sounds)
    event = await event_of(parts, sound("wav"))
    await process(parts, event)
    (first,) = await parts.events()
    assert isinstance(first, MediaProcessed)
    await parts.blobs.delete(ref(first, "small").key)
    before = parts.blobs.objects[ref(first, "mp3").key]
    await process(
        parts, requested(event, media_type="audio", mime_type=event.mime_type, variants=first.variants)
    )
    again = (await parts.events())[-1]
    assert isinstance(again, MediaProcessed)
    assert parts.blobs.objects[ref(first, "mp3").key] is before
    assert again.variants == first.variants
    small = hear(body(parts, again, "small"))
    assert (small.rate, small.bit_rate) == (32_000, 64_000)


async def test_cancelling_stops_the_child_of_a_sound_within_two_seconds(parts: Parts) -> None:
    over = asyncio.Event()
    reader = asyncio.create_task(cancelling.keep_listening(parts.bus, parts.deps.running, over))
    event = await event_of(parts, sound("flac", wave=np.zeros(8000 * 1800, np.float32), rate=8000))
    task = await running(parts, event)
    async with asyncio.timeout(2):
        await parts.bus.broadcast(topology.cancel(str(event.id)), b"1")
        await task
    assert parts.deps.sandbox.pids == ()
    (found,) = await parts.events()
    assert isinstance(found, MediaFailed)
    assert found.code == "cancelled"
    assert parts.variants(event.id) == {}
    over.set()
    await reader


@pytest.mark.long
async def test_samples_beyond_all_bounds_and_no_numbers_become_sound(parts: Parts) -> None:
    wave = beeping(1, 48_000)
    wave[1000:2000:3], wave[5000:6000:7], wave[9000:9100] = np.nan, np.inf, 1e30
    media = await done(parts, sound("wav-float", wave=wave))
    assert hear(body(parts, media, "mp3")).seconds == pytest.approx(1, abs=0.05)


@pytest.mark.long
async def test_an_mp3_that_is_damaged_is_not_kept_but_made_again(parts: Parts) -> None:
    made = sound("mp3", rate=44_100, kbits=128)
    broken = bytearray(made.data)
    for place in range(len(broken) // 2, len(broken) // 2 + 1000):
        if broken[place] != 0xFF and broken[place - 1] != 0xFF and broken[place - 2] != 0xFF:
            broken[place] ^= 0x55
    media = await done(parts, Sound(data=bytes(broken), mime_type=made.mime_type))
    assert hear(body(parts, media, "mp3")).seconds == pytest.approx(media.duration, abs=0.05)


@pytest.mark.long
async def test_a_sound_that_is_encrypted_is_told_from_one_that_is_damaged(parts: Parts) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "11" * 16, "encryption_kid": "22" * 16}
    made = sound("mp4", options=key)
    found = await failed(parts, made)
    assert (found.code, "encrypted" in found.detail) == ("unsupported", True)


async def test_sound_that_nobody_here_decodes_is_told_as_such_and_not_as_damage(parts: Parts) -> None:
    adif = Sound(data=b"ADIF\0>\x80\0\0\1\x98\x80\0\4\0" + bytes(400), mime_type="audio/aac")
    found = await failed(parts, adif)
    assert found.code == "unsupported"
    assert found.detail.startswith("The sound in the file is AAC with an ADIF header (ADTS is read), which")
    wave = np.zeros(4800, np.float32)
    for codec, named in ((0x0061, "adpcm_ima_dk4"), (0x7ABC, "of a codec that nobody here knows")):
        made = bytearray(sound("wav", wave=wave).data)
        place = made.index(b"fmt ") + 8
        made[place : place + 2] = codec.to_bytes(2, "little")
        found = await failed(parts, Sound(data=bytes(made), mime_type="audio/wav"))
        assert (found.code, f"is {named}, which is not decoded" in found.detail) == ("unsupported", True), (
            found
        )


async def test_a_cover_that_is_broken_costs_a_warning_and_nothing_else(parts: Parts) -> None:
    stored = encoded(picture(64, 64), "PNG")
    made = sound("flac", cover=stored)
    place = made.data.index(stored) + 60
    broken = made.data[:place] + bytes(200) + made.data[place + 200 :]
    media = await done(parts, Sound(data=broken, mime_type=made.mime_type))
    assert [variant.name for variant in media.variants] == ["mp3", "waveform", "waveform_png"]
    assert any("cover" in warning for warning in media.warnings)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_every_sound_of_the_corpus_ends_and_what_is_made_of_it_plays(parts: Parts) -> None:
    count = 0
    for path in sorted(CORPUS.glob("*/*")):
        data = path.read_bytes()
        found = sniff(data[:65_536])
        if found.media_type != "audio":
            continue
        count += 1
        await process(parts, await event_of(parts, Sound(data=data, mime_type=found.mime)))
        ended = (await parts.events())[-1]
        if isinstance(ended, MediaFailed):
            assert ended.code in {"corrupt", "truncated", "unsupported"}, path.name
            assert path.suffix != ".wma", path.name  # 1, 2, Pro and Lossless are among them
        else:
            assert isinstance(ended, MediaProcessed)
            heard = hear(body(parts, ended, "mp3"))
            assert heard.rate == 44_100
            assert heard.seconds == pytest.approx(ended.duration, abs=0.05), path.name
    assert count > 100 or not CORPUS.exists()
