"""What the operator's program is asked for: numbers on the way to its launcher, arguments behind it."""

import struct

import pytest

from services.processor.program.task import SIZE, Kind, Task, arguments, pack, unpack

PICTURES = Task(number=1, kind=Kind.PICTURES, crf=23, threads=2, matrix=1, primaries=1, transfer=1)


def after(asked: list[str], name: str) -> str:
    return asked[asked.index(name) + 1]


def test_pictures_are_asked_for_with_the_settings_of_our_own_encoder() -> None:
    asked = arguments("/opt/ffmpeg", PICTURES)
    assert asked[0] == "/opt/ffmpeg"
    told = {
        name: after(asked, name) for name in ("-c:v", "-crf", "-preset", "-pix_fmt", "-fps_mode", "-flags")
    }
    assert told == {
        "-c:v": "libx264",
        "-crf": "23",
        "-preset": "medium",
        "-pix_fmt": "yuv420p",
        "-fps_mode": "passthrough",
        "-flags": "+global_header",
    }
    assert asked[asked.index("-c:v") :][asked[asked.index("-c:v") :].index("-threads") + 1] == "2"
    assert after(asked, "-vf") == "setparams=range=tv:colorspace=1:color_primaries=1:color_trc=1"
    assert "-force_key_frames" not in asked


def test_a_film_of_a_ladder_is_cut_at_moments_counted_from_its_beginning() -> None:
    ladder = Task(number=1, kind=Kind.PICTURES, segment=4, longest=101, begins=45_000)
    asked = arguments("/opt/ffmpeg", ladder)
    assert after(asked, "-force_key_frames") == "expr:gte(t+0.500005,n_forced*4)"
    assert (after(asked, "-g"), after(asked, "-sc_threshold"), after(asked, "-forced-idr")) == (
        "101",
        "0",
        "1",
    )


@pytest.mark.parametrize(("kind", "codec"), [(Kind.AAC, "aac"), (Kind.MP3, "libmp3lame")])
def test_sound_is_asked_for_with_the_settings_of_our_own_encoder(kind: Kind, codec: str) -> None:
    asked = arguments("/opt/ffmpeg", Task(number=1, kind=kind, kbits=128, rate=44_100, channels=2))
    told = tuple(after(asked, name) for name in ("-c:a", "-b:a", "-ar", "-ac"))
    assert told == (codec, "128k", "44100", "2")


@pytest.mark.parametrize("kind", [Kind.PICTURES, Kind.AAC, Kind.MP3])
def test_the_program_is_told_of_its_own_pipes_only(kind: Kind) -> None:
    asked = arguments("/opt/ffmpeg", Task(number=1, kind=kind))
    assert after(asked, "-i") == "pipe:0"
    assert asked[-1] == "pipe:1"
    assert after(asked, "-protocol_whitelist") == "pipe"
    assert "-nostdin" in asked


def test_a_task_comes_back_as_it_was_sent() -> None:
    assert unpack(pack(PICTURES)) == PICTURES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pack(PICTURES)[:-1],
        pack(PICTURES) + b"-y",
        struct.pack(f"<{SIZE // 4}I", *([2**32 - 1] * (SIZE // 4))),
        struct.pack(f"<{SIZE // 4}I", 1, 9, *([0] * (SIZE // 4 - 2))),
    ],
)
def test_what_is_no_task_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"task|Kind"):
        unpack(data)
