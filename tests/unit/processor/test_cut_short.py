import mmap

import pytest

from services.processor.cut_short import is_cut_short
from services.processor.frames import Limits
from services.processor.vips import verdict
from tests.fixtures.pictures import encoded, picture


def view(data: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return mapped


@pytest.mark.parametrize(("kind", "mime_type"), [("PNG", "image/png"), ("WEBP", "image/webp")])
@pytest.mark.parametrize("percent", [10, 50, 90, 99])
def test_a_container_that_promises_more_than_there_is_is_cut_short(
    kind: str, mime_type: str, percent: int
) -> None:
    data = encoded(picture(300, 200), kind)
    assert not is_cut_short(mime_type, view(data))
    assert not is_cut_short(mime_type, view(data + b"trailing bytes"))
    assert is_cut_short(mime_type, view(data[: len(data) * percent // 100]))


@pytest.mark.parametrize("mime_type", ["image/png", "image/webp", "image/jpeg"])
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
