"""Animations that keep moving: pictures, order, times, repeats, and what happens to those that are too long."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from services.processor import moving
from services.processor.frames import Result
from services.processor.moving import Budget, budget, thinned
from shared.recipes import Recipe, VariantSpec
from shared.rendering import Options, rendering
from tests.fixtures.colours import ADOBE_RGB, in_srgb
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.recipes import STANDARD
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import named, opened

LOSSLESS = {"lossless": True, "quality": 50}
KINDS = [("GIF", "image/gif", {}), ("WEBP", "image/webp", LOSSLESS)]


def recipe(**changes: Any) -> Recipe:
    fields: dict[str, Any] = {"width": 64, "height": 64, "format": "webp", "quality": 95, "moving": True}
    return Recipe(name="t", variants=(VariantSpec(name="v", **fields | changes),))


def wave(count: int, size: tuple[int, int] = (128, 96)) -> list[Image.Image]:
    """Plain pictures, each lighter than the one before."""
    levels = np.linspace(30, 230, count).round().astype(int)
    return [Image.new("RGB", size, (level, 255 - level, 90)) for level in levels.tolist()]


def animation(frames: list[Image.Image], kind: str, **options: Any) -> bytes:
    first, *others = frames
    return encoded(first, kind, save_all=True, append_images=others, **options)


def pictures(result: Result) -> list[tuple[Image.Image, int]]:
    """The frames of the one variant, each with the milliseconds for which it is shown."""
    found = opened(result.variants[0])
    assert found.size == (result.variants[0].width, result.variants[0].height)
    return [(frame.convert("RGBA"), frame.info["duration"]) for frame in ImageSequence.Iterator(found)]


def test_the_webp_variant_of_the_standard_recipe_moves_and_the_others_show_the_first_picture(
    derive: Derive,
) -> None:
    frames = [picture(200, 150, seed=seed) for seed in (1, 2, 3)]
    result = derive(animation(frames, "GIF", duration=80), "image/gif")
    counts = {v.name: getattr(opened(v), "n_frames", 1) for v in result.variants}
    assert counts == {spec.name: 3 if spec.name == "webp" else 1 for spec in STANDARD.variants}
    webp = named(result, "webp")
    assert webp.spec == STANDARD.variants[-1].resolved("image/gif", animated=True).hash


@pytest.mark.parametrize(("kind", "mime_type", "options"), KINDS)
def test_every_picture_stays_in_its_place_for_its_time(
    derive: Derive, kind: str, mime_type: str, options: dict[str, Any]
) -> None:
    frames, times = wave(9), [40, 50, 60, 70, 80, 90, 100, 110, 120]
    data = animation(frames, kind, duration=times, loop=5, **options)
    result = derive(data, mime_type, recipe=recipe())
    made = pictures(result)
    assert [time for _, time in made] == times
    for (frame, _), original in zip(made, frames, strict=True):
        assert frame.size == (64, 48)
        off = np.array(frame.getpixel((30, 20))[:3]) - np.array(original.getpixel((0, 0)))  # type: ignore[index]
        assert np.abs(off).max() <= 8
    # A GIF says how often it repeats after the first time, a WebP how often it is shown.
    assert opened(result.variants[0]).info["loop"] == (6 if kind == "GIF" else 5)


@pytest.mark.parametrize(("kind", "mime_type", "options"), KINDS)
def test_what_repeats_for_ever_goes_on_to(
    derive: Derive, kind: str, mime_type: str, options: dict[str, Any]
) -> None:
    data = animation(wave(3), kind, duration=50, loop=0, **options)
    assert opened(derive(data, mime_type, recipe=recipe()).variants[0]).info["loop"] == 0


def test_transparency_moves_too_and_is_filled_where_the_recipe_says_so(derive: Derive) -> None:
    frames = [Image.new("RGBA", (80, 60), (200, 0, 0, 255)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((0, 0, 0, 0), (0, 0, 20 + 10 * number, 60))
    data = animation(frames, "WEBP", duration=50, **LOSSLESS)
    made = pictures(derive(data, "image/webp", recipe=recipe()))
    assert [frame.getpixel((28, 20))[3] for frame, _ in made] == [255, 255, 0]  # type: ignore[index]
    flat = pictures(derive(data, "image/webp", recipe=recipe(flatten=True, background=(0, 0, 255))))
    for (frame, _), hidden in zip(flat, (False, False, True), strict=True):
        wanted = (0, 0, 255, 255) if hidden else (200, 0, 0, 255)
        assert np.abs(np.array(frame.getpixel((28, 20))) - wanted).max() <= 12


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_animation_is_turned_upright_picture_by_picture(derive: Derive, orientation: int) -> None:
    frames = [Image.new("RGB", (80, 60), "navy") for _ in range(2)]
    for frame in frames:
        frame.paste("yellow", (0, 0, 20, 15))  # top left
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = animation([frame.transpose(turn) for frame in frames], "WEBP", exif=exif.tobytes(), **LOSSLESS)
    result = derive(data, "image/webp", recipe=recipe())
    assert (result.width, result.height) == (80, 60)
    for frame, _ in pictures(result):
        assert frame.size == (64, 48)
        assert frame.getpixel((4, 4))[:2] > (200, 200)  # type: ignore[index]
        assert frame.getpixel((60, 44))[:2] < (60, 60)  # type: ignore[index]


def test_every_picture_is_cropped_at_the_same_place(derive: Derive) -> None:
    frames = []
    for x in (90, 20, 94):  # what draws attention wanders; the frame must not
        frame = Image.new("RGB", (128, 48), (40, 90, 60))
        frame.paste((250, 60, 40), (x, 12, x + 24, 36))
        frames.append(frame)
    data = animation(frames, "WEBP", duration=50, **LOSSLESS)
    made = pictures(derive(data, "image/webp", recipe=recipe(width=48, height=48, fit="square")))
    starts = [int(np.argmax(np.asarray(frame)[24, :, 0] > 150)) for frame, _ in made]
    reds = [int((np.asarray(frame)[24, :, 0] > 150).sum()) for frame, _ in made]
    assert [frame.size for frame, _ in made] == [(48, 48)] * 3
    assert reds[0] == pytest.approx(24, abs=2)
    assert starts[0] > 0
    assert reds[1] == 0  # it is outside of the crop now
    assert starts[2] == starts[0] + 4


def test_a_wide_space_moves_in_the_right_colours(derive: Derive) -> None:
    frames = wave(3)
    data = animation(frames, "WEBP", duration=50, icc_profile=ADOBE_RGB.profile(), **LOSSLESS)
    for (frame, _), original in zip(
        pictures(derive(data, "image/webp", recipe=recipe())), frames, strict=True
    ):
        expected = in_srgb(np.array(original.getpixel((0, 0))) / 255, ADOBE_RGB) * 255
        assert np.abs(np.array(frame.getpixel((20, 20))[:3]) - expected).max() <= 8  # type: ignore[index]


def test_of_too_many_pictures_every_nth_stays_and_the_whole_takes_as_long(
    derive: Derive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOST_KEPT", 4)
    frames = wave(10)
    result = derive(animation(frames, "GIF", duration=50), "image/gif", recipe=recipe())
    made = pictures(result)
    assert [time for _, time in made] == [150, 150, 150, 50]
    reds = [frame.getpixel((20, 20))[0] for frame, _ in made]  # type: ignore[index]
    expected = [frames[place].getpixel((0, 0))[0] for place in (0, 3, 6, 9)]  # type: ignore[index]
    assert reds == pytest.approx(expected, abs=8)
    assert not result.warnings


def test_what_lies_behind_the_pixels_that_are_affordable_is_cut_off_and_told(
    derive: Derive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOST_READ_PIXELS", 128 * 96 * 4)
    result = derive(animation(wave(10), "GIF", duration=50), "image/gif", recipe=recipe())
    assert len(pictures(result)) == 4
    assert any("first 4" in warning for warning in result.warnings)


def test_pictures_that_are_too_large_to_move_stand_still(
    derive: Derive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "LARGEST", 10_000)
    result = derive(animation(wave(3), "GIF", duration=50), "image/gif", recipe=recipe())
    assert getattr(opened(result.variants[0]), "n_frames", 1) == 1
    assert "at most 0.01 million" in " ".join(result.warnings)
    assert "too long" not in " ".join(result.warnings)


@pytest.mark.parametrize(
    ("many", "pixels", "kept", "expected"),
    [
        (10, 10_000, 10_000, Budget(read=10, step=1)),
        (300, 10_000, 10_000, Budget(read=300, step=1)),
        (301, 10_000, 10_000, Budget(read=301, step=2)),
        (900, 10_000, 10_000, Budget(read=900, step=3)),
        (100_000, 1, 1, Budget(read=10_000, step=34)),
        (100, 1_000_000, 1_000_000, Budget(read=100, step=2)),
        (1000, 1_000_000, 100_000, Budget(read=500, step=2)),
        (9, 16_000_000, 400_000, Budget(read=9, step=1)),
        (9, 16_000_001, 400_000, Budget(read=1, step=1)),
    ],
)
def test_the_budget_bounds_what_is_read_and_what_is_kept(
    many: int, pixels: int, kept: int, expected: Budget
) -> None:
    found = budget(many, pixels=pixels, kept_pixels=kept)
    assert found == expected
    stays = -(-found.read // found.step)
    assert stays <= 300
    assert stays * kept <= 60_000_000
    assert found.read * pixels <= 500_000_000


def test_no_time_is_lost_when_pictures_are() -> None:
    for step in (1, 2, 3, 7, 50):
        assert sum(thinned(list(range(10, 60)), step)) == sum(range(10, 60))
    assert all(a <= b for a, b in pairwise(thinned(list(range(10, 60)), 5)))


def test_a_moving_variant_tells_nothing_of_its_file(derive: Derive) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Tripod Works"
    data = animation(wave(3), "WEBP", exif=exif.tobytes(), xmp=b"<x>SECRET</x>", **LOSSLESS)
    assert b"SECRET" in data
    body = derive(data, "image/webp", recipe=recipe()).variants[0].body
    assert not {"exif", "xmp", "icc_profile"} & set(Image.open(io.BytesIO(body)).info)
    assert b"Tripod Works" not in body
    assert b"SECRET" not in body


def test_of_an_animation_made_on_request_fewer_pixels_are_read(
    derive: Derive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOST_READ_PIXELS_ON_REQUEST", 4 * 128 * 96)
    data = animation(wave(6), "GIF", duration=100)
    asked = rendering(Options(w=64), mime_type="image/gif", accepts_webp=True)
    made = derive(data, "image/gif", Recipe(name="r", variants=(asked.spec,)), rendering=asked)
    assert len(pictures(made)) == 4
    assert len(pictures(derive(data, "image/gif", recipe()))) == 6
