"""Which picture of a video is shown at a moment."""

import os

import pytest

from services.processor.video_stills import at
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
        shown = [frame.time for _, frame in at(descriptor, mime_type, times, faults, threads=1)]
    finally:
        os.close(descriptor)
    assert [round(time, 1) for time in shown] == [number // 4 / 5 for number in range(20)]
    assert faults == []
