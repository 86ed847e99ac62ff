"""Which profiles need no transform: by what they say of colours, whatever they call themselves."""

import struct

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from services.processor.srgb import is_srgb
from shared.recipes import Recipe, VariantSpec
from tests.fixtures.colours import ADOBE_RGB, DISPLAY_P3, SRGB, Space
from tests.fixtures.pictures import encoded
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import opened

CALLED_SRGB = "sRGB IEC61966-2.1"


def of_pillow() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def of_vips(name: str) -> bytes:
    plain = pyvips.Image.new_from_array(np.zeros((8, 8, 3), np.uint8)).copy(interpretation="srgb")
    return bytes(plain.icc_transform(name, input_profile="srgb").get("icc-profile-data"))


def offset_of(profile: bytes, tag: bytes) -> int:
    at = profile.index(tag, 128)
    return int(struct.unpack_from(">I", profile, at + 4)[0])


def swapped(profile: bytes) -> bytes:
    """Red and blue exchanged; the name stays."""
    changed = bytearray(profile)
    red, blue = offset_of(profile, b"rXYZ"), offset_of(profile, b"bXYZ")
    changed[red : red + 20], changed[blue : blue + 20] = profile[blue : blue + 20], profile[red : red + 20]
    return bytes(changed)


def with_curve(profile: bytes, *numbers: float) -> bytes:
    """The formula of all three channels in a profile where they share one."""
    changed = bytearray(profile)
    at = offset_of(profile, b"rTRC") + 12
    changed[at : at + 20] = struct.pack(">5i", *(round(n * 65536) for n in numbers))
    return bytes(changed)


@pytest.mark.parametrize(
    "profile",
    [
        of_pillow(),
        of_vips("srgb"),
        SRGB.profile(),
        Space(  # as HP and Microsoft wrote it in 1998
            name=CALLED_SRGB,
            primaries=((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
        ).profile(),
        with_curve(of_pillow(), 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    ],
    ids=["LittleCMS", "libvips", "a table", "1998", "rounded otherwise"],
)
def test_profiles_of_srgb_are_known_by_their_numbers(profile: bytes) -> None:
    assert is_srgb(profile)


@pytest.mark.parametrize(
    "profile",
    [
        swapped(of_pillow()),
        Space(name=CALLED_SRGB, primaries=ADOBE_RGB.primaries).profile(),
        Space(name=CALLED_SRGB, primaries=DISPLAY_P3.primaries).profile(),
        Space(name=CALLED_SRGB, primaries=SRGB.primaries, gamma=2.2).profile(),
        Space(name=CALLED_SRGB, primaries=SRGB.primaries, gamma=1.0).profile(),
        with_curve(of_pillow(), 1.8, 1.0, 0.0, 1.0, 0.0),
        SRGB.profile().replace(b"wtpt", b"A2B0", 1),
        of_vips("p3"),
        of_vips("cmyk"),
        SRGB.profile()[:140],
        b"",
    ],
    ids=[
        *(
            "exchanged",
            "Adobe RGB",
            "P3",
            "gamma 2.2",
            "linear",
            "another formula",
            "tables",
            "P3 by libvips",
        ),
        *("ink", "cut short", "empty"),
    ],
)
def test_profiles_of_other_spaces_are_not_srgb_even_where_they_say_so(profile: bytes) -> None:
    assert not is_srgb(profile)


@given(st.binary(max_size=60), st.integers(0, 600))
def test_a_damaged_profile_never_raises(noise: bytes, at: int) -> None:
    profile = of_pillow()
    assert is_srgb(profile[:at] + noise + profile[at + len(noise) :]) in {True, False}


def test_a_profile_that_only_calls_itself_srgb_is_applied(derive: Derive) -> None:
    red = Image.new("RGB", (64, 64), (255, 0, 0))
    recipe = Recipe(name="t", variants=(VariantSpec(name="v", width=64, height=64, format="png"),))
    result = derive(encoded(red, "PNG", icc_profile=swapped(of_pillow())), "image/png", recipe=recipe)
    assert opened(result.variants[0]).convert("RGB").getpixel((32, 32)) == (0, 0, 255)
    assert not result.warnings
