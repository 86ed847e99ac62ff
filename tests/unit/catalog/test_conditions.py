"""Conditional requests and ranges, as RFC 9110 has them."""

from datetime import UTC, datetime, timedelta

import pytest

from services.catalog.conditions import Conditions, http_date, matches, none_match
from shared.errors import PreconditionFailed, RangeNotSatisfiable

ETAG = '"abc"'
MODIFIED = datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
SAME, BEFORE = http_date(MODIFIED), http_date(MODIFIED - timedelta(seconds=1))


def part(header: str, size: int = 100, if_range: str | None = None) -> tuple[int, int] | None:
    found = Conditions(range=header, if_range=if_range).parts(size, ETAG, MODIFIED)
    if found is None:
        return None
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-19", (10, 10)),
        ("bytes=10-", (10, 90)),
        ("bytes=99-", (99, 1)),
        ("bytes=90-1000", (90, 10)),
        ("bytes=-1", (99, 1)),
        ("bytes=-100", (0, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes=10-19", (10, 10)),
    ],
)
def test_one_range_is_cut_to_the_file(header: str, expected: tuple[int, int]) -> None:
    assert part(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "bytes=5-4",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=-5-6",
        "items=0-5",
        "0-5",
        "",
        "bytes=٣-٤",
    ],
)
def test_what_is_no_range_gets_the_whole(header: str) -> None:
    assert part(header) is None


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)],
)
def test_a_range_outside_of_the_file_is_refused_with_its_size(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as refusal:
        part(header, size)
    assert refusal.value.extra["size"] == size


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"if_match": ETAG}, True),
        ({"if_match": '"x", "abc"'}, True),
        ({"if_match": "*"}, True),
        ({"if_match": '"x"'}, False),
        ({"if_match": 'W/"abc"'}, False),
        ({"if_unmodified_since": SAME}, True),
        ({"if_unmodified_since": BEFORE}, False),
        ({"if_unmodified_since": "no date"}, True),
        ({"if_match": ETAG, "if_unmodified_since": BEFORE}, True),
        ({"if_match": '"x"', "if_unmodified_since": SAME}, False),
    ],
)
def test_a_precondition_that_does_not_hold_is_told_and_if_match_decides_alone(
    conditions: dict[str, str], *, holds: bool
) -> None:
    asked = Conditions(**conditions)
    if holds:
        asked.require(ETAG, MODIFIED)
        return
    with pytest.raises(PreconditionFailed):
        asked.require(ETAG, MODIFIED)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [(ETAG, True), ('"abd"', False), ('W/"abc"', False), (SAME, True), (BEFORE, False), ("no date", False)],
)
def test_if_range_needs_exactly_this_version(if_range: str, *, applies: bool) -> None:
    assert part("bytes=1-2", if_range=if_range) == ((1, 2) if applies else None)


@pytest.mark.parametrize(
    ("if_none_match", "same"),
    [
        (ETAG, True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"x","y"', False),
        ("*", True),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(if_none_match: str, *, same: bool) -> None:
    assert none_match(if_none_match, ETAG) is same
    assert Conditions(if_none_match=if_none_match).not_modified(ETAG, MODIFIED) is same


@pytest.mark.parametrize(
    ("if_match", "same"),
    [(ETAG, True), ('W/"abc"', False), ('"x", "abc"', True), ("*", True), ('"x"', False)],
)
def test_if_match_compares_strongly(if_match: str, *, same: bool) -> None:
    assert matches(if_match, ETAG) is same


@pytest.mark.parametrize(
    ("since", "same"), [(SAME, True), (BEFORE, False), ("yesterday", False), ("", False)]
)
def test_if_modified_since_has_whole_seconds_and_ignores_what_is_no_date(since: str, *, same: bool) -> None:
    assert Conditions(if_modified_since=since).not_modified(ETAG, MODIFIED) is same


def test_if_none_match_decides_alone() -> None:
    both = Conditions(if_none_match='"other"', if_modified_since=SAME)
    assert not both.not_modified(ETAG, MODIFIED)
