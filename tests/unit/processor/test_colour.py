"""Whatever space a file is in, its variants look the same in sRGB. The references are computed from the formulas, or
by Pillow's LittleCMS where a profile is a table."""

import io
import struct
from functools import cache
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from services.processor import symptoms
from services.processor.failures import JobFailed
from services.processor.frames import Result
from services.processor.nclx import nclx_profile
from shared.recipes import Recipe, VariantSpec
from tests.fixtures.colours import ADOBE_RGB, BT_2020, DISPLAY_P3, Array, Space, delta_e_2000, in_srgb, lab
from tests.fixtures.hostile import flipped
from tests.fixtures.pictures import encoded
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import opened

AS_IT_IS = Recipe(name="t", variants=(VariantSpec(name="v", width=1000, height=1000, format="png"),))
SPACES = {space.name: space for space in (ADOBE_RGB, DISPLAY_P3)}


@cache
def patches() -> Array:
    """96 x 64 pixels in 8 x 8 patches: hues, tints and greys, 8 bits."""
    dice = np.random.default_rng(7)
    colours = dice.integers(20, 236, (8, 12, 3))
    colours[0] = np.linspace(5, 250, 12)[:, None]
    return np.asarray(colours.repeat(8, 0).repeat(8, 1), np.uint8)


def shown(result: Result) -> Array:
    return np.asarray(opened(result.variants[0]).convert("RGB"), float) / 255


def difference(result: Result, reference: Array) -> Array:
    return delta_e_2000(lab(shown(result)), lab(reference))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("kind", "mime_type", "options"),
    [
        ("PNG", "image/png", {}),
        ("JPEG", "image/jpeg", {"quality": 97, "subsampling": 0}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("TIFF", "image/tiff", {}),
        ("AVIF", "image/avif", {"quality": 95, "subsampling": "4:4:4"}),
        ("HEIF", "image/heic", {"quality": 95, "chroma": 444}),
    ],
)
def test_a_wide_space_looks_the_same_in_every_format(
    derive: Derive, space: str, kind: str, mime_type: str, options: dict[str, Any]
) -> None:
    data = encoded(Image.fromarray(patches()), kind, icc_profile=SPACES[space].profile(), **options)
    reference = in_srgb(patches() / 255, SPACES[space])
    result = derive(data, mime_type, recipe=AS_IT_IS)
    found = difference(result, reference)
    assert not result.warnings
    assert found.mean() < 1
    # The file would be far off if its profile were left out.
    assert delta_e_2000(lab(patches() / 255), lab(reference)).mean() > 2


def test_transparent_colours_of_a_wide_space_are_converted_and_stay_transparent(derive: Derive) -> None:
    picture = Image.fromarray(patches()).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = encoded(picture, "PNG", icc_profile=ADOBE_RGB.profile())
    result = derive(data, "image/png", recipe=AS_IT_IS)
    assert difference(result, in_srgb(patches() / 255, ADOBE_RGB)).mean() < 1
    alpha = np.asarray(opened(result.variants[0]).getchannel("A"), int)
    assert np.abs(alpha - np.asarray(picture.getchannel("A"), int)).max() <= 1


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("space", [None, ADOBE_RGB], ids=["plain", "wide"])
def test_sixteen_bits_become_the_eight_that_look_the_same(
    derive: Derive, kind: str, space: Space | None
) -> None:
    image = pyvips.Image.new_from_array(patches().astype(np.uint16) * 257).copy(interpretation="rgb16")
    if space is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", space.profile())
    data = image.pngsave_buffer() if kind == "png" else _tiff(image)
    result = derive(data, f"image/{kind}", recipe=AS_IT_IS)
    reference = patches() / 255 if space is None else in_srgb(patches() / 255, space)
    assert difference(result, reference).mean() < 0.5


def _tiff(image: Any) -> bytes:
    pyvips.operation_block_set("VipsForeignSaveTiffBuffer", state=False)
    try:
        return bytes(image.tiffsave_buffer())
    finally:
        pyvips.operation_block_set("VipsForeignSaveTiffBuffer", state=True)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "uint32", "float32"])
@pytest.mark.parametrize("bands", [1, 3])
def test_samples_with_a_sign_or_of_32_bits_are_refused_and_not_white(
    derive: Derive, kind: str, bands: int
) -> None:
    image = pyvips.Image.new_from_array(patches()[:, :, :bands].astype(kind))
    image = image.copy(interpretation="srgb" if bands == 3 else "b-w")
    with pytest.raises(JobFailed) as raised:
        derive(_tiff(image), "image/tiff", recipe=AS_IT_IS)
    assert raised.value.failure.code == "unsupported"
    assert "at most 16 bits" in raised.value.failure.detail


