"""What people may change: limits, merge patch, names."""

from typing import Any

import msgspec
import pytest

from services.catalog.edits import columns, merged
from services.catalog.schemas import MediaPatch
from shared.errors import Invalid

ROW: dict[str, Any] = {
    "description": "old",
    "alt_text": None,
    "caption": None,
    "filename": "a.jpg",
    "mime_type": "image/jpeg",
    "tags": ["x"],
    "metadata": {"a": 1},
    "is_public": False,
    "is_primary": False,
    "sort_order": 0,
    "entity_type": "post",
}


def patch(body: str) -> dict[str, Any]:
    return columns(msgspec.json.decode(body, type=MediaPatch), ROW)


@pytest.mark.parametrize(
    ("target", "change", "result"),
    [  # the examples of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_metadata_is_merged_as_rfc_7396_says(target: Any, change: Any, result: Any) -> None:
    assert merged(target, change) == result


def test_only_what_differs_is_changed() -> None:
    assert patch('{"description": "old", "caption": "new", "tags": ["x", "x"]}') == {"caption": "new"}


def test_null_removes_a_text_and_empties_tags_and_metadata() -> None:
    assert patch('{"description": null, "tags": null, "metadata": null}') == {
        "description": None,
        "tags": [],
        "metadata": {},
    }


@pytest.mark.parametrize(
    "body",
    [
        '{"sort_order": 3000000000}',
        '{"owner": "me"}',
        '{"filename": null}',
    ],
)
def test_a_value_beyond_its_limit_is_not_decoded(body: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        patch(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"description": "a\\u0000b"}', "description"),
        ('{"tags": ["a\\u0000"]}', "tags"),
        ('{"metadata": {"a": {"b": ["x\\u0000"]}}}', "metadata"),
        ('{"metadata": {"a\\u0000": 1}}', "metadata"),
        ('{"metadata": {"b": "%s"}}' % ("x" * 16384), "metadata"),
        ('{"filename": "../x"}', "filename"),
        ('{"filename": ""}', "filename"),
        ('{"filename": "a.html"}', "filename"),
        ('{"filename": "a.png"}', "filename"),
        ('{"filename": "a\\u200bb"}', "filename"),
        ('{"metadata": ' + '{"a":' * 9 + "1" + "}" * 10, "metadata"),
        ('{"metadata": ' + '{"a":' * 900 + "1" + "}" * 901, "metadata"),
        ('{"metadata": {"a": 9223372036854775808}}', "metadata"),
        ('{"metadata": {"a": "\\u0007"}}', "metadata"),
        ('{"caption": "a\\u001bb"}', "caption"),
        ('{"description": "%s"}' % ("x" * 5001), "description"),
        ('{"alt_text": "%s"}' % ("x" * 1001), "alt_text"),
        ('{"caption": "%s"}' % ("x" * 2001), "caption"),
        ('{"tags": ["%s"]}' % ("x" * 65), "tags"),
        ('{"tags": [' + ",".join(f'"{n}"' for n in range(51)) + "]}", "tags"),
        ('{"tags": [" "]}', "tags"),
        ('{"tags": ["a,b"]}', "tags"),
    ],
)
def test_a_refusal_names_its_field(body: str, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        patch(body)
    assert refusal.value.extra["field"] == field


def test_a_backslash_and_u0000_written_out_are_no_nul() -> None:
    assert patch('{"metadata": {"a": "\\\\u0000"}}') == {"metadata": {"a": "\\u0000"}}


def test_the_place_within_an_entity_needs_one() -> None:
    with pytest.raises(Invalid, match="no entity"):
        columns(MediaPatch(is_primary=True), ROW | {"entity_type": None})


def test_a_file_keeps_a_name_that_says_what_it_is_or_nothing() -> None:
    for name in ("b.JPEG", "b", "b.final"):
        assert patch(f'{{"filename": "{name}"}}') == {"filename": name}


def test_metadata_can_be_replaced_instead_of_merged_under_the_same_limits() -> None:
    def replaced(metadata: dict[str, Any] | None) -> dict[str, Any]:
        return columns(MediaPatch(metadata=metadata), ROW, replace_metadata=True)

    assert replaced({"b": None}) == {"metadata": {"b": None}}
    assert replaced({"a": 1}) == {}
    assert replaced(None) == {"metadata": {}}
    for wrong in ({"a": "x" * 17_000}, {"a": "\0"}, {"a": 2**63}):
        with pytest.raises(Invalid):
            replaced(wrong)
