"""The arithmetic of a run of uploads, and how it is shown."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from shared.cli.bars import Bars, bars, clock, shortened, size
from shared.cli.tally import Tally


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def tally_of(clock: Clock, **sizes: int) -> Tally:
    return Tally(sizes, clock=clock)


def test_rate_and_time_left_follow_from_bytes_over_the_wire() -> None:
    time = Clock()
    tally = tally_of(time, a=600, b=400)
    assert (tally.planned, tally.done, tally.left, tally.rate) == (1000, 0, None, 0.0)
    tally.begin("a")
    tally.sent("a", 200)
    time.now += 4
    assert (tally.done, tally.rate, tally.left) == (200, 50.0, 16.0)
    tally.sent("a", 400)
    tally.stored("a")
    assert (tally.files_done, tally.done) == (1, 600)


def test_a_file_that_starts_anew_takes_back_what_it_had_sent_but_the_wire_remembers() -> None:
    tally = tally_of(Clock(), a=600, b=400)
    tally.begin("a")
    tally.sent("a", 500)
    tally.begin("a")
    assert (tally.done, tally.wire) == (0, 500)
    tally.sent("a", 600)
    tally.stored("a")
    assert (tally.done, tally.wire, tally.planned) == (600, 1100, 1000)


def test_what_is_there_already_is_a_file_done_whose_bytes_nobody_waits_for() -> None:
    time = Clock()
    tally = tally_of(time, there=900, new=100)
    tally.passed("there")
    assert (tally.files_done, tally.planned, tally.done, tally.wire) == (1, 100, 0, 0)
    tally.begin("new")
    tally.sent("new", 50)
    time.now += 1
    assert tally.left == 1.0


def test_a_refused_file_leaves_nothing_to_wait_for() -> None:
    tally = tally_of(Clock(), bad=900)
    tally.begin("bad")
    tally.sent("bad", 300)
    tally.passed("bad")
    assert (tally.planned, tally.done, tally.left, tally.files_done) == (0, 0, 0.0, 1)


def test_a_file_that_was_answered_for_without_its_bytes_counts_whole() -> None:
    tally = tally_of(Clock(), a=600)
    tally.begin("a")
    tally.stored("a")
    assert (tally.done, tally.wire) == (600, 0)


def test_bytes_of_a_former_run_are_done_and_do_not_count_as_rate() -> None:
    time = Clock()
    tally = tally_of(time, a=600)
    tally.begin("a")
    tally.had("a", 500)
    tally.sent("a", 50)
    time.now += 1
    assert (tally.done, tally.rate, tally.left) == (550, 50.0, 1.0)


def test_the_bars_show_files_bytes_and_the_time_left_of_all() -> None:
    screen = io.StringIO()
    time = Clock()
    with Progress(
        console=Console(file=screen, force_terminal=True, width=120), auto_refresh=False
    ) as progress:
        tally = Tally({"[b]a": 2048, "b": 2048}, Bars(progress, 2), time)
        tally.begin("[b]a")
        tally.sent("[b]a", 1024)
        time.now += 1
        of_all, of_one = progress.tasks
        assert (of_all.completed, of_all.total) == (1024, 4096)
        assert (of_one.completed, of_one.total, of_one.description) == (1024, 2048, r"\[b]a")
        tally.stored("[b]a")
        tally.passed("b")
        (left,) = progress.tasks
        assert (left.completed, left.total) == (2048, 2048)
        assert "2 of 2 files" in left.description


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024 * 1024 - 1, "1.0 MiB"), (3 * 1024**3, "3.0 GiB")],
)
def test_sizes_are_shown_as_people_read_them(count: int, shown: str) -> None:
    assert size(count) == shown


def test_times_and_long_paths_are_shown_short() -> None:
    assert [clock(None), clock(0), clock(3661.4)] == ["-:--:--", "0:00:00", "1:01:01"]
    assert shortened("x" * 50 + "/end.jpg").endswith("/end.jpg")
    assert len(shortened("x" * 50)) == 32


def test_the_bars_say_rate_and_time_left_in_words() -> None:
    screen = io.StringIO()
    time = Clock()
    with bars(2, shown=True, console=Console(file=screen, force_terminal=True, width=120)) as watcher:
        assert watcher is not None
        tally = Tally({"a": 3 * 1024 * 1024, "b": 1024 * 1024}, watcher, time)
        tally.begin("a")
        time.now += 1
        tally.sent("a", 1024 * 1024)
    drawn = screen.getvalue()
    assert "0 of 2 files" in drawn
    assert "1.0/4.0 MiB" in drawn
    assert "0:00:03" in drawn


def test_no_bars_are_drawn_where_nobody_sees_them() -> None:
    screen = io.StringIO()
    with bars(1, shown=True, console=Console(file=screen)) as in_a_file, bars(1, shown=False) as as_json:
        assert (in_a_file, as_json) == (None, None)
    assert not screen.getvalue()
