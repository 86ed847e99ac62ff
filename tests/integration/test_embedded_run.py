"""`python -m deploy run` as a person uses it: started, interrupted, killed, started twice, on busy ports."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from deploy.config import Folder
from deploy.credentials import Credentials
from deploy.services import PROJECT
from deploy.stack import State

ANY = [f"--{name}" for name in ("port=0", "processor-port=0", "metrics-port=0", "nats-port=0", "s3-port=0")]
Run = Callable[..., "Running"]


class Running:
    """A stack in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = Folder(root=folder)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy", "run", "--data", str(folder), "--servers-only", *options],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ready(self) -> State:
        wait_until(lambda: self.folder.state.exists() or self.process.poll() is not None, 60)
        assert self.folder.state.exists(), self.output()
        return msgspec.json.decode(self.folder.state.read_bytes(), type=State)

    def children(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def output(self) -> str:
        text, _ = self.process.communicate(timeout=15)
        return text


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Running] = []

    def start(*options: str, folder: str = "data") -> Running:
        running = Running(tmp_path / folder, *ANY, "--postgres-port=0", *options)
        started.append(running)
        return running

    yield start
    for running in started:
        running.process.terminate()
        running.process.communicate(timeout=15)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


def gone(family: list[psutil.Process]) -> bool:
    return not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_every_process_within_ten_seconds(run: Run, number: signal.Signals) -> None:
    running = run()
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
    running = run()
    wait_until(lambda: any(member.name() == "nats-server" for member in running.children()), 30)
    family = running.children()

    running.process.terminate()

    assert "stopped" in running.output()
    assert running.process.returncode == 0
    assert gone(family)


def test_killed_stack_leaves_no_process(run: Run) -> None:
    running = run()
    running.ready()
    family = running.children()

    running.process.kill()
    running.process.wait()

    wait_until(lambda: gone(family))


def test_killed_stack_starts_again_with_the_same_secrets(run: Run) -> None:
    first = run()
    first.ready()
    family = first.children()
    before = msgspec.json.decode(first.folder.credentials.read_bytes(), type=Credentials)
    first.process.kill()
    first.output()
    wait_until(lambda: gone(family))
    first.folder.state.unlink()

    second = run()
    second.ready()

    assert msgspec.json.decode(second.folder.credentials.read_bytes(), type=Credentials) == before
    assert second.folder.credentials.stat().st_mode & 0o777 == 0o600


def test_child_that_dies_stops_the_stack_and_shows_its_last_words(run: Run) -> None:
    running = run()
    running.ready()
    family = running.children()

    next(member for member in family if member.name() == "nats-server").kill()
    said = running.output()

    assert running.process.returncode == 1
    assert "nats ended by itself (signal SIGKILL)" in said
    assert "Server is ready" in said
    assert gone(family)


def test_second_stack_on_the_same_folder_names_the_first_one(run: Run) -> None:
    first = run()
    first.ready()

    second = run()
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

        running = run(f"--nats-port={port}")
        said = " ".join(running.output().split())

    me = psutil.Process()
    assert running.process.returncode == 1
    assert f"port {port} (NATS) is in use by {me.name()} (pid {me.pid})" in said
    assert not running.folder.postgres.exists()