@pytest.mark.parametrize("space", ["lab", "labs"])
def test_lab_of_16_bits_or_floats_looks_the_same(derive: Derive, space: str) -> None:
    image = pyvips.Image.new_from_array(patches()).copy(interpretation="srgb").colourspace(space)
    result = derive(_tiff(image), "image/tiff", recipe=AS_IT_IS)
    assert difference(result, patches() / 255).mean() < 0.5


def test_lab_of_8_bits_is_refused(derive: Derive) -> None:
    data = encoded(Image.fromarray(patches()).convert("LAB"), "TIFF")
    with pytest.raises(Exception, match="labq") as raised:
        derive(data, "image/tiff", recipe=AS_IT_IS)
    assert symptoms.says_unsupported(str(raised.value))


def test_sixteen_bits_of_grey_are_not_cut_off(derive: Derive) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    for kind in ("PNG", "TIFF"):
        result = derive(encoded(Image.fromarray(ramp), kind), f"image/{kind.lower()}", recipe=AS_IT_IS)
        assert np.abs(shown(result)[4, :, 0] * 255 - np.arange(256)).max() <= 1


@cache
def press() -> bytes:
    """The profile of a printing press, as libvips has one."""
    image = pyvips.Image.new_from_array(patches()).copy(interpretation="srgb")
    return bytes(image.icc_export(output_profile="cmyk").get("icc-profile-data"))


@pytest.mark.parametrize("embedded", [True, False], ids=["with its profile", "without a profile"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"quality": 97, "subsampling": 0}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
    ids=["JPEG", "TIFF", "LZW"],
)
def test_ink_looks_as_it_does_on_paper(
    derive: Derive, kind: str, options: dict[str, Any], *, embedded: bool
) -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(press()))
    plain = ImageCms.createProfile("sRGB")
    relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
    black = ImageCms.Flags.BLACKPOINTCOMPENSATION
    ink = ImageCms.profileToProfile(
        Image.fromarray(patches()), plain, profile, relative, outputMode="CMYK", flags=black
    )
    assert ink is not None
    paper = ImageCms.profileToProfile(ink, profile, plain, relative, outputMode="RGB", flags=black)
    assert paper is not None
    data = encoded(ink, kind, **options, **({"icc_profile": press()} if embedded else {}))
    result = derive(data, f"image/{kind.lower()}", recipe=AS_IT_IS)
    assert difference(result, np.asarray(paper) / 255).mean() < 1.5


def ycck(ink: Image.Image) -> bytes:
    """As Adobe's programs write it: luma and chroma of the inverted inks, and inverted black. Pillow inverts all."""
    *three, black = ink.split()
    luma = Image.merge("RGB", three).convert("YCbCr")
    planes = [Image.eval(plane, lambda value: 255 - value) for plane in luma.split()]
    data = bytearray(encoded(Image.merge("CMYK", [*planes, black]), quality=97, subsampling=0))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_both_ways_to_keep_ink_in_a_jpeg_look_the_same(derive: Derive, transform: int) -> None:
    ink = Image.fromarray(patches()).convert("CMYK")
    lossless = derive(encoded(ink, "TIFF"), "image/tiff", recipe=AS_IT_IS)
    if transform == 0:
        data = encoded(ink, quality=97, subsampling=0)
        assert data[data.index(b"Adobe") + 11] == transform
    else:
        data = ycck(ink)
    assert difference(derive(data, recipe=AS_IT_IS), shown(lossless)).mean() < 1.5


def test_a_profile_that_is_noise_is_told_and_the_picture_stays(derive: Derive) -> None:
    data = encoded(Image.fromarray(patches()), "TIFF", icc_profile=b"noise" * 40)
    result = derive(data, "image/tiff", recipe=AS_IT_IS)
    assert np.abs(shown(result) * 255 - patches()).max() <= 1
    assert any("profile" in warning for warning in result.warnings)


