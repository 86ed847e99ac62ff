"""What may be said of a media is one set of rules: an upload and a change are refused with the same words."""

from typing import Any

import msgspec
import pytest

from shared.errors import Invalid
from shared.fields import check_metadata, check_tags, check_text


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"a": 1}
    for _ in range(depth - 1):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (nested(9), "8 levels"),
        (nested(900), "8 levels"),
        ({"a": 2**63}, "64 bits"),
        ({"a": [-(2**63) - 1]}, "64 bits"),
        ({"a\x1b": 1}, "U\\+001B"),
        ({"a": "x" * 16384}, "16384"),
    ],
)
def test_metadata_that_cannot_be_kept_is_refused(metadata: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words) as refusal:
        check_metadata(metadata)
    assert refusal.value.extra["field"] == "metadata"


def test_metadata_within_its_limits_comes_back_as_it_was() -> None:
    for metadata in (nested(8), {"a": [2**63 - 1, -(2**63), True, None, "ü\n"]}, {}):
        assert check_metadata(metadata) == metadata
    assert len(msgspec.json.encode(check_metadata({"a": "x" * (16384 - 8)}))) == 16384


def test_a_text_loses_the_blanks_around_it_and_an_empty_one_is_none() -> None:
    assert check_text("caption", " a\tb\n") == "a\tb"
    assert check_text("caption", "  ") is None
    assert check_text("alt_text", "x" * 1000) == "x" * 1000
    with pytest.raises(Invalid, match="alt_text has 1001 characters; at most 1000"):
        check_text("alt_text", "x" * 1001)
    with pytest.raises(Invalid, match="U\\+007F"):
        check_text("alt_text", "\x7f")


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["a,b"], "comma"),
        ([" "], "empty"),
        (["x" * 65], "65 characters; at most 64"),
        (["a\0"], "U\\+0000"),
        ([str(n) for n in range(51)], "51 tags; at most 50"),
    ],
)
def test_a_tag_that_could_not_be_told_from_others_is_refused(tags: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        check_tags(tags)


def test_each_tag_is_kept_once_in_the_order_given() -> None:
    assert check_tags(["b", " a ", "b"]) == ("b", "a")
