"""What a video's container claims of its length, beside what is there."""

import os
from collections.abc import Callable, Iterator

import pytest

from services.processor.video_whole import is_cut
from tests.fixtures.videos import Video, video

KINDS: dict[str, dict[str, str]] = {
    "mp4": {"moov_size": "2048"},
    "mov": {"moov_size": "2048"},
    "hevc": {"movflags": "frag_keyframe+empty_moov"},
    "mkv": {},
    "webm": {},
    "avi": {},
    "wmv": {},
    "flv": {},
}


@pytest.fixture
def descriptor() -> Iterator[Callable[[bytes], int]]:
    """A file of these bytes."""
    made: list[int] = []

    def filled(data: bytes) -> int:
        made.append(os.memfd_create("video"))
        os.write(made[-1], data)
        return made[-1]

    yield filled
    for each in made:
        os.close(each)


def small(kind: str, **options: str) -> Video:
    return video(kind, width=32, height=32, seconds=0.4, rate=10, container_options=options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_cut_is_told_from_a_whole_one(kind: str, descriptor: Callable[[bytes], int]) -> None:
    made = small(kind, **KINDS[kind])
    assert not is_cut(descriptor(made.data), made.mime_type)
    for share in (0.5, 0.8, 0.95):
        assert is_cut(descriptor(made.data[: int(len(made.data) * share)]), made.mime_type), share


def test_what_is_behind_a_whole_file_does_not_count(descriptor: Callable[[bytes], int]) -> None:
    for kind in ("mp4", "avi", "mkv"):
        made = small(kind)
        assert not is_cut(descriptor(made.data + b"\x7fjunk and more of it"), made.mime_type), kind


def test_what_tells_no_length_is_not_called_cut(descriptor: Callable[[bytes], int]) -> None:
    for made in (small("mkv", live="1"), small("ts"), small("mpg")):
        assert not is_cut(descriptor(made.data[:-100]), made.mime_type)
    for mime_type in ("video/mp4", "video/x-msvideo", "video/webm", "video/x-ms-wmv", "video/x-flv"):
        for data in (b"", b"RIFF", b"\x18\x53\x80\x67\x00", b"\x00" * 64, b"\xff" * 64):
            assert not is_cut(descriptor(data), mime_type), (mime_type, data)