def test_the_difference_of_colours_is_that_of_the_published_pairs() -> None:
    pairs = [  # of Sharma, Wu, Dalal: The CIEDE2000 color-difference formula, table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for one, other, expected in pairs:
        assert float(delta_e_2000(np.array(one), np.array(other))) == pytest.approx(expected, abs=1e-4)


def told_by_numbers(kind: str, primaries: int, transfer: int, pixels: Array) -> bytes:
    """A file without a profile; Pillow writes no other numbers into AVIF than those of sRGB."""
    options = {"chroma": 444} if kind == "HEIF" else {"subsampling": "4:4:4"}
    if kind == "HEIF":
        numbers = {"color_primaries": primaries, "transfer_characteristics": transfer}
        return encoded(
            Image.fromarray(pixels),
            kind,
            quality=95,
            matrix_coefficients=6,
            full_range_flag=1,
            **numbers,
            **options,
        )
    whole = encoded(Image.fromarray(pixels), kind, quality=95, **options)
    place = whole.index(b"colrnclx") + 8
    return whole[:place] + struct.pack(">HH", primaries, transfer) + whole[place + 4 :]


NUMBERED = {"HEIF": "image/heic", "AVIF": "image/avif"}


@pytest.mark.parametrize("kind", NUMBERED)
@pytest.mark.parametrize("space", [(12, DISPLAY_P3), (9, BT_2020)], ids=["P3", "BT.2020"])
def test_a_wide_space_that_is_told_by_numbers_looks_the_same(
    derive: Derive, kind: str, space: tuple[int, Space]
) -> None:
    data = told_by_numbers(kind, space[0], 13, patches())
    reference = in_srgb(patches() / 255, space[1])
    result = derive(data, NUMBERED[kind], recipe=AS_IT_IS)
    assert not result.warnings
    assert difference(result, reference).mean() < 1
    assert delta_e_2000(lab(patches() / 255), lab(reference)).mean() > 2
    plain = derive(told_by_numbers(kind, 1, 13, patches()), NUMBERED[kind], recipe=AS_IT_IS)
    assert difference(plain, patches() / 255).mean() < 1, "sRGB is left alone"


@pytest.mark.parametrize("kind", NUMBERED)
def test_a_profile_goes_before_numbers(derive: Derive, kind: str) -> None:
    data = encoded(Image.fromarray(patches()), kind, quality=95, icc_profile=ADOBE_RGB.profile())
    with_profile = derive(data, NUMBERED[kind], recipe=AS_IT_IS)
    if b"colrnclx" in data:
        place = data.index(b"colrnclx") + 8
        data = data[:place] + struct.pack(">HH", 9, 13) + data[place + 4 :]
    assert derive(data, NUMBERED[kind], recipe=AS_IT_IS).variants == with_profile.variants


@pytest.mark.parametrize(
    ("transfer", "paper", "lamp"), [(16, 0.5806, 0.7518), (18, 0.75, 1.0)], ids=["PQ", "HLG"]
)
def test_a_picture_for_bright_displays_is_neither_dull_nor_burnt_out(
    derive: Derive, transfer: int, paper: float, lamp: float
) -> None:
    levels = np.repeat([0.0, paper * 0.7, paper, lamp], 16)[None, :, None] * 255
    pixels = np.broadcast_to(np.round(levels), (32, 64, 3)).astype(np.uint8)
    shades = shown(derive(told_by_numbers("HEIF", 9, transfer, pixels), "image/heic", recipe=AS_IT_IS))
    black, grey, white, light = shades[16, 8::16].mean(-1)
    assert black < 0.02
    assert 0.3 < grey < 0.65
    assert 0.93 < white < 0.98, "what is paper white is nearly white"
    assert light > 0.99


@pytest.mark.parametrize("kind", NUMBERED)
def test_levels_that_are_light_itself_are_shown_as_bright_as_they_are(derive: Derive, kind: str) -> None:
    data = told_by_numbers(kind, 1, 8, np.full((32, 32, 3), 128, np.uint8))
    assert shown(derive(data, NUMBERED[kind], recipe=AS_IT_IS)).mean() * 255 == pytest.approx(188, abs=1)


def test_numbers_in_broken_boxes_are_nothing_and_break_nothing() -> None:
    whole = told_by_numbers("HEIF", 12, 13, patches())
    assert nclx_profile(whole)
    head = whole[: whole.index(b"mdat")]
    for length in range(len(head)):
        nclx_profile(head[:length])
    for seed in range(300):
        nclx_profile(flipped(head, seed))
    assert nclx_profile(head.replace(b"colrnclx", b"colrnope")) == b""
    assert nclx_profile(b"") == b""
    assert nclx_profile(b"\0\0\0\0meta" + b"\0\0\0\x08ipco" * 9999) == b""
