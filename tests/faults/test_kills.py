"""kill -9 of the servers during uploads, and of the broker while nobody speaks."""

import signal
import time

import pytest

from tests.faults.clients import final, send, uploaded
from tests.faults.conftest import Victim
from tests.faults.control import assert_whole, kill


def kill_while_uploading(victim: Victim, part: str, *, times: int, total: int) -> None:
    """The kills lie evenly over the load, each one among uploads under way."""
    before = len(victim.ledger)
    with victim.load(total) as load:
        for number in range(1, times + 1):
            load.reached(before + total * number // (times + 2))
            kill(victim.stack, part)
    assert len(victim.ledger) == before + total
    assert_whole(victim.stack, victim.ledger, victim.folder)


# The embedded store is killed, too: it takes a file of one PUT whole or not at all, and these are such. What it
# forgets at a restart are multipart uploads, so kills among those belong to a real store (MINIO_BIN).
@pytest.mark.parametrize("part", ["nats", "postgres", "s3"])
def test_killing_a_server_among_uploads_loses_and_doubles_nothing(victim: Victim, part: str) -> None:
    kill_while_uploading(victim, part, times=1, total=16)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", ["nats", "postgres", "s3"])
def test_killing_a_server_ten_times_during_500_uploads_loses_and_doubles_nothing(
    victim: Victim, part: str
) -> None:
    kill_while_uploading(victim, part, times=10, total=500)


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
