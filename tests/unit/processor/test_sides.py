"""The sides that a profile asks of a picture, held against what is decoded."""

import io

import pytest
from PIL import Image

from services.processor.failures import JobFailed
from services.processor.frames import Limits
from shared.events.messages import PictureLimits
from tests.fixtures.pictures import encoded, late_jpeg, late_tiff, photo, picture
from tests.unit.processor.conftest import Derive

MIME_TYPES = {
    kind: f"image/{kind.lower()}" for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF")
} | {"HEIF": "image/heic"}


def asked(least: int, most: int, pixels: int = 100_000_000) -> Limits:
    return Limits().within(PictureLimits(min_side=least, max_side=most, max_pixels=pixels))


def refusal(derive: Derive, data: bytes, mime_type: str, limits: Limits) -> str:
    with pytest.raises(JobFailed) as caught:
        derive(data, mime_type, limits=limits)
    assert caught.value.failure.code == "dimensions"
    assert not caught.value.failure.retryable
    return caught.value.failure.detail


@pytest.mark.parametrize(("kind", "mime_type"), MIME_TYPES.items())
def test_each_side_has_the_least_and_the_most_to_the_pixel(derive: Derive, kind: str, mime_type: str) -> None:
    data = encoded(picture(200, 120), kind)
    assert derive(data, mime_type, limits=asked(120, 200)).width == 200
    detail = refusal(derive, data, mime_type, asked(121, 200))
    assert "200 x 120" in detail
    assert "at least 121 and at most 200" in detail
    assert "at most 199" in refusal(derive, data, mime_type, asked(120, 199))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_does_not_matter_which_way_up_a_picture_is_stored(derive: Derive, orientation: int) -> None:
    data = photo(200, 120, orientation=orientation)
    assert {derive(data, limits=asked(120, 200)).width} <= {120, 200}
    for least, most in ((121, 200), (120, 199)):
        assert "200 x 120" in refusal(derive, data, "image/jpeg", asked(least, most))


def test_sides_behind_much_metadata_or_at_the_end_are_held_to_the_limits(derive: Derive) -> None:
    for data, mime_type in (
        (late_jpeg(200, 150), "image/jpeg"),
        (late_jpeg(200, 150, 6), "image/jpeg"),
        (late_tiff(200, 150), "image/tiff"),
    ):
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (200, 150)
        assert derive(data, mime_type, limits=asked(150, 200)).variants
        assert "200 x 150" in refusal(derive, data, mime_type, asked(151, 200))


def test_the_lower_number_of_pixels_holds(derive: Derive) -> None:
    data = encoded(picture(200, 120))
    assert derive(data, limits=asked(1, 1000, pixels=24_000)).width == 200
    assert "at most 0.023999 million" in refusal(derive, data, "image/jpeg", asked(1, 1000, pixels=23_999))
    own = Limits(pixels=23_999).within(PictureLimits(max_pixels=10**9))
    assert refusal(derive, data, "image/jpeg", own)


def test_without_limits_of_a_profile_the_processor_has_its_own() -> None:
    assert Limits(pixels=5).within(None) == Limits(pixels=5)
