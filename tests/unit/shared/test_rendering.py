from pathlib import Path

import pytest

from shared import presets
from shared.env import Env
from shared.errors import Invalid, SettingsError
from shared.rendering import MOST_SIDE, Options, Rendering, rendering


def made(*, mime_type: str = "image/jpeg", accepts_webp: bool = False, **asked: object) -> Rendering:
    return rendering(Options(**asked), mime_type=mime_type, accepts_webp=accepts_webp)  # type: ignore[arg-type]


def test_auto_is_webp_where_it_is_accepted_and_else_what_everybody_can_show() -> None:
    assert made(w=100, accepts_webp=True).formats == ("webp",)
    assert made(w=100).formats == ("jpeg", "png")


def test_source_is_the_format_of_the_original_where_everybody_can_show_it() -> None:
    assert made(w=100, format="source", mime_type="image/png").format == "png"
    assert made(w=100, format="source", mime_type="image/heic").format == "jpeg"


def test_the_same_picture_asked_for_in_two_ways_is_one() -> None:
    assert made(w=100).hash == made(w=100, fit="inside", q=85, format="auto").hash
    assert made(h=90, fit="square").hash == made(w=90, h=90, fit="square").hash
    assert made(w=100, format="png", q=10).hash == made(w=100, format="png", q=90).hash


def test_whatever_makes_a_difference_makes_another_hash() -> None:
    asked = (
        {"w": 100},
        {"w": 101},
        {"h": 100},
        {"w": 100, "h": 100},
        {"w": 100, "h": 100, "fit": "cover"},
        {"w": 100, "q": 84},
        {"w": 100, "format": "jpeg"},
        {"w": 100, "format": "avif"},
    )
    assert len({made(**each).hash for each in asked}) == len(asked)


def test_a_side_that_is_not_given_does_not_narrow() -> None:
    assert (made(w=100).width, made(w=100).height) == (100, MOST_SIDE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(), "Neither w nor h"),
        (Options(format="webp"), "Neither w nor h"),
        (Options(w=100, fit="cover"), "h is not given"),
        (Options(h=100, fit="cover"), "w is not given"),
        (Options(w=100, h=90, fit="square"), "w is 100 and h is 90"),
        (Options(preset="small", w=100), "stands alone"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_field(options: Options, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        options.check()
    assert caught.value.extra["field"] in {"w", "h"}


def test_every_shipped_preset_can_be_made() -> None:
    found = presets.shipped()
    assert {"thumb", "small", "medium", "large", "xlarge", "card", "social"} <= found.keys()
    for options in found.values():
        assert rendering(options, mime_type="image/jpeg", accepts_webp=True).spec.width <= MOST_SIDE


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid, match="card, large, medium"):
        presets.find(presets.shipped(), "huge")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nw = 0", "w"),
        ("[a]\nw = 5000", "w"),
        ("[a]\nwidth = 5", "width"),
        ('[a]\nfit = "cover"\nw = 5', "h is not given"),
        ('[a]\npreset = "b"', "preset is no field"),
        ('["A b"]\nw = 5', "its name must be"),
        ("a = 5", "cannot be used"),
        ("[a", "cannot be used"),
    ],
)
def test_presets_of_an_operator_with_a_fault_are_refused_with_it(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        presets.parse(text.encode(), "mine.toml")
    assert "mine.toml" in caught.value.detail


def test_presets_of_an_operator_come_on_top_or_in_place_of_one(tmp_path: Path) -> None:
    mine = tmp_path / "presets.toml"
    mine.write_text("[small]\nw = 300\n[hero]\nw = 2000\n")
    found = presets.load(Env({"TRIPOD_PRESETS": str(mine)}))
    assert (found["small"].w, found["hero"].w, found["thumb"].w) == (300, 2000, 150)
    with pytest.raises(SettingsError, match="cannot be read"):
        presets.load(Env({"TRIPOD_PRESETS": str(tmp_path / "none")}))
