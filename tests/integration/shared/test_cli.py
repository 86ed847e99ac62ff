"""`tripod` on a real broker."""

import asyncio
import json
import os
import subprocess
import sys

import jwt
import pytest

from shared.events import consumer, topology
from shared.events.jetstream import connect
from shared.events.jetstream_connection import BusSettings
from tests.fixtures.servers import Broker
from tests.fixtures.waiting import eventually_async

POISON = b"not an event at all"
PROJECTOR = topology.TOPOLOGY.durable("catalog-projector")


def tripod(nats_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TRIPOD_NATS_URL": nats_url, "TRIPOD_ENV": "development"}
    return subprocess.run(
        [sys.executable, "-m", "shared.cli", *arguments],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )


async def poison(nats_url: str) -> None:
    """Let a consumer meet a message that it can never read."""

    async def handle(_context: consumer.EventContext) -> None:
        raise AssertionError("what cannot be read reaches no handler")

    bus = await connect(BusSettings(url=nats_url))
    await bus.ensure(topology.TOPOLOGY)
    await bus.publish("media.v1.uploaded.image.fresh", POISON, message_id="poison")
    stop = asyncio.Event()
    loop = asyncio.create_task(consumer.consume(bus, PROJECTOR, handle, stop=stop))
    await eventually_async(lambda: bus.last_sequence(topology.DEAD), "the letter")
    stop.set()
    await loop
    await bus.close()


def test_invariant_9_what_can_never_succeed_is_listed_with_its_error_and_replayed(broker: Broker) -> None:
    asyncio.run(poison(broker.url))
    shown = tripod(broker.url, "dead-letters", "list")
    assert shown.returncode == 0, shown.stderr
    assert "catalog-projector" in shown.stdout

    listed = json.loads(tripod(broker.url, "dead-letters", "list", "--json").stdout)
    assert len(listed) == 1
    assert listed[0]["event"] == POISON.decode()
    assert "not a CloudEvent" in listed[0]["error"]

    number = str(listed[0]["sequence"])
    replayed = tripod(broker.url, "dead-letters", "replay", number)
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(tripod(broker.url, "dead-letters", "list", "--json").stdout) == []

    async def second() -> bytes:
        bus = await connect(BusSettings(url=broker.url))
        message = await bus.read(topology.MEDIA, 2)
        await bus.close()
        assert message is not None
        return message.data

    assert asyncio.run(second()) == POISON


def test_a_letter_is_dropped_for_good(broker: Broker) -> None:
    asyncio.run(poison(broker.url))
    assert tripod(broker.url, "dead-letters", "drop", "--all").returncode == 0
    assert "no dead letters" in tripod(broker.url, "dead-letters", "list").stdout


@pytest.mark.parametrize("arguments", [("replay",), ("replay", "7"), ("drop",)])
def test_a_wrong_call_ends_with_one_line_and_status_1(broker: Broker, arguments: tuple[str, ...]) -> None:
    asyncio.run(poison(broker.url))
    ended = tripod(broker.url, "dead-letters", *arguments)
    assert ended.returncode == 1
    assert ended.stderr.startswith("tripod: ")
    assert len(ended.stderr.splitlines()) == 1


def test_an_absent_broker_is_named_by_its_variable() -> None:
    ended = tripod("nats://127.0.0.1:9", "dead-letters", "list")
    assert ended.returncode == 1
    assert "TRIPOD_NATS_URL" in ended.stderr


def test_a_token_is_made_for_a_caller_with_roles() -> None:
    made = tripod("nats://127.0.0.1:9", "token", "u1", "--role", "service", "--uid", "7")
    claims = jwt.decode(made.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["roles"], claims["uid"]) == ("u1", ["service"], 7)
