from pathlib import Path

import pytest

from shared import profiles
from shared.env import Env
from shared.errors import Invalid, SettingsError

GOOD = """
[default]
recipe = "standard"
key = "{uuid}.{ext}"
max_bytes = { image = 10 }
"""


def test_the_shipped_profiles_hold_the_default_of_the_plan() -> None:
    default = profiles.find(profiles.load(Env({})), "default")
    assert default.max_bytes == dict.fromkeys(
        ("image", "video", "audio", "document", "other"), 100 * 1024 * 1024
    )
    assert default.max_pixels == 100_000_000
    assert not default.public
    assert default.key == "{YYYY}/{MM}/{DD}/{uuid}_{name}.{ext}"


def test_an_operator_replaces_one_by_a_file_and_keeps_the_others(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(GOOD)
    found = profiles.load(Env({"TRIPOD_PROFILES": str(file)}))
    assert found["default"].widest == 10
    assert found["persona"].takes("image") == (
        "image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/tiff",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[default", "cannot be used"),
        (GOOD + 'types = ["image/strange"]', "image/strange"),
        (GOOD.replace("{uuid}", "{secret}{uuid}"), "secret"),
        (GOOD.replace("{uuid}.{ext}", "{name}"), "must contain one of {hex}"),
        (GOOD.replace("{uuid}.", "variants/{uuid}."), "not start with"),
        (GOOD + "colour = 1", "cannot be used"),
        (GOOD + 'slots = [{ path = "teams/badge" }]', "'teams/badge'"),
        (GOOD + 'slots = [{ path = "teams/{id}/badge", colour = 1 }]', "cannot be used"),
    ],
)
def test_a_wrong_file_stops_the_start_with_its_fault(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match="rofile") as caught:
        profiles.parse(text.encode(), "the file")
    assert says in caught.value.detail


@pytest.mark.parametrize(
    "claim", ['slots = [{ path = "users/{id}/avatar" }]', 'general = ["*"]', 'general = ["post"]']
)
def test_two_profiles_cannot_have_the_same_address(tmp_path: Path, claim: str) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(GOOD.replace("[default]", "[mine]") + claim)
    with pytest.raises(SettingsError, match=r"'mine'.* both have"):
        profiles.load(Env({"TRIPOD_PROFILES": str(file)}))


def test_who_replaces_a_profile_takes_its_addresses_over(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(GOOD.replace("[default]", "[avatar]") + 'slots = [{ path = "users/{id}/avatar" }]')
    found = profiles.load(Env({"TRIPOD_PROFILES": str(file)}))
    assert [slot.path for slot in found["avatar"].slots] == ["users/{id}/avatar"]
    assert not found["avatar"].single


def test_of_the_entities_api_are_the_profiles_with_addresses_or_general_ones() -> None:
    assert set(profiles.of_entities(profiles.load(Env({})))) == {
        "avatar", "cover", "logo", "photos", "portfolio", "gallery", "post", "entity",
    }  # fmt: skip


def test_an_absent_file_is_named() -> None:
    with pytest.raises(SettingsError, match="TRIPOD_PROFILES"):
        profiles.load(Env({"TRIPOD_PROFILES": "/absent/profiles.toml"}))


def test_an_unknown_profile_is_answered_with_those_there_are() -> None:
    with pytest.raises(Invalid, match="there are avatar, content, cover, default"):
        profiles.find(profiles.load(Env({})), "nope")
