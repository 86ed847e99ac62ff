"""Which lane an owner's uploads take, by a clock that stands still unless it is moved."""

import pytest

from services.ingest.lanes import Lanes, weight
from tests.fixtures.pictures import claiming_sides, encoded, photo, picture


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(lanes: Lanes, owner: str, many: int) -> list[str]:
    return [lanes.of(owner) for _ in range(many)]


def test_an_owner_above_the_limit_takes_the_bulk_lane_and_the_others_stay_fresh(clock: Clock) -> None:
    lanes = Lanes(3, clock)
    assert taken(lanes, "crowd", 5) == ["fresh"] * 3 + ["bulk"] * 2
    assert taken(lanes, "ann", 3) == ["fresh"] * 3


def test_who_stays_at_the_limit_is_always_fresh(clock: Clock) -> None:
    lanes = Lanes(3, clock)
    for _ in range(10):
        assert taken(lanes, "ann", 3) == ["fresh"] * 3
        clock.now += 60


def test_a_flood_that_goes_on_has_its_fresh_ones_once(clock: Clock) -> None:
    lanes = Lanes(3, clock)
    assert taken(lanes, "crowd", 10).count("fresh") == 3
    for _ in range(5):
        clock.now += 60
        assert set(taken(lanes, "crowd", 10)) == {"bulk"}


def test_a_quiet_minute_ends_a_flood(clock: Clock) -> None:
    lanes = Lanes(3, clock)
    taken(lanes, "crowd", 10)
    clock.now += 60
    assert set(taken(lanes, "crowd", 2)) == {"bulk"}  # the minute before was a flood
    clock.now += 60
    assert set(taken(lanes, "crowd", 2)) == {"fresh"}

    taken(lanes, "crowd", 10)
    clock.now += 120  # nothing at all for a while
    assert lanes.of("crowd") == "fresh"


def test_the_owners_last_heard_of_are_kept(clock: Clock) -> None:
    lanes = Lanes(1, clock)
    taken(lanes, "crowd", 2)
    for n in range(9_999):
        lanes.of(f"owner {n}")
    assert lanes.of("crowd") == "bulk"


def test_a_large_progressive_jpeg_takes_the_slow_lane_and_counts_all_the_same(clock: Clock) -> None:
    lanes = Lanes(2, clock)
    heavy = claiming_sides(encoded(picture(60, 40), progressive=True), 9000, 9000)
    assert [lanes.of("ann", heavy), lanes.of("ann", photo(60, 40)), lanes.of("ann")] == [
        "slow",
        "fresh",
        "bulk",
    ]


@pytest.mark.parametrize(
    ("media_type", "sides", "size", "expected"),
    [
        ("image", (1, 1), 70, 1),
        ("image", (2000, 2000), 900_000, 1),
        ("image", (2001, 2000), 900_000, 2),
        ("image", (4032, 3024), 3_000_000, 4),
        ("image", (10_000, 10_000), 777_000, 25),
        ("image", (30_000, 30_000), 777_000, 25),
        ("image", (800, 600), 20 * 2**20, 5),  # it moves
        ("image", (0, 0), 4 * 2**20, 1),
        ("image", (0, 0), 4 * 2**20 + 1, 2),
        ("image", None, 0, 8),
        ("image", None, 4 * 2**20, 8),
        ("image", None, 40 * 2**20, 10),
        ("image", None, 2**40, 25),
        ("video", None, 2**40, 1),
        ("document", None, 2**30, 1),
    ],
)
def test_a_file_weighs_what_it_will_cost(
    media_type: str, sides: tuple[int, int] | None, size: int, expected: int
) -> None:
    assert weight(media_type, sides, size) == expected


def test_an_owners_first_heavy_files_are_fresh_and_the_others_bulk(clock: Clock) -> None:
    lanes = Lanes(60, clock)
    assert [lanes.of("crowd", weight=25) for _ in range(12)] == ["fresh"] * 3 + ["bulk"] * 9
    assert lanes.of("ann", weight=25) == "fresh"
    clock.now += 60
    assert lanes.of("crowd") == "bulk"  # as after any flood


def test_a_single_file_is_fresh_however_heavy(clock: Clock) -> None:
    lanes = Lanes(1, clock)
    for _ in range(3):
        assert lanes.of("ann", weight=25) == "fresh"
        clock.now += 60
