import mmap

import pytest

from services.processor.cut_short import is_cut_short
from services.processor.failures import JobFailed
from services.processor.frames import Limits
from services.processor.vips import VipsError, verdict
from tests.fixtures.pictures import encoded, picture
from tests.unit.processor.conftest import Derive


def view(data: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return mapped


@pytest.mark.parametrize(
    ("kind", "mime_type"), [("PNG", "image/png"), ("WEBP", "image/webp"), ("GIF", "image/gif")]
)
@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_container_that_promises_more_than_there_is_is_cut_short(
    kind: str, mime_type: str, percent: int
) -> None:
    data = encoded(picture(300, 200), kind)
    assert not is_cut_short(mime_type, view(data))
    assert not is_cut_short(mime_type, view(data + b"trailing bytes"))
    assert is_cut_short(mime_type, view(data[: len(data) * percent // 100]))


def test_a_gif_is_cut_short_wherever_it_ends_within_a_block() -> None:
    frames = [picture(20, 16, seed=seed).quantize(8) for seed in (1, 2, 3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"c" * 300, duration=50)
    assert data[-1:] == b";"
    whole = [end for end in range(6, len(data) + 1) if not is_cut_short("image/gif", view(data[:end]))]
    assert whole[-2:] == [len(data) - 1, len(data)]  # the last byte only says that it is the last
    assert len(whole) < 16  # between blocks nothing shows that others were to come
    for end in whole:
        assert data[end - 1 : end] in {b"\0", b";"} or end == 13 + 3 * 8


@pytest.mark.parametrize(
    ("kind", "mime_type"), [("GIF", "image/gif"), ("WEBP", "image/webp"), ("PNG", "image/png")]
)
@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_an_animation_of_which_pictures_are_missing_is_no_shorter_one(
    derive: Derive, kind: str, mime_type: str, percent: int
) -> None:
    frames = [picture(60, 40, seed=seed) for seed in range(1, 7)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    cut = data[: len(data) * percent // 100]
    with pytest.raises((JobFailed, VipsError)) as caught:
        derive(cut, mime_type)
    if isinstance(caught.value, JobFailed):
        assert caught.value.failure.code == "truncated"
    else:
        assert verdict(str(caught.value), mime_type, view(cut), Limits()).code == "truncated"


@pytest.mark.parametrize("mime_type", ["image/png", "image/webp", "image/jpeg", "image/gif"])
def test_what_is_no_such_file_is_not_called_cut_short(mime_type: str) -> None:
    assert not is_cut_short(mime_type, view(b"just some text"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("VipsJpeg: premature end of JPEG image", "truncated"),
        ("Unexpected end of GIF source data", "truncated"),
        ("unable to copy to memory\n  VipsJpeg: Corrupt JPEG data: bad Huffman code", "corrupt"),
        ("vips_tracked: out of memory -- size == 300MB", "memory"),
        ("heif: Memory allocation error: Security limit exceeded", "corrupt"),
        ("heif: Memory allocation error: Out of memory", "memory"),
        (
            "unable to call jpegsave_buffer\n  glib: Error creating thread: Resource temporarily unavailable",
            "memory",
        ),
        ("tiff2vips: tiled separate planes not supported", "unsupported"),
        ("source: Not a JPEG file", "corrupt"),
    ],
)
def test_the_text_of_a_codec_becomes_a_code(text: str, code: str) -> None:
    failure = verdict(text, "image/jpeg", view(b"x"), Limits())
    assert (failure.code, failure.log) == (code, text)
