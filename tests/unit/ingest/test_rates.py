"""How fast one caller may upload."""

import pytest

from services.ingest.rates import RateExceeded, RateLimits, Rates


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_minutes_worth_is_taken_at_once_and_the_rest_evenly(clock: Clock) -> None:
    rates = Rates(RateLimits(uploads=6), clock)
    for _ in range(6):
        rates.begin("ann")
    with pytest.raises(RateExceeded) as refusal:
        rates.begin("ann")
    assert refusal.value.retry_after == 10
    rates.begin("bob")
    clock.now += 10
    rates.begin("ann")
    with pytest.raises(RateExceeded):
        rates.begin("ann")


def test_bytes_may_be_overdrawn_once_and_are_waited_for_then(clock: Clock) -> None:
    rates = Rates(RateLimits(bytes=600), clock)
    flow = rates.begin("ann")
    assert flow is not None
    flow.at(1000)
    flow.at(1200)
    with pytest.raises(RateExceeded) as refusal:
        rates.begin("ann")
    assert refusal.value.retry_after == 61  # 600 too many, and room for one byte
    clock.now += 61
    assert rates.begin("ann")


def test_bytes_that_did_not_come_are_given_back(clock: Clock) -> None:
    rates = Rates(RateLimits(bytes=600), clock)
    flow = rates.begin("ann")
    assert flow is not None
    flow.at(600)
    with pytest.raises(RateExceeded):
        rates.begin("ann")
    flow.end(100)
    assert rates.begin("ann")


def test_a_refused_upload_counts_for_nothing(clock: Clock) -> None:
    rates = Rates(RateLimits(uploads=60, bytes=600), clock)
    flow = rates.begin("ann")
    assert flow is not None
    flow.at(601)
    for _ in range(100):
        with pytest.raises(RateExceeded, match="bytes"):
            rates.begin("ann")
    clock.now += 1
    rates.begin("ann")


def test_without_limits_nothing_is_counted(clock: Clock) -> None:
    rates = Rates(RateLimits(), clock)
    assert all(rates.begin("ann") is None for _ in range(1000))
