"""The parts of the audio pipeline: meter, peaks, tags, frames of MP3, recipes."""

import re

import av
import msgspec
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from services.processor.audio_loudness import Loudness
from services.processor.audio_mp3 import frame_of, is_frame
from services.processor.audio_steady import FORMAT
from services.processor.audio_tags import tags
from services.processor.audio_waveform import Peaks
from shared.sound_recipes import Sounds, SoundSpec, Waveform, parse
from tests.fixtures.sounds import tone

RATE = 48_000


def loudness(wave: NDArray[np.float32], layout: str = "stereo") -> dict[str, float]:
    channels = {"mono": 1, "stereo": 2}[layout]
    meter = Loudness(RATE, layout)
    for begin in range(0, len(wave), RATE):
        part = np.repeat(wave[begin : begin + RATE], channels)[None]
        frame = AudioFrame.from_ndarray(part, format=FORMAT, layout=layout)
        frame.sample_rate, frame.pts = RATE, begin
        meter.take(frame)
    meter.take(None)
    return meter.fields()


@pytest.mark.parametrize("decibels", [-23.0, pytest.param(-33.0, marks=pytest.mark.long)])
def test_a_stereo_tone_is_as_loud_as_ebu_tech_3341_says(decibels: float) -> None:
    found = loudness(tone(3, RATE, decibels=decibels))
    assert found["loudness"] == pytest.approx(decibels, abs=0.1)
    assert found["true_peak"] == pytest.approx(decibels, abs=0.25)  # told to a thousandth of full scale
    assert "loudness_range" not in found  # there is none of so short a sound


@pytest.mark.long
def test_quiet_parts_do_not_count_as_the_gate_of_ebu_tech_3341_says() -> None:
    quiet, loud = tone(10, RATE, decibels=-36), tone(60, RATE, decibels=-23)
    found = loudness(np.concatenate([quiet, loud, quiet]))
    assert found["loudness"] == pytest.approx(-23, abs=0.1)
    steps = np.concatenate([tone(20, RATE, decibels=-20), tone(20, RATE, decibels=-30)] * 2)
    assert loudness(steps)["loudness_range"] == pytest.approx(10, abs=1)  # EBU Tech 3342, first signal


def test_the_figures_are_those_that_ffmpeg_prints() -> None:
    wave = np.concatenate([tone(1, RATE, decibels=-30), tone(2, RATE, frequency=60, decibels=-8)])
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as said:
            found = loudness(wave)
    finally:
        av.logging.set_level(None)
    printed = "".join(text for _, _, text in said)
    for name, word in (("loudness", r"I:\s+(-?[\d.]+) LUFS"), ("true_peak", r"Peak:\s+(-?[\d.]+) dBFS")):
        (figure,) = re.findall(word, printed)
        assert found[name] == pytest.approx(float(figure), abs=0.11)


def test_silence_has_no_loudness() -> None:
    assert loudness(np.zeros(RATE, np.float32)) == {}


@pytest.mark.parametrize("step", [100, 1024])
def test_peaks_are_the_lowest_and_highest_of_their_spans(step: int) -> None:
    wave = np.random.default_rng(1).uniform(-1, 1, (10_000, 2)).astype(np.float32)
    peaks = Peaks(Waveform(samples_per_pixel=64, most=10_000))
    for begin in range(0, len(wave), step):
        peaks.take(wave[begin : begin + step])
    peaks.end()
    mixed = wave.mean(axis=1)
    spans = [mixed[begin : begin + 64] for begin in range(0, len(mixed), 64)]
    expected = [(int(span.min() * 128), int(span.max() * 128)) for span in spans]
    assert peaks.levels().tolist() == [list(pair) for pair in expected]


@pytest.mark.parametrize("samples", [1000, 4096, 9_999])
def test_of_a_long_sound_spans_become_longer_and_not_more(samples: int) -> None:
    wave = np.random.default_rng(2).uniform(-1, 1, (samples, 1)).astype(np.float32)
    peaks = Peaks(Waveform(samples_per_pixel=4, most=16))
    for begin in range(0, samples, 37):
        peaks.take(wave[begin : begin + 37])
    peaks.end()
    levels, length = peaks.levels(), peaks.samples_per_pixel
    assert len(levels) == -(-samples // length)
    assert 8 <= len(levels) <= 17
    spans = [wave[begin : begin + length, 0] for begin in range(0, samples, length)]
    assert levels.tolist() == [[int(span.min() * 128), int(span.max() * 128)] for span in spans]


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_cut() -> None:
    peaks = Peaks(Waveform(samples_per_pixel=2))
    peaks.take(np.array([[np.nan], [np.inf], [-np.inf], [3.0]], np.float32))
    peaks.end()
    assert peaks.levels().tolist() == [[0, 127], [-128, 127]]


class _Told(msgspec.Struct):
    metadata: dict[str, str]


class _Streams(msgspec.Struct):
    audio: list[_Told]


class _Container(msgspec.Struct):
    metadata: dict[str, str]
    streams: _Streams


def test_tags_are_bounded_lines_of_printable_characters_in_whatever_encoding() -> None:
    latin = b"Se\xf1or".decode("utf-8", "surrogateescape")
    container = _Container(
        metadata={"TITLE": latin, "artist": "a\x00b\u202ec\n" + "d" * 999, "album": "", "date": "2004-05"},
        streams=_Streams(audio=[_Told(metadata={"ALBUM": "of the stream", "title": "not this"})]),
    )
    found = tags(container)  # type: ignore[arg-type]
    assert found["title"] == "Se\xf1or"
    assert found["artist"].startswith("a b c d")
    assert len(found["artist"]) == 255
    assert (found["album"], found["released"]) == ("of the stream", "2004-05")


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("fffb9064", (128, 44_100, 417)),
        ("fffb9264", (128, 44_100, 418)),
        ("fffae0c4", (320, 44_100, 1044)),
        ("fffb9464", (128, 48_000, 384)),
        ("fff15080", None),  # AAC
        ("fffbf064", None),
        ("54414700", None),
        ("ff", None),
    ],
)
def test_the_head_of_a_frame_says_how_long_it_is(head: str, found: tuple[int, int, int] | None) -> None:
    assert frame_of(bytes.fromhex(head)) == found
    assert is_frame(bytes.fromhex(head)) == (head[:3] == "fff")


def test_the_hashes_of_sounds_never_change() -> None:
    assert (SoundSpec().hash, SoundSpec(name="small", kbits=64).hash, Waveform().hash) == HASHES


HASHES = ("08e15b55", "37de46ff", "1c8fe59f")


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"mp3": [{"kbits": 100}]}, "kbits of MP3 'mp3' is 100; allowed is one of 32, 40"),
        ({"mp3": [{"rate": 22_050}]}, "rate of MP3 'mp3' is 22050; allowed is one of 32000, 44100, 48000"),
        ({"mp3": [{"speed": 1}]}, "unknown field `speed`"),
        ({"mp3": [{"name": f"a{n}"} for n in range(9)]}, "there are 9 MP3s; at most 8"),
        ({"waveform": {"most": 1}}, "most of the waveform is 1; allowed is 16 to 262144"),
        (
            {"waveform": {"colour": [1, 2, 300]}},
            "colour of the waveform is .1, 2, 300.; allowed is three of 0 to 255",
        ),
    ],
)
def test_sounds_that_cannot_be_made_are_refused_with_the_reason(table: object, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(table)


def test_a_recipe_may_ask_for_no_sound_at_all() -> None:
    assert parse({"mp3": [], "waveform": None}) == Sounds(mp3=(), waveform=None)
