"""Which picture of a video is shown at a moment."""

import io
import os

import av
import pytest

from services.processor.video_stills import are_close, at
from tests.fixtures.videos import video


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [("avi-mjpeg", "video/x-msvideo"), ("flv", "video/x-flv")],
    ids=["timed", "untimed"],
)
def test_several_moments_may_be_those_of_one_picture(kind: str, mime_type: str) -> None:
    descriptor = os.memfd_create("video")
    try:
        os.write(descriptor, video(kind, rate=5, sound=False).data)
        faults: list[str] = []
        times = [number / 20 + 0.01 for number in range(20)]
        shown = [frame.time for _, frame in at(descriptor, mime_type, times, faults, threads=1, whole=False)]
    finally:
        os.close(descriptor)
    assert [round(time, 1) for time in shown] == [number // 4 / 5 for number in range(20)]
    assert faults == []


def test_damage_behind_the_last_moment_is_seen_where_every_picture_is_asked_for() -> None:
    options = {"preset": "veryfast", "crf": "10", "x264-params": "keyint=5:min-keyint=5:scenecut=0"}
    made = video("mp4", sound=False, options=options)
    with av.open(io.BytesIO(made.data), "r") as file:
        last = [packet for packet in file.demux(file.streams.video[0]) if packet.is_keyframe][-1]
    damaged = bytearray(made.data)
    assert last.pos is not None
    for place in range(last.pos + 40, last.pos + last.size, 11):
        damaged[place] ^= 0x55
    descriptor = os.memfd_create("video")
    try:
        os.write(descriptor, damaged)
        for whole in (False, True):
            faults: list[str] = []
            shown = list(at(descriptor, made.mime_type, [0.1], faults, threads=2, whole=whole))
            assert len(shown) == 1
            assert bool(faults) is whole
    finally:
        os.close(descriptor)


def test_every_picture_is_decoded_between_moments_that_are_close() -> None:
    assert are_close([1.0, 4.5, 8.0], 10.0)
    assert not are_close([1.0, 6.0], 8.0)
    assert not are_close([1.0], 6.0)
    assert not are_close([1.0], None)
