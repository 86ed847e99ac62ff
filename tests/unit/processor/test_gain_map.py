"""The gain map of an Ultra HDR photo stays with JPEG variants that show the whole picture, whatever the file says of
it; and the picture is the same with and without."""

import io
import time
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
import pyvips
from PIL import Image

from services.catalog.revealing import revealing
from services.ingest.unplaced import Jpeg
from services.processor.frames import Result, Variant
from shared import ultra_hdr as writing
from shared.recipes import Recipe, VariantSpec
from tests.fixtures.colours import DISPLAY_P3
from tests.fixtures.pictures import GPS_INFO, claiming_sides, encoded, photo, picture
from tests.fixtures.ultra_hdr import NUMBERS, brightness, gain_map, hdrgm, into, iso, listed, ultra_hdr
from tests.unit.processor.conftest import Derive
from tests.unit.processor.test_pipeline import difference, named, opened

HALF = VariantSpec(name="half", width=600, height=600)
ONE = Recipe(name="t", variants=(HALF,))
KEPT = ("small", "medium", "large", "xlarge")


@pytest.fixture
def libultrahdr() -> Iterator[None]:
    """The library that the standard's authors wrote, to judge by; Tripod itself never runs it."""
    needed = ("VipsForeignLoadUhdr", "VipsForeignLoadJpegBuffer")
    for name in needed:
        pyvips.operation_block_set(name, state=False)
    yield
    for name in needed:
        pyvips.operation_block_set(name, state=True)


def apart(variant: Variant) -> tuple[Image.Image, Image.Image]:
    """Picture and gain map."""
    found = writing.taken_apart(variant.body)
    assert found is not None, variant.name
    first, second = (Image.open(io.BytesIO(each)) for each in found)
    return first, second


def plain(derive: Derive, data: bytes, recipe: Recipe = ONE) -> str:
    """The one warning, of a file whose variant has to have no gain map."""
    result = derive(data, recipe=recipe)
    (variant,) = result.variants
    assert variant.spec == HALF.hash
    assert writing.taken_apart(variant.body) is None
    assert revealing(variant.body) == ()
    (warning,) = result.warnings
    assert "without its gain map" in warning
    return warning


