"""Subjects, as NATS reads them."""

import pytest

from shared.events.kv_token import check_key, kv_token
from shared.events.subjects import matches, overlap


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a.b.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.>", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        (">", "a.b", True),
        ("a.*.>", "a.b.c", True),
        ("a.*.>", "a.b", False),
        ("a", "ab", False),
    ],
)
def test_a_pattern_matches_what_nats_would_match(pattern: str, subject: str, *, expected: bool) -> None:
    assert matches(pattern, subject) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.c", True),
        ("a.*", "*.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.>", "b.>", False),
        (">", "anything.at.all", True),
        ("a.b", "a.b.c", False),
    ],
)
def test_patterns_overlap_where_one_subject_falls_under_both(one: str, other: str, *, expected: bool) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


@pytest.mark.parametrize("text", ["", "a", "user:1", "Grüße", "a.b c", "\x00", "x" * 300])
def test_any_text_has_a_token_of_its_own_that_can_be_a_key(text: str) -> None:
    check_key(f"prefix.{kv_token(text)}")


def test_different_texts_have_different_tokens() -> None:
    texts = ["", "a", "A", "a ", "a.b", "ab", "=", "-", "_"]
    assert len({kv_token(text) for text in texts}) == len(texts)
