"""The status of a batch's answer, and what it says when no file was taken."""

from typing import Any

import msgspec
import pytest

from services.ingest.batch import Item
from services.ingest.batch_answer import answered
from services.ingest.idempotency import Answer
from shared.errors import Conflict, Invalid, TooLarge, TripodError, Unavailable, UnsupportedType


def item(status: int) -> Item:
    return Item(filename="a", answer=Answer(status=status, location="x", body="{}"))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [((201, 202), 201), ((202, 202), 202), ((201,), 201), ((200, 202), 202), ((200, 200), 200)],
)
def test_the_status_is_that_of_the_first_new_media_to_be_there(
    statuses: tuple[int, ...], expected: int
) -> None:
    assert answered([item(status) for status in statuses]).status_code == expected


def test_the_longest_wait_is_told_where_all_files_have_to_wait() -> None:
    waits = [Unavailable("down", retry_after=n) for n in (2, 9, 4)]
    answer = answered([Item(filename="a", error=error) for error in waits])
    told: dict[str, Any] = msgspec.json.decode(answer.content)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "9")
    assert [one["retry_after"] for one in told["failed"]] == [2, 9, 4]
    mixed = answered([Item(filename="a", error=error) for error in (waits[0], TooLarge("big", limit=3))])
    assert (mixed.status_code, "Retry-After" in mixed.headers) == (422, False)
    assert msgspec.json.decode(mixed.content)["failed"][1]["problem"]["limit"] == 3


@pytest.mark.parametrize("error", [Conflict("x", retry_after=1), Invalid("x"), UnsupportedType("x")])
def test_a_single_file_that_is_refused_has_its_own_status(error: TripodError) -> None:
    assert answered([Item(filename="a", error=error)]).status_code == error.status
