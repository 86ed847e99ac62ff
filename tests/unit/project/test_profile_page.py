"""The page for operators names every field of a profile, with the default that it has."""

import re
from pathlib import Path

import msgspec

from shared import profiles
from shared.profiles import Profile
from shared.slots import Slot
from shared.storage.key_templates import FIELDS

TEXT = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text()


def named() -> set[str]:
    rows = re.findall(r"^\| (`[^|]+`) \|", TEXT, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_is_explained_and_none_that_there_is_not() -> None:
    there = set(Profile.__struct_fields__) | set(Slot.__struct_fields__)
    assert named() == there


def test_every_part_of_a_key_is_named() -> None:
    assert {part for part in FIELDS if f"`{{{part}}}`" not in TEXT} == set()


def test_the_printed_profile_is_one() -> None:
    (printed,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    badge = profiles.parse(printed.encode(), "the page")["badge"]
    assert [slot.path for slot in badge.slots] == ["teams/{id}/badge"]


def test_the_defaults_are_those_of_the_code() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `?([\w]+)`? \|", TEXT, re.MULTILINE))
    for field in msgspec.structs.fields(Profile):
        if isinstance(field.default, str | bool | int) and field.name in told:
            assert told[field.name] == str(field.default).lower(), field.name
    assert told["max_pixels"] == "100000000"
