"""A service dies at each named step under load; what was acknowledged is all there afterwards, once."""

from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest

from shared.failpoints import Step
from tests.faults.clients import delete, uploaded
from tests.faults.conftest import Victim
from tests.faults.control import armed, assert_whole, died, drafts, kill

STEPS: tuple[str, ...] = get_args(Step)
DELETED = 3


def die_at(victim: Victim, *steps: str, total: int, large: int = 0) -> None:
    """Under load and deletes; the load goes on until all of it is acknowledged."""
    doomed = [uploaded(victim) for _ in range(DELETED)] if any("erase" in step for step in steps) else []
    with (
        ThreadPoolExecutor(max_workers=1) as beside,
        armed(victim.stack, *steps) as revive,
        victim.load(total, large=large),
    ):
        deleting = [beside.submit(delete, victim, media_id) for media_id in doomed]
        revive()
        for one in deleting:
            one.result()
    assert_whole(victim.stack, victim.ledger, victim.folder)


@pytest.mark.parametrize(
    "steps",
    [
        # Ingest dies last: the others need its uploads.
        ("ingest.before_publish:6", "processor.mid_variants", "catalog.after_relay"),
        pytest.param(
            ("ingest.after_ack:6", "processor.before_ack", "catalog.mid_erase"), marks=pytest.mark.long
        ),
    ],
)
def test_all_three_services_die_at_once_and_nothing_is_lost_or_doubled(
    victim: Victim, steps: tuple[str, ...]
) -> None:
    die_at(victim, *steps, total=12)


@pytest.mark.long
def test_a_file_half_of_whose_parts_are_stored_when_ingest_and_store_die_leaves_none_of_them(
    victim: Victim,
) -> None:
    step = "ingest.mid_parts"
    with armed(victim.stack, step) as revive, victim.load(3, clients=2, large=3):
        died(victim.stack, "ingest", step)
        assert drafts(victim.stack)
        kill(victim.stack, "s3")
        revive()
    assert_whole(victim.stack, victim.ledger, victim.folder)


@pytest.mark.long
@pytest.mark.timeout(400)  # the stack is shared: every look at the whole of it takes longer than the last
@pytest.mark.parametrize("step", STEPS)
def test_a_service_dies_at_this_step_and_nothing_is_lost_or_doubled(victim: Victim, step: str) -> None:
    die_at(victim, f"{step}:2", total=30, large=10)
