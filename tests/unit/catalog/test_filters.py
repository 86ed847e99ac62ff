"""Filters that make no sense are refused, in words for the one who wrote them."""

from typing import Any

import pytest

from services.catalog.filters.language import Condition, read
from shared.errors import Invalid


def field(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("asked", "place", "says"),
    [
        ({}, "filter", "{field, operator, value}"),
        ({"and": []}, "filter.and", "one filter or more"),
        ({"or": {"field": "size"}}, "filter.or", "a list"),
        ({"and": [{"not": []}]}, "filter.and[0].not", "is []"),
        (field("key", "eq", 1), "filter.field", '"key"; there are id, number'),
        (field("size", "ilike", "1"), "filter.operator", "size has eq, ne"),
        (field("size", "gt", "1"), "filter.value", "a whole number"),
        (field("size", "gt", value=True), "filter.value", "a whole number"),
        (field("duration", "eq", "x"), "filter.value", "a finite number"),
        (field("width", "between", [1]), "filter.value", "a list of 2 values"),
        (field("status", "eq", "done"), "filter.value", "takes uploading, processing, ready, failed"),
        (field("caption", "eq", "a\0"), "filter.value", "without NUL"),
        (field("caption", "in", ["a"] * 201), "filter.value", "a list of 1 to 200 values"),
        (field("created_at", "gt", "2026-01-01T00:00:00"), "filter.value", "with its zone"),
        (field("created_at", "lt", "9999-12-31T23:59:59-01:00"), "filter.value", "the years 1 to 9999"),
        (field("updated_at", "gt", "0001-01-01T00:00:00+01:00"), "filter.value", "the years 1 to 9999"),
        (field("taken_at", "gt", "yesterday"), "filter.value", "without a zone"),
        (field("id", "eq", "MED-1"), "filter.value", "a UUID or MED-..."),
        (field("metadata", "contains", {"a": "\0"}), "filter.value", "without NUL"),
        (field("metadata", "contains", {"a": [{"b\0": 1}]}), "filter.value", "without NUL"),
        (field("gps", "within", {"near": [91, 0], "radius": 1}), "filter.value", '{"box": [south'),
        (field("is_public", "eq", "yes"), "filter.value", "true or false"),
        (
            {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {}}}}}}}}},
            "filter" + 8 * ".not",
            "8",
        ),
        ({"or": [field("size", "eq", 1)] * 101}, "filter.or[100]", "at most 100"),
    ],
)
def test_a_filter_that_cannot_be_answered_is_refused_by_place_value_and_what_is_allowed(
    asked: dict[str, Any], place: str, says: str
) -> None:
    with pytest.raises(Invalid) as refused:
        read(asked)
    assert refused.value.extra["field"] == place
    assert refused.value.detail.startswith(f"{place} ")
    assert says in refused.value.detail


def test_a_backslash_before_digits_is_no_nul() -> None:
    asked = read(field("metadata", "contains", {"a": r"\u0000"}))
    assert isinstance(asked, Condition)
    assert asked.value == {"a": r"\u0000"}
