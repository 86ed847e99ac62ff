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


def told(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        profiles.parse(text.encode(), "the file")
    return caught.value.detail


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[default", "cannot be read"),
        ("x = 1", "it is 1, and a profile is a table"),
        (GOOD + GOOD, "twice"),
        ("a = " + "[" * 5000, "cannot be read"),
        (GOOD.replace("default", '""'), "cannot have that name"),
        (GOOD.replace("default", '"a b"'), "cannot have that name"),
        (GOOD.replace("default", '"a\\u202eb"'), "cannot have that name"),
        (GOOD.replace("default", "a" * 65), "cannot have that name"),
        (GOOD + "publik = true", "publik is no field; there are who, attach"),
        (GOOD + 'single = "yes"', "single is 'yes': allowed is true or false"),
        (GOOD + 'attach = "nobody"', "'nobody' is none; there are anyone, owner, owner_or_admin, self"),
        (GOOD + 'who = "admin"', "there are service, signed_in"),
        (GOOD + 'on_entity_delete = "keep"', "there are cascade, detach"),
        (GOOD.replace("recipe", "#"), "the field recipe is missing"),
        (GOOD.replace("standard", "nope"), "no recipe 'nope'; there are content, entity, mediafiles, standard"),
        (GOOD.replace("image = 10", ""), "max_bytes is {}: allowed is a table that names at least one"),
        (GOOD.replace("image = 10", "pictures = 1"), "'pictures' is none; there are audio, document, image"),
        (GOOD.replace("10", "0"), "max_bytes is {'image': 0}: allowed is a whole number of at least 1"),
        (GOOD.replace("10", "-5"), "of at least 1"),
        (GOOD.replace("10", "9223372036854775807"), "of at most 5497558138880"),
        (GOOD + "min_bytes = { image = -1 }", "of at least 0"),
        (GOOD + "min_bytes = { image = 11 }", "min_bytes of image is 11, more than max_bytes, 10"),
        (GOOD + "min_bytes = { video = 1 }", "min_bytes names video"),
        (GOOD + 'keep_failed = ["video"]', "keep_failed names video, which max_bytes does not"),
        (GOOD + "max_pixels = 0", "max_pixels is 0: allowed is a whole number of at least 1"),
        (GOOD + "max_side = -1", "max_side is -1"),
        (GOOD + "max_side = 1.5", "max_side is 1.5: allowed is a whole number"),
        (GOOD + "min_side = 10\nmax_side = 5", "min_side is 10, more than max_side, 5"),
        (GOOD + "min_side = 10\nmax_pixels = 99", "the least is 100"),
        (GOOD + 'types = ["image/strange"]', "'image/strange', which is unknown; there are image/jpeg"),
        (GOOD + 'types = ["image/jpg"]', "written image/jpeg here"),
        (GOOD + 'types = ["video/mp4"]', "max_bytes no video"),
        (GOOD + 'types = ["image/png", "image/png"]', "types has 'image/png' 2 times"),
        (GOOD + "strip_gps = true", "strip_gps can be kept for images of types image/bmp and image/jpeg alone"),
        (GOOD + 'types = ["image/jpeg", "image/heic"]\nstrip_gps = true', "and this takes image/heic"),
        (GOOD + 'entities = ["My Team"]', "'My Team', which can be no type"),
        (GOOD + 'entities = ["team", "team"]', "entities has 'team' 2 times"),
        (GOOD + 'entities = ["team"]\ngeneral = ["club"]', "what hangs on 'club', and entities allows team"),
        (GOOD + 'entities = ["team"]\ngeneral = ["*"]', "what hangs on '*'"),
        (GOOD + 'entities = ["team"]\nslots = [{ path = "clubs/{id}/a" }]', "what hangs on 'club'"),
        (GOOD + 'general = [""]', "general has ''; allowed are 'type/field', 'type' and '*'"),
        (GOOD + 'general = ["a/b/c"]', "'a/b/c'"),
        (GOOD + 'general = ["*/a"]', "'*/a'"),
        (GOOD + 'general = ["team", "team"]', "general has 'team' 2 times"),
        (GOOD + 'slots = [{ path = "teams/badge" }]', "'teams/badge'"),
        (GOOD + 'slots = [{ path = "teams/{id}/badge", colour = 1 }]', "colour is no field; there are path"),
        (GOOD + 'slots = [{ path = "teams/{id}/a", takes = ["file"] }]', "'file' is none; there are alt_text"),
        (GOOD + 'slots = [{ path = "teams/{id}/a" }, { path = "teams/{id}/a" }]', "slots has 'teams/{id}/a' 2 times"),
        (GOOD + 'slots = [{ path = "teams/{id}/a" }, { path = "team/{id}/a" }]', "has 'team/a' 2 times"),
        (GOOD + 'slots = [{ path = "teams/{id}/as" }, { path = "teams/{id}/a" }]', "has 'uploadTeamA' 2 times"),
        (GOOD.replace("{uuid}", "{secret}{uuid}"), "secret"),
    ],
)  # fmt: skip
def test_a_wrong_file_stops_the_start_with_its_fault(text: str, says: str) -> None:
    detail = told(text)
    assert "the file" in detail
    assert says in detail


def test_every_fault_of_every_profile_is_told_at_once() -> None:
    bad = GOOD.replace("standard", "nope").replace("{uuid}", "") + "min_side = 9\nmax_side = 8"
    detail = told(bad + bad.replace("default", "mine"))
    for name in ("default", "mine"):
        for fault in ("there is no recipe", "the key must contain", "min_side is 9"):
            assert f"Profile {name!r} in the file: {fault}" in detail


def test_a_byte_order_mark_is_no_fault() -> None:
    assert set(profiles.parse(b"\xef\xbb\xbf" + GOOD.encode(), "the file")) == {"default"}


def test_a_profile_may_name_the_recipe_of_an_operator_and_no_other(tmp_path: Path) -> None:
    file, recipes = tmp_path / "profiles.toml", tmp_path / "recipes.toml"
    file.write_text(GOOD.replace("standard", "tiny"))
    recipes.write_text('[tiny]\nvariants = [{ name = "dot", width = 8, height = 8 }]')
    both = {"TRIPOD_PROFILES": str(file), "TRIPOD_RECIPES": str(recipes)}
    assert profiles.load(Env(both))["default"].recipe == "tiny"
    with pytest.raises(
        SettingsError, match=r"'default' in .*profiles\.toml: there is no recipe 'tiny'; there are"
    ):
        profiles.load(Env({"TRIPOD_PROFILES": str(file)}))


def test_the_default_cannot_need_an_entity_that_is_told_behind_the_file(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(GOOD.replace("{uuid}", "{entity_id}/{uuid}"))
    with pytest.raises(SettingsError, match="the key of profile 'default' names an entity"):
        profiles.load(Env({"TRIPOD_PROFILES": str(file)}))


def test_whom_everybody_may_hang_media_on_is_named_in_every_shipped_profile() -> None:
    loose = {
        name: profile.entities
        for name, profile in profiles.load(Env({})).items()
        if profile.attach in {"anyone", "self"}
    }
    assert loose == {
        "content": ("content",), "avatar": ("user", "sales_rep"), "cover": ("user",), "entity": ("user",),
    }  # fmt: skip


@pytest.mark.parametrize(
    "claim",
    [
        'slots = [{ path = "users/{id}/avatar" }]',
        'slots = [{ path = "user/{id}/avatar" }]',
        'slots = [{ path = "sales-reps/{id}/pictures", field = "avatar" }]',
        'general = ["*"]',
        'general = ["post"]',
    ],
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
