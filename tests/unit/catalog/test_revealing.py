"""What a derived picture must not carry is found in every container, and pixels are never taken for it."""

import io

import pytest
from PIL import Image, PngImagePlugin

from services.catalog.revealing import revealing
from tests.fixtures.pictures import encoded, photo, picture

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_plain_picture_reveals_nothing(kind: str) -> None:
    assert revealing(encoded(picture(64, 48), kind)) == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_is_found(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Tripod Works"
    assert revealing(encoded(picture(64, 48), kind, exif=exif.tobytes())) == ("EXIF",)


def test_the_place_in_a_photo_is_found() -> None:
    assert revealing(photo(64, 48)) == ("EXIF",)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_xmp_is_found(kind: str) -> None:
    assert revealing(encoded(picture(64, 48), kind, xmp=XMP)) == ("XMP",)


def test_a_comment_and_text_are_found() -> None:
    assert revealing(encoded(picture(64, 48), "JPEG", comment=b"by me")) == ("comment",)
    text, out = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text("Author", "me")
    picture(64, 48).save(out, "PNG", pnginfo=text)
    assert revealing(out.getvalue()) == ("text",)


def test_other_files_and_cut_ones_reveal_nothing_and_break_nothing() -> None:
    assert revealing(b"plain text") == ()
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        data = encoded(picture(64, 48), kind)
        for length in range(0, len(data), 37):
            assert revealing(data[:length]) == ()
