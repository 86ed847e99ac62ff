"""What a dead letter says of the error, for the person who decides about it."""

import pytest

from shared.errors import Invalid
from shared.events.dead_letters import MAX_ERROR_CHARACTERS, describe, summary


class OutOfRange(Exception):
    """An error of a library: where it happened, why, the statement, and where to read on."""


def failed(message: str) -> Exception:
    try:
        try:
            int("seven")
        except ValueError as error:
            raise OutOfRange(message) from error
    except OutOfRange as error:
        found = error
    return found


MESSAGE = "bigint out of range\n[SQL: INSERT INTO media]\n(Background on this error at: https://example.test)"


@pytest.mark.parametrize("tail", ["", "\n" + "x" * 2 * MAX_ERROR_CHARACTERS])
def test_the_summary_is_the_line_that_says_what_was_wrong(tail: str) -> None:
    described = describe(failed(MESSAGE + tail))
    assert len(described) <= MAX_ERROR_CHARACTERS
    assert summary(described).endswith("OutOfRange: bigint out of range")


def test_a_described_error_holds_its_cause_and_place() -> None:
    described = describe(failed(MESSAGE))
    assert "invalid literal" in described
    assert "test_dead_letters.py" in described


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Invalid("The size is -1.\nAllowed is more."), "The size is -1."),
        (Invalid(""), ""),
        (ExceptionGroup("two tasks failed", [ValueError("a"), ValueError("b")]), "two tasks failed"),
    ],
)
def test_every_error_has_a_summary(error: Exception, line: str) -> None:
    assert line in summary(describe(error))
