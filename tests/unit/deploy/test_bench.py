import json
import math
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from deploy.bench.load import BOUNDARY, form, request
from deploy.bench.results import Report, Row, Target, alone, compared
from deploy.bench.rounds import interleaved
from deploy.bench.show import number, show

FAST = Target(sense="at least", ratio=1.3)


def row(ratio: float, target: Target | None = FAST) -> Row:
    return compared("bytes", "form", [ratio], "MB/s", baseline="SDK", against=[1.0], target=target)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    found = compared("g", "n", [10, 90, 20], "ms", baseline="b", against=[10, 30, 10])
    # The medians alone would say 20 / 10, whichever rounds they are of.
    assert (found.ratio, found.spread, found.met) == (2, (1, 3), None)
    assert (found.figure, found.baseline_figure) == (20, 10)
    with pytest.raises(ValueError, match="shorter"):
        compared("g", "n", [1, 2], "ms", baseline="b", against=[1])


@pytest.mark.parametrize(("ratio", "met"), [(1.29, False), (1.3, True), (2, True)])
def test_a_target_is_met_from_its_ratio_on(ratio: float, *, met: bool) -> None:
    assert row(ratio).met is met
    assert row(ratio, Target(sense="at most", ratio=1.3)).met is (ratio <= 1.3)


def test_ways_take_turns_and_the_first_round_does_not_count() -> None:
    said: list[str] = []

    def way(name: str) -> float:
        said.append(name)
        return float(len(said))

    ways = {"a": lambda: way("a"), "b": lambda: way("b")}
    assert interleaved(Console(file=StringIO()), "x", ways, rounds=2) == {"a": [4, 5], "b": [3, 6]}
    assert "".join(said) == "abbaab"


def test_the_table_and_the_file_say_whether_targets_are_met() -> None:
    rows = (row(2), row(1), alone("bytes", "curl", [math.pi], "MB/s"))
    report = Report(machine={"cores": "2"}, quick=False, rows=rows, failures=("pixels: broken",))
    out = StringIO()
    show(report, Console(file=out, width=160))
    for word in ("cores", "at least 1.3", " met", "not met", "3.14 MB/s", "not measured", "pixels: broken"):
        assert word in out.getvalue()
    told = json.loads(msgspec.json.encode(report))
    assert [found["met"] for found in told["rows"]] == [True, False, None]
    assert told["rows"][0]["target"] == {"sense": "at least", "ratio": 1.3}


def test_numbers_are_shown_with_three_digits_that_count() -> None:
    assert [number(n) for n in (0.12345, 1.005, 99.96, 1234.5)] == ["0.123", "1", "100", "1,234"]


def test_a_request_is_ready_to_be_sent() -> None:
    body = form(b"data", "a.bin")
    made = request("POST", "http://127.0.0.1:80/v1/uploads?x=1", body, {"Prefer": "respond-async"})
    assert made.head.startswith(b"POST /v1/uploads?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert b"Content-Length: %d\r\nPrefer: respond-async\r\n\r\n" % len(body) in made.head
    assert body.count(BOUNDARY.encode()) == 2
    assert made.body is body
