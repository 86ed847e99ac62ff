"""Events that come again, late, to a deleted media, or to two workers at once."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import get_args

import msgspec
import pytest

from deploy.child import Child
from deploy.config import LOOPBACK
from deploy.ports import free_port
from deploy.services import probe
from shared.failpoints import Step
from tests.faults.broker import all_handled, tell_again, told
from tests.faults.clients import delete, final, send, shown, uploaded
from tests.faults.conftest import Victim
from tests.faults.control import armed, assert_whole
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
@pytest.mark.parametrize("step", PROCESSING)
def test_a_media_deleted_at_this_step_of_processing_leaves_nothing_behind(victim: Victim, step: str) -> None:
    delete_at(victim, step)


@contextmanager
def second_processor(victim: Victim) -> Iterator[Child]:
    """Another processor beside the first, ready."""
    first, port = victim.stack.child("processor").spec, free_port(set())
    spec = msgspec.structs.replace(
        first,
        env={**first.env, "TRIPOD_HTTP_PORT": str(port)},
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


@pytest.mark.long
def test_a_worker_that_was_frozen_past_its_time_and_another_one_make_one_media(victim: Victim) -> None:
    first, before = victim.stack.child("processor"), len(victim.ledger)
    with second_processor(victim):
        with victim.load(16) as load:
            load.reached(before + 6)
            first.signal(signal.SIGSTOP)
        try:
            # What the frozen one holds is handed to the other when its time is over.
            for media_id in list(victim.ledger.lines)[before:]:
                final(victim, media_id)
        finally:
            first.signal(signal.SIGCONT)
    all_handled(victim.stack)
    assert_whole(victim.stack, victim.ledger, victim.folder)