def test_variants_that_show_the_whole_picture_keep_the_map_and_others_do_not(derive: Derive) -> None:
    with_map, without = derive(ultra_hdr()), derive(photo(1200, 900))
    assert not with_map.warnings
    for variant in with_map.variants:
        other = named(without, variant.name)
        if variant.name not in KEPT:
            assert variant == other
            continue
        assert variant.spec != other.spec
        found = writing.taken_apart(variant.body)
        assert found is not None
        assert found[0] == other.body, "the picture is not touched, not by one byte"
        assert opened(variant).size == (variant.width, variant.height)
        _, second = apart(variant)
        assert second.size == (variant.width // 4, variant.height // 4)
        assert difference(second.convert("RGB"), brightness(*second.size).convert("RGB")) < 2
    hashes = {"phash", "dhash", "ahash", "colour_hash", "placeholder", "exif", "width", "height"}
    assert all(getattr(with_map, name) == getattr(without, name) for name in hashes)


def test_neither_picture_carries_anything_else(derive: Derive) -> None:
    inner = Image.Exif()
    inner[0x010F] = "SECRET"
    inner.get_ifd(GPS_INFO)[2] = (48.0, 51.0, 29.6)
    second = into(encoded(brightness(300, 225), exif=inner.tobytes(), comment=b"SECRET"), hdrgm(NUMBERS))
    data = ultra_hdr(second=second)
    assert revealing(data)
    for variant in derive(data).variants:
        assert revealing(variant.body) == ()
        for secret in (b"SECRET", b"Tripod Works", b"Exif"):
            assert secret not in variant.body


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_map_is_turned_with_the_picture(derive: Derive, orientation: int) -> None:
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    first, second = picture(400, 300), brightness(100, 75)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = [each if undo is None else each.transpose(undo) for each in (first, second)]
    data = ultra_hdr(encoded(stored[0], exif=exif.tobytes()), gain_map(image=stored[1]))
    shown, gains = apart(derive(data, recipe=ONE).variants[0])
    assert difference(shown, first) < 3
    assert gains.size == (100, 75)
    assert difference(gains.convert("RGB"), second.convert("RGB")) < 2


@pytest.mark.usefixtures("libultrahdr")
def test_the_reference_library_shows_the_same_light(derive: Derive) -> None:
    data = ultra_hdr()
    (variant,) = derive(data, recipe=ONE).variants
    asked, made = (pyvips.Image.uhdrload_buffer(each) for each in (data, variant.body))
    for field in ("gainmap-max-content-boost", "gainmap-gamma", "gainmap-offset-hdr"):
        assert made.get(field) == pytest.approx(asked.get(field), rel=1e-4), field
    reference = asked.resize(0.5).uhdr2scRGB().numpy()
    light = made.uhdr2scRGB().numpy()
    assert reference.max() > 3, "brighter than white"
    assert np.abs(np.log2(light + 0.05) - np.log2(reference + 0.05)).mean() < 0.1


def numbers(result: Result) -> writing.Gains:
    body = result.variants[0].body
    place = body.index(writing.ISO, body.index(b"\xff\xd8\xff", 2)) + len(writing.ISO)
    return writing.read_iso(body[place : place + 150])


def test_the_numbers_of_the_standard_go_before_the_older_ones_and_both_are_read(derive: Derive) -> None:
    gains = writing.Gains(
        least=(-0.5, 0.0, 0.25), most=(2.0, 3.0, 4.0), gamma=(1.0, 0.5, 2.0),
        offset_sdr=(0.015625,) * 3, offset_hdr=(0.0, 0.1, 0.2), low=0.5, high=3.75,
    )  # fmt: skip
    colour = picture(300, 225)
    standard = writing.written(photo(1200, 900), encoded(colour), gains)
    assert numbers(derive(standard, recipe=ONE)) == gains
    _, second = apart(derive(standard, recipe=ONE).variants[0])
    assert second.mode == "RGB"
    items = "".join(f"<rdf:li>{number}</rdf:li>" for number in (1, 2, 3))
    each = f"<hdrgm:GainMapMax><rdf:Seq>{items}</rdf:Seq></hdrgm:GainMapMax>"
    older = ultra_hdr(second=gain_map(300, 225, hdrgm({"HDRCapacityMax": "3"}, each), image=colour))
    found = numbers(derive(older, recipe=ONE))
    assert found.most == (1.0, 2.0, 3.0)
    assert found.offset_sdr[0] == 1 / 64, "what is not said has the standard's value"
    both = ultra_hdr(second=gain_map(300, 225, hdrgm(NUMBERS), iso(standard_numbers(gains))))
    assert numbers(derive(both, recipe=ONE)).high == 3.75
    broken = ultra_hdr(second=gain_map(300, 225, hdrgm(NUMBERS), iso(bytes(20))))
    assert numbers(derive(broken, recipe=ONE)).high == 3.5


def standard_numbers(gains: writing.Gains) -> bytes:
    whole = writing.written(encoded(picture(8, 8)), encoded(picture(8, 8)), gains)
    place = whole.rindex(writing.ISO)
    return whole[place + len(writing.ISO) : place + int.from_bytes(whole[place - 2 : place]) - 2]


@pytest.mark.parametrize(
    "data",
    [
        ultra_hdr(order="<"),
        ultra_hdr(claims=False),
        into(photo(1200, 900), hdrgm({})) + gain_map(),
        into(photo(1200, 900), hdrgm({})) + bytes(300) + gain_map(),
        into(photo(1200, 900), hdrgm({}), listed((9, 0), (9, 99), (9, 2**32 - 1))) + gain_map(),
        into(photo(1200, 900), hdrgm({})) + encoded(picture(90, 60)) + gain_map() + b"\0\0\0\x18ftypmp42" + bytes(999),
    ],
    ids=["little endian", "list alone", "no list", "zeros between", "wrong places", "preview before, film behind"],
)  # fmt: skip
def test_the_map_is_found_however_it_is_told(derive: Derive, data: bytes) -> None:
    result = derive(data, recipe=ONE)
    assert not result.warnings
    assert apart(result.variants[0])[1].size == (150, 112)


def test_a_recipe_may_leave_the_map_out_and_the_key_is_that_of_a_picture_without(derive: Derive) -> None:
    left_out = msgspec.structs.replace(HALF, gain_map=False)
    result = derive(ultra_hdr(), recipe=Recipe(name="t", variants=(left_out,)))
    assert not result.warnings
    assert result.variants == derive(photo(1200, 900), recipe=ONE).variants


def test_of_two_variants_one_may_leave_the_map_out(derive: Derive) -> None:
    left_out = msgspec.structs.replace(HALF, name="plain", gain_map=False)
    result = derive(ultra_hdr(), recipe=Recipe(name="t", variants=(HALF, left_out)))
    with_map, plain = result.variants
    assert writing.taken_apart(with_map.body) is not None
    assert writing.taken_apart(plain.body) is None
    assert plain.spec == left_out.resolved("image/jpeg").hash


def test_where_the_picture_is_converted_the_map_stays(derive: Derive) -> None:
    first = encoded(picture(1200, 900), icc_profile=DISPLAY_P3.profile())
    result = derive(ultra_hdr(first), recipe=ONE)
    assert not result.warnings
    assert apart(result.variants[0])[1].size == (150, 112)


def test_an_original_without_its_place_keeps_its_map(derive: Derive) -> None:
    jpeg = Jpeg()
    data = jpeg.feed(ultra_hdr()) + jpeg.end()
    assert derive(data, recipe=ONE).variants == derive(ultra_hdr(), recipe=ONE).variants


def test_a_picture_of_one_pixel_has_a_map_of_one(derive: Derive) -> None:
    result = derive(ultra_hdr(encoded(picture(1, 1)), gain_map(1, 1)), recipe=ONE)
    assert apart(result.variants[0])[1].size == (1, 1)


def changed(**told: str) -> bytes:
    return ultra_hdr(second=gain_map(300, 225, hdrgm(NUMBERS | told)))


SELF = into(photo(1200, 900), hdrgm(NUMBERS), listed((9, 0), (9, 2), (9, 4)))
HOSTILE = {
    "nothing behind": into(photo(1200, 900), hdrgm({})),
    "a list of itself": SELF,
    "cut in the middle": ultra_hdr()[:-4000],
    "cut in its head": ultra_hdr()[: -len(gain_map()) + 700],
    "a gigapixel": ultra_hdr(second=claiming_sides(gain_map(), 60_000, 60_000)),
    "larger than the picture": ultra_hdr(photo(200, 150)),
    "another shape": ultra_hdr(second=gain_map(225, 300)),
    "ink": ultra_hdr(second=into(encoded(picture(300, 225).convert("CMYK")), hdrgm(NUMBERS))),
    "no sides": ultra_hdr(second=claiming_sides(gain_map(), 0, 0)),
    "no number": changed(GainMapMax="much"),
    "not a number": changed(GainMapMax="nan"),
    "endless": changed(HDRCapacityMax="inf"),
    "too bright": changed(GainMapMax="1e9"),
    "no gamma": changed(Gamma="0"),
    "upside down": changed(GainMapMin="4"),
    "no headroom": changed(HDRCapacityMax="0"),
    "headroom that rounding takes": changed(HDRCapacityMin="0", HDRCapacityMax="1e-7"),
    "missing": ultra_hdr(second=gain_map(300, 225, hdrgm({"GainMapMax": "3"}))),
    "bright picture": changed(BaseRenditionIsHDR="True"),
    "no XML": ultra_hdr(second=gain_map(300, 225, hdrgm(NUMBERS, "<a>"))),
    "entities": ultra_hdr(second=gain_map(300, 225, hdrgm(NUMBERS).replace(b"<x:xmpmeta", b"<!DOCTYPE "))),
    "divided by zero": ultra_hdr(second=gain_map(300, 225, iso(b"\0\0\0\0\x40" + bytes(56)))),
    "other colours": ultra_hdr(second=gain_map(300, 225, iso(b"\0\0\0\0\0" + b"\0\0\0\1" * 14))),
    "later standard": ultra_hdr(second=gain_map(300, 225, iso(b"\0\1\0\1\x40" + b"\0\0\0\1" * 14))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_map_that_is_broken_or_lies_costs_a_warning_and_not_the_picture(derive: Derive, name: str) -> None:
    started = time.process_time()
    plain(derive, HOSTILE[name])
    assert time.process_time() - started < 1


def test_a_list_of_pictures_without_a_gain_map_is_not_worth_a_word(derive: Derive) -> None:
    first = photo(1200, 900)
    other = into(first, listed((0, 0), (0, len(first)))) + photo(1200, 900)
    result = derive(other, recipe=ONE)
    assert not result.warnings
    assert result.variants == derive(first, recipe=ONE).variants
