"""kill -9 of the servers during uploads, and of the broker while nobody speaks."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.clients import final, send, uploaded
from tests.faults.conftest import Victim
from tests.faults.control import assert_whole, kill
from tests.fixtures import minio
from tests.fixtures.pictures import photo
from tests.fixtures.waiting import eventually


def kill_while_uploading(victim: Victim, part: str, *, times: int, total: int) -> None:
    """The kills lie evenly over the load, each one among uploads under way."""
    before = len(victim.ledger)
    with victim.load(total, large=total // 4) as load:
        for number in range(1, times + 1):
            load.reached(before + total * number // (times + 2))
            kill(victim.stack, part)
    assert len(victim.ledger) == before + total
    # A busy machine does one in a second.
    assert_whole(victim.stack, victim.ledger, victim.folder, 60 + total)


# The embedded store is killed, too: it takes a file of one PUT whole or not at all, and forgets those of parts, which
# then are sent again. MinIO keeps their parts over a kill, which is where its binary is a case of its own.
@pytest.mark.parametrize("part", ["nats", "postgres", "s3"])
def test_killing_a_server_among_uploads_loses_and_doubles_nothing(victim: Victim, part: str) -> None:
    kill_while_uploading(victim, part, times=1, total=16)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["nats", "postgres", "s3"])
def test_killing_a_server_ten_times_during_500_uploads_loses_and_doubles_nothing(
    victim: Victim, part: str
) -> None:
    kill_while_uploading(victim, part, times=10, total=500)


if minio.BINARY:

    def test_killing_the_store_among_multipart_uploads_loses_and_leaves_nothing(victim: Victim) -> None:
        before = len(victim.ledger)
        large = [photo(96, 72, seed=n) + os.urandom(20_000_000) for n in range(6)]
        with ThreadPoolExecutor(3) as pool:
            sent = [pool.submit(send, victim, data) for data in large]
            for count in (1, 3, 5):
                acknowledged(victim, before + count)
                kill(victim.stack, "s3")
            for one in sent:
                one.result()
        assert len(victim.ledger) == before + len(large)
        assert_whole(victim.stack, victim.ledger, victim.folder)


def acknowledged(victim: Victim, count: int) -> None:
    eventually(lambda: len(victim.ledger) >= count, f"{count} acknowledged uploads", 90)


def test_after_a_broker_restart_among_silence_the_first_message_is_handled_within_five_seconds(
    victim: Victim,
) -> None:
    uploaded(victim)  # every consumer has worked, and waits now
    victim.stack.stop("nats", signal.SIGKILL)
    victim.stack.start("nats")
    media_id = send(victim)
    acknowledged = time.monotonic()
    assert final(victim, media_id, 5)["status"] == "ready"
    assert time.monotonic() - acknowledged < 5
