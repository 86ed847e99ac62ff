"""`python -m deploy run` as a person uses it: started, interrupted, killed, started twice, on busy ports."""

import signal
import socket
import time

import msgspec
import psutil
import pytest

from deploy.credentials import Credentials
from tests.fixtures.running import Run, gone
from tests.fixtures.waiting import eventually


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_every_process_within_ten_seconds(run: Run, number: signal.Signals) -> None:
    running = run("--servers-only")
    running.ready()
    family = running.children()
    assert {"postgres", "nats-server", "rclone"} <= {member.name() for member in family}

    began = time.monotonic()
    running.process.send_signal(number)
    said = running.output()

    assert running.process.returncode == 0, said
    assert gone(family)
    assert time.monotonic() - began < 10


def test_signal_during_start_stops_every_process(run: Run) -> None:
    running = run("--servers-only")
    eventually(lambda: "nats-server" in running.names(), "a child", 30)
    family = running.children()

    running.process.terminate()

    assert "stopped" in running.output()
    assert running.process.returncode == 0
    assert gone(family)


def test_killed_stack_leaves_no_process(run: Run) -> None:
    running = run("--servers-only")
    running.ready()
    family = running.children()

    running.process.kill()
    running.process.wait()

    eventually(lambda: gone(family), "the end of every child")


def test_killed_stack_starts_again_with_the_same_secrets(run: Run) -> None:
    first = run("--servers-only")
    first.ready()
    family = first.children()
    before = msgspec.json.decode(first.folder.credentials.read_bytes(), type=Credentials)
    first.process.kill()
    first.output()
    eventually(lambda: gone(family), "the end of every child")
    first.folder.state.unlink()

    second = run("--servers-only")
    second.ready()

    assert msgspec.json.decode(second.folder.credentials.read_bytes(), type=Credentials) == before
    assert second.folder.credentials.stat().st_mode & 0o777 == 0o600


def test_child_that_dies_stops_the_stack_and_shows_its_last_words(run: Run) -> None:
    running = run("--servers-only")
    running.ready()
    family = running.children()

    next(member for member in family if member.name() == "nats-server").kill()
    said = running.output()

    assert running.process.returncode == 1
    assert "nats ended by itself (signal SIGKILL)" in said
    assert "Server is ready" in said
    assert gone(family)


def test_second_stack_on_the_same_folder_names_the_first_one(run: Run) -> None:
    first = run("--servers-only")
    first.ready()

    second = run("--servers-only")
    said = second.output()

    assert second.process.returncode == 1
    assert f"already running on {first.folder.root}" in " ".join(said.split())
    assert f"pid {first.process.pid}" in " ".join(said.split())
    assert first.process.poll() is None
    assert first.folder.state.exists()


def test_busy_port_is_named_with_its_purpose_and_holder_before_anything_starts(run: Run) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]

        running = run("--servers-only", f"--nats-port={port}")
        said = " ".join(running.output().split())

    me = psutil.Process()
    assert running.process.returncode == 1
    assert f"port {port} (NATS) is in use by {me.name()} (pid {me.pid})" in said
    assert not running.folder.postgres.exists()
