"""What a derived picture must not carry is found in every container, and pixels are never taken for it."""

import io

import pytest
from PIL import Image, PngImagePlugin

from services.catalog.revealing import revealing
from shared.ultra_hdr import Gains, written
from tests.fixtures.pictures import encoded, photo, picture

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'

GAINS = Gains(
    least=(0.0,), most=(2.0,), gamma=(1.0,), offset_sdr=(0.0,), offset_hdr=(0.0,), low=0.0, high=2.0
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
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


def test_exif_behind_fill_bytes_and_between_scans_is_found() -> None:
    whole = photo(64, 48)
    at = whole.index(b"\xff\xe1")
    assert revealing(whole[:at] + b"\xff\xff" + whole[at:]) == ("EXIF",)
    exif = whole[at : at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")]
    plain = encoded(picture(64, 48), "JPEG", progressive=True)
    second = plain.rindex(b"\xff\xda")
    assert plain.index(b"\xff\xda") < second
    assert revealing(plain[:second] + exif + plain[second:]) == ("EXIF",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_photo_behind_the_end_of_a_picture_is_found(kind: str) -> None:
    assert revealing(encoded(picture(64, 48), kind) + photo(64, 48)) == ("data behind the end",)


def test_a_gain_map_of_ours_reveals_nothing_and_what_either_picture_carries_is_found() -> None:
    plain, inner = encoded(picture(64, 48)), encoded(picture(16, 12).convert("L"))
    assert revealing(written(plain, inner, GAINS)) == ()
    assert revealing(written(photo(64, 48), inner, GAINS)) == ("EXIF",)
    assert revealing(written(plain, photo(16, 12), GAINS)) == ("EXIF",)
    assert revealing(written(plain, inner + photo(16, 12), GAINS)) == ("data behind the end",)
    assert revealing(written(plain, inner, GAINS) + photo(16, 12)) == ("XMP", "data behind the end")


def test_comments_and_metadata_of_a_gif_are_found() -> None:
    assert revealing(encoded(picture(64, 48), "GIF", comment=b"by me")) == ("comment",)
    plain = encoded(picture(64, 48), "GIF")
    trailer = plain[:-1] + b"\x21\xff\x0bXMP DataXMP" + b"\x03<x>\x00" + plain[-1:]
    assert revealing(trailer) == ("XMP",)
    frames = [picture(64, 48), picture(64, 48).rotate(90)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], loop=0)
    assert revealing(out.getvalue()) == ()


def test_other_files_and_cut_ones_reveal_nothing_and_break_nothing() -> None:
    assert revealing(b"plain text") == ()
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF"):
        data = encoded(picture(64, 48), kind)
        for length in range(0, len(data), 37):
            assert revealing(data[:length]) == ()
