"""The options of an upload: what is understood, and what is refused by name."""

import json

import pytest

from services.ingest.fields import parse
from shared.errors import Invalid
from shared.events.messages import EntityLink


def one(**fields: str) -> dict[str, list[str]]:
    return {name: [value] for name, value in fields.items()}


def test_all_fields_are_understood() -> None:
    options = parse(
        {
            **one(
                profile="tiny",
                entity_type="post",
                entity_id="42",
                entity_field="photos",
                description="one\ntwo",
                alt_text=" a cat ",
                caption="Köln",
                metadata='{"a": [1, {"b": null}]}',
                is_public="Yes",
                is_primary="1",
                sort_order="-3",
                on_duplicate="allow",
            ),
            "tags": ["sea, sun", "sun", " sand ", ""],
        }
    )
    assert options.profile == "tiny"
    assert options.entity == EntityLink(type="post", id="42", field="photos", is_primary=True, sort_order=-3)
    assert (options.description, options.alt_text, options.caption) == ("one\ntwo", "a cat", "Köln")
    assert options.tags == ("sea", "sun", "sand")
    assert options.metadata == {"a": [1, {"b": None}]}
    assert options.is_public is True


def test_nothing_or_empty_values_are_the_defaults() -> None:
    assert parse({}) == parse(one(caption="", tags="", is_public=" ", entity_type="", sort_order=""))


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (one(colour="red"), ["'colour'", "caption"]),
        ({"caption": ["a", "b"]}, ["'caption'", "2 times"]),
        (one(entity_type="post"), ["entity_id"]),
        (one(entity_id="1"), ["entity_type"]),
        (one(is_primary="true"), ["is_primary", "entity_type"]),
        (one(entity_type="Post!", entity_id="1"), ["Post!"]),
        (one(entity_type="post", entity_id="x" * 256), ["255"]),
        (one(entity_type="post", entity_id="1", entity_field="a b"), ["entity_field"]),
        (one(description="x" * 5001), ["5001", "5000"]),
        (one(alt_text="x" * 1001), ["1000"]),
        (one(caption="x" * 2001), ["2000"]),
        (one(caption="a\0b"), ["caption", "U+0000"]),
        (one(tags=",".join(map(str, range(51)))), ["51", "50"]),
        (one(tags="x" * 65), ["64"]),
        (one(metadata="{not json"), ["metadata", "JSON"]),
        (one(metadata="[1]"), ["an array"]),
        (one(metadata='"a"'), ["a text"]),
        (one(metadata="null"), ["null"]),
        (one(metadata="7"), ["a number"]),
        (one(metadata=json.dumps({"a": "x" * 17_000})), ["16384"]),
        (one(metadata=nested(9)), ["8 levels"]),
        (one(metadata="[" * 8000), ["metadata"]),
        (one(metadata='{"a\\u0000": 1}'), ["U+0000"]),
        (one(metadata='{"a": ["\\u0001"]}'), ["U+0001"]),
        (one(metadata='{"a": 99999999999999999999}'), ["64 bits"]),
        (one(metadata='{"a": NaN}'), ["JSON"]),
        (one(metadata='{"a": 1e999}'), ["metadata"]),
        (one(metadata='{"a": "\\ud800"}'), ["metadata"]),
        (one(is_public="perhaps"), ["'perhaps'", "true"]),
        (one(entity_type="a", entity_id="b", sort_order="first"), ["'first'"]),
        (one(entity_type="a", entity_id="b", sort_order="9999999999"), ["2147483647"]),
        (one(on_duplicate="never"), ["'never'", "allow, reject, reuse"]),
    ],
)
def test_what_is_wrong_with_a_field_is_told(fields: dict[str, list[str]], words: list[str]) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(fields)
    for word in words:
        assert word in refusal.value.detail


def test_metadata_within_its_limits_is_kept() -> None:
    assert parse(one(metadata=nested(8))).metadata
    assert parse(one(metadata='{"n": 9223372036854775807, "f": 1.5}')).metadata["n"] == 2**63 - 1


def test_fields_that_go_together_may_come_apart_while_more_can_follow() -> None:
    assert parse(one(entity_type="post"), complete=False).entity is None
    with pytest.raises(Invalid):
        parse(one(is_public="perhaps"), complete=False)


def test_a_raw_upload_is_told_where_its_file_belongs() -> None:
    with pytest.raises(Invalid) as refusal:
        parse(one(file="x"), body_is_file=True)
    assert "there are profile" in refusal.value.detail
    assert refusal.value.detail.endswith("the file is the body.")
    with pytest.raises(Invalid, match="there are file, profile"):
        parse(one(colour="x"))
