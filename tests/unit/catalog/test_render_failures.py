"""Renderings that could not be made, as they are remembered."""

from services.catalog.render_failures import KEPT_SECONDS, Failures
from shared.events.rendering import NotRendered


def failed(code: str, *, retryable: bool) -> NotRendered:
    return NotRendered(code=code, detail="It could not be made.", retryable=retryable)


def test_what_a_file_did_to_its_child_is_remembered_with_the_time_that_is_left() -> None:
    failures = Failures()
    answer = failed("memory", retryable=True)
    assert failures.note("a", answer) == KEPT_SECONDS
    found = failures.find("a")
    assert found is not None
    assert found[0] == answer
    assert 0 < found[1] <= KEPT_SECONDS


def test_what_says_nothing_about_the_file_is_not_remembered() -> None:
    failures = Failures()
    assert failures.note("a", failed("stopping", retryable=True)) == 0
    assert failures.find("a") is None
