"""The plan of a chaos run depends on its seed alone."""

import subprocess
import sys
from typing import get_args

import pytest

from deploy.services import PROJECT
from tests.faults.schedule import Part, planned


def test_the_same_seed_plans_the_same_strikes_in_another_process() -> None:
    program = "from tests.faults.schedule import planned; print(repr(planned(7, 2000)))"
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": salt},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    ]
    assert {one.strip() for one in told} == {repr(planned(7, 2000))}


def test_another_seed_plans_other_strikes() -> None:
    assert len({planned(seed, 200) for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", range(5))
def test_a_longer_run_begins_like_a_shorter_one_and_strikes_every_part_among_its_uploads(seed: int) -> None:
    short, long = planned(seed, 500), planned(seed, 2000)
    assert long[: len(short)] == short
    places = [strike.after for strike in long]
    assert places == sorted(set(places))
    assert 0 < places[0] < places[-1] < 2000
    assert {part for strike in long for part in strike.parts} == set(get_args(Part))
