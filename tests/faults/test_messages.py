"""Events that come again, late, to a deleted media, or to two workers at once."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, get_args

import msgspec
import psutil
import pytest

from deploy.child import Child
from deploy.config import LOOPBACK
from deploy.ports import free_port
from deploy.services import probe
from shared.failpoints import Step
from tests.faults.broker import all_handled, forgotten, held, short_memory, tell_again, told
from tests.faults.clients import delete, final, send, shown, uploaded
from tests.faults.conftest import Victim
from tests.faults.control import arm, armed, assert_whole
from tests.fixtures.waiting import eventually

PROCESSING = tuple(
    step for step in get_args(Step) if step.startswith("processor.") and step != "processor.mid_erase"
)


def test_every_event_told_three_times_changes_nothing(victim: Victim) -> None:
    known = set(victim.ledger.lines)
    with victim.load(8):
        pass
    delete(victim, uploaded(victim))
    assert_whole(victim.stack, victim.ledger, victim.folder)
    # Those of this test: what other tests have left in the stream is replayed by none of it any better.
    history = [event for event in told(victim.stack) if event.media_id not in known]
    before = shown(victim)
    tell_again(victim.stack, history)
    tell_again(victim.stack, history)
    all_handled(victim.stack)
    assert_whole(victim.stack, victim.ledger, victim.folder)
    assert shown(victim) == before


@pytest.mark.long
def test_an_upload_told_again_after_the_brokers_memory_of_it_makes_no_second_media(victim: Victim) -> None:
    media_id = uploaded(victim)
    all_handled(victim.stack)
    mine = [event for event in told(victim.stack) if event.media_id == media_id]
    upload = [event for event in mine if event.subject.startswith("media.v1.uploaded.")]
    assert len(upload) == 1
    tell_again(victim.stack, upload)
    all_handled(victim.stack)
    assert_whole(victim.stack, victim.ledger, victim.folder)
    after = Counter(event.subject for event in told(victim.stack) if event.media_id == media_id)
    assert after["media.v1.created.image"] == 1


@pytest.mark.long
def test_results_that_come_after_the_deletion_leave_nothing_behind(victim: Victim) -> None:
    media_id = uploaded(victim)
    all_handled(victim.stack)
    mine = [event for event in told(victim.stack) if event.media_id == media_id]
    delete(victim, media_id)
    assert_whole(victim.stack, victim.ledger, victim.folder)
    # Also the upload: a processor may hold it in its hands while the media goes.
    tell_again(victim.stack, [e for e in mine if e.subject.split(".")[2] in {"uploaded", "processed"}])
    all_handled(victim.stack)
    assert_whole(victim.stack, victim.ledger, victim.folder)


def delete_at(victim: Victim, step: str) -> None:
    """The media goes while its processor lies dead at that step."""
    with armed(victim.stack, step) as revive, ThreadPoolExecutor(max_workers=1) as beside:
        media_id = send(victim)
        eventually(
            lambda: not victim.stack.children["processor"].alive, f"the processor to die at {step}", 30
        )
        beside.submit(delete, victim, media_id).result()
        revive()
    all_handled(victim.stack)
    assert_whole(victim.stack, victim.ledger, victim.folder)


def test_a_media_deleted_while_its_variants_are_written_leaves_nothing_behind(victim: Victim) -> None:
    delete_at(victim, "processor.mid_variants")


@pytest.mark.long
@pytest.mark.timeout(400)  # the stack is shared: every look at the whole of it takes longer than the last
@pytest.mark.parametrize("step", PROCESSING)
def test_a_media_deleted_at_this_step_of_processing_leaves_nothing_behind(victim: Victim, step: str) -> None:
    delete_at(victim, step)


@contextmanager
def second_processor(victim: Victim) -> Iterator[Child]:
    """Another processor beside the first, ready."""
    first, port = victim.stack.child("processor").spec, free_port(set())
    spec = msgspec.structs.replace(
        first,
        env={**first.env, "TRIPOD_HTTP_PORT": str(port), "TRIPOD_FAILPOINT": ""},
        probe=lambda: probe(f"http://{LOOPBACK}:{port}/health/ready"),
    )
    with ThreadPoolExecutor(max_workers=1) as spawner:
        child = Child(spec, victim.folder / "processor-2.log")
        child.start(spawner)
        try:
            child.wait_ready()
            yield child
        finally:
            child.signal(signal.SIGTERM)
            child.wait(8)
            child.kill()


@contextmanager
def frozen(victim: Victim, step: str) -> Iterator[Child]:
    """The processor stops itself when it first reaches that step, and lies still until it is told to go on."""
    stack = victim.stack
    child = stack.child("processor")
    stack.stop("processor", signal.SIGKILL)
    arm(stack, "processor", f"{step}:1:freeze")
    with ThreadPoolExecutor(max_workers=1) as spawner:  # its child dies with it
        child.start(spawner)
        try:
            child.wait_ready()
            yield child
        finally:
            stack.stop("processor", signal.SIGKILL)
            arm(stack, "processor", "")
    stack.start("processor")


def lies_still(child: Child) -> bool:
    return bool(psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)


def results(victim: Victim, media_id: str) -> int:
    """How many times the stream tells how the processing of that media ended."""
    mine = [event.subject for event in told(victim.stack) if event.media_id == media_id]
    return sum(subject.startswith("media.v1.processed.") for subject in mine)


TIMES = {"updated_at", "processed_at", "timings"}


def lasting(media: dict[str, Any]) -> dict[str, Any]:
    """All that a second result of the same bytes must not change."""
    return {name: value for name, value in media.items() if name not in TIMES}


@pytest.mark.long
@pytest.mark.timeout(400)  # the stack is shared: every look at the whole of it takes longer than the last
@pytest.mark.parametrize("step", ["processor.before_result", "processor.after_variants"])
def test_a_worker_frozen_past_its_time_with_a_job_in_its_hands_and_another_one_make_one_media(
    victim: Victim, step: str
) -> None:
    """Its late result comes to the catalog, because the broker has forgotten the first one by then."""
    with frozen(victim, step) as first:
        media_id = send(victim)
        eventually(lambda: lies_still(first), f"the processor to lie still at {step}")
        assert results(victim, media_id) == 0
        assert held(victim.stack, "processor-image-") == 1
        # Services that start restore the broker's memory, so it is shortened when all have.
        with second_processor(victim), short_memory(victim.stack):
            assert final(victim, media_id)["status"] == "ready"
            assert lies_still(first)
            before = shown(victim)
            eventually(lambda: forgotten(victim.stack, media_id), "the broker to forget the first result")
            first.signal(signal.SIGCONT)
            eventually(lambda: results(victim, media_id) == 2, "the late result", 30)
            all_handled(victim.stack)
            after = shown(victim)
    assert lasting(after.pop(media_id)) == lasting(before.pop(media_id))
    assert after == before
    assert_whole(victim.stack, victim.ledger, victim.folder)
