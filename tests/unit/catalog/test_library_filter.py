"""Filters of the media library that cannot be answered: the refusal names the place, the value and what is allowed."""

from typing import Any

import msgspec
import pytest

from services.catalog.dialects.library_filter import LibraryQuery, read
from shared.errors import Invalid

YES = True


def one(field: str, operator: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, **({"value": value[0]} if value else {})}


def nested(depth: int) -> Any:
    condition: Any = one("id", "eq", 1)
    for _ in range(depth):
        condition = {"conditions": [condition]}
    return condition


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"conditions": [one("owner", "eq", "x")]}, "conditions[0].field", "id, filename, file_size"),
    ({"conditions": [one("sha256", "eq", "x")]}, "conditions[0].field", "sha256"),
    ({"conditions": [one("id; --", "eq", 1)]}, "conditions[0].field", "id; --"),
    ({"conditions": [one("id", "contains", 1)]}, "conditions[0].operator", "id has eq, ne, in"),
    ({"conditions": [one("file_type", "gt", "image")]}, "conditions[0].operator", "file_type has eq"),
    ({"conditions": [{"field": "id", "operator": ["eq"], "value": 1}]}, "conditions[0].operator", '["eq"]'),
    ({"conditions": [one("id", "eq", 1), one("id", "eq", "one")]}, "conditions[1].value", "takes a whole number"),
    ({"conditions": [one("id", "eq", YES)]}, "conditions[0].value", "true"),
    ({"conditions": [one("id", "eq", 10**30)]}, "conditions[0].value", "63 bits"),
    ({"conditions": [one("id", "gt", None)]}, "conditions[0].value", "null"),
    ({"conditions": [one("id", "gt")]}, "conditions[0].value", "null"),
    ({"conditions": [one("id", "in", list(range(201)))]}, "conditions[0].value", "1 to 200 values"),
    ({"conditions": [one("id", "in", [])]}, "conditions[0].value", "1 to 200 values"),
    ({"conditions": [one("id", "between", 3)]}, "conditions[0].value", "a list of 2 values"),
    ({"conditions": [one("file_type", "eq", "smell")]}, "conditions[0].value", "image, video, audio"),
    ({"conditions": [one("is_public", "eq", "true")]}, "conditions[0].value", "true or false"),
    ({"conditions": [one("created_at", "gt", "yesterday")]}, "conditions[0].value", "takes a time"),
    ({"conditions": [one("filename", "eq", "a\0b")]}, "conditions[0].value", "without NUL"),
    ({"conditions": [one("filename", "icontains", "x" * 1001)]}, "conditions[0].value", "1000 characters"),
    ({"conditions": [one("filename", "eq", {"$ne": 1})]}, "conditions[0].value", "takes a text"),
    ({"conditions": [3]}, "conditions[0]", "an object of field"),
    ({"conditions": [{"conditions": {}}]}, "conditions[0].conditions", "a list of conditions"),
    ({"conditions": [{"conditions": [], "operator": "xor"}]}, "conditions[0].operator", "and, or or"),
    ({"conditions": [nested(8)]}, "conditions[0]" + ".conditions[0]" * 7 + ".conditions", "8 deep"),
    ({"conditions": [one("id", "ne", 1)] * 10_000}, "conditions[100]", "at most 100"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "place", "text"), REFUSED)
def test_what_cannot_be_answered_is_refused_with_its_place_and_what_is_allowed(
    query: dict[str, Any], place: str, text: str
) -> None:
    with pytest.raises(Invalid) as caught:
        read(msgspec.convert(query, LibraryQuery))
    assert caught.value.extra["field"] == place
    assert text in caught.value.detail


def test_seven_groups_in_each_other_and_a_hundred_conditions_are_read() -> None:
    read(LibraryQuery(conditions=[nested(7)]))
    read(LibraryQuery(conditions=[one("id", "ne", 1)] * 100))
