"""The whole system as `make run` starts it: both HTTP services in one process behind one origin."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from deploy import seed, tokens
from deploy.config import Folder
from deploy.credentials import Credentials
from deploy.services import PROJECT
from tests.fixtures.pictures import photo
from tests.fixtures.running import Run, Running, gone
from tests.fixtures.waiting import eventually


def token(folder: Folder, sub: str, *roles: str) -> dict[str, str]:
    secret = msgspec.json.decode(folder.credentials.read_bytes(), type=Credentials).jwt_secret
    return {"Authorization": f"Bearer {tokens.make(secret, sub, roles)}"}


def demo(*arguments: str) -> tuple[int, dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, "-m", "deploy", "demo", "--json", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def stop(running: Running, number: int = signal.SIGTERM) -> None:
    family = running.children()
    began = time.monotonic()
    running.process.send_signal(number)
    said = running.output()
    assert running.process.returncode == 0, said
    assert gone(family)
    assert time.monotonic() - began < 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One running system for the tests that leave it as it is."""
    running = Running(tmp_path_factory.mktemp("whole") / "data")
    running.ready()
    yield running
    running.close()


def test_demo_shows_all_that_is_known_of_a_picture_and_finds_its_copy(whole: Running) -> None:
    status, story = demo("--data", str(whole.folder.root))

    assert (status, story["ok"], story["url"]) == (0, True, whole.ready().url)
    assert story["similar"]["label"] in {"identical", "very_similar"}
    assert len(story["media"]["variants"]) == 6
    assert story["media"]["exif"]["gps"]["latitude"] == pytest.approx(46.5374, abs=1e-4)
    assert {"uploaded", "ready"} <= set(story["milestones"])


def test_demo_of_a_broken_picture_says_why_and_fails(whole: Running, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo()[:20_000])

    status, story = demo("--data", str(whole.folder.root), str(broken))

    assert status == 1
    assert story["media"]["error"]["code"] == "truncated"
    assert "truncated" in story["fault"]


def test_run_prints_what_a_person_needs_and_seeds_the_demo_entities(whole: Running) -> None:
    url = whole.ready().url
    with httpx.Client(base_url=url, headers=token(whole.folder, "backend", "service")) as http:
        found = [http.get(f"/v1/entities/{entity.type}/{entity.id}") for entity in seed.ENTITIES]
    said = whole.said()

    assert [answer.status_code for answer in found] == [200] * len(seed.ENTITIES)
    assert all(answer.json()["owners"] == [seed.OWNER] for answer in found)
    assert f"Tripod is ready at {url}" in said
    assert said.count("\neyJ") == 5
    assert f"-F file=@photo.jpg {url}/v1/uploads" in said


def test_origin_has_pages_and_one_description_but_no_metrics(whole: Running) -> None:
    url, ports = whole.ready().url, whole.ready().ports
    answers = {path: httpx.get(url + path) for path in ("/docs", "/redoc", "/openapi.json", "/metrics")}
    pages = [
        httpx.get(f"http://127.0.0.1:{ports['metrics']}/{service}/metrics")
        for service in ("ingest", "catalog")
    ]

    assert {path: answer.status_code for path, answer in answers.items()} == {
        "/docs": 200,
        "/redoc": 200,
        "/openapi.json": 200,
        "/metrics": 404,
    }
    paths = answers["/openapi.json"].json()["paths"]
    assert {"/v1/uploads", "/v1/media"} <= set(paths)
    assert all((page.status_code, "# TYPE" in page.text) == (200, True) for page in pages)


def test_what_is_stored_survives_a_restart_and_a_kill_leaves_no_process_of_services(run: Run) -> None:
    first = run()
    url = first.ready().url
    with httpx.Client(base_url=url, headers=token(first.folder, "1")) as http:
        answer = http.put("/v1/uploads/raw/kept.jpg", content=photo())
        assert answer.status_code in {201, 202}, answer.text
        media = answer.json()
    stop(first, signal.SIGINT)

    second = run()
    with httpx.Client(base_url=second.ready().url, headers=token(second.folder, "1")) as http:
        found = eventually(
            lambda: (
                found if (found := http.get(f"/v1/media/{media['id']}").json())["status"] == "ready" else None
            ),
            "the media to be ready",
        )
        assert http.get(f"/v1/media/{media['id']}/download").content == photo()
    assert found["sha256"] == media["sha256"]

    # The same stack is killed: one more would take seconds to start.
    family = second.children()
    assert len([member for member in family if "services.processor" in member.cmdline()]) >= 1
    second.process.kill()
    second.process.wait()
    eventually(lambda: gone(family), "the end of every child")


@pytest.mark.long
def test_demo_starts_a_stack_of_its_own_where_none_runs(tmp_path: Path) -> None:
    file = tmp_path / "mine.jpg"
    file.write_bytes(photo())

    status, story = demo("--data", str(tmp_path / "none"), str(file))

    assert (status, story["media"]["filename"], story["media"]["status"]) == (0, "mine.jpg", "ready")
    assert not (tmp_path / "none").exists()


@pytest.mark.long  # that of a server, in test_embedded_run.py, goes the same way
@pytest.mark.parametrize("part", ["processor", "origin"])
def test_service_that_dies_stops_the_stack_with_its_last_words(run: Run, part: str) -> None:
    running = run()
    running.ready()
    family = running.children()
    module = {"processor": "services.processor", "origin": "deploy.edge"}[part]
    parent = psutil.Process(running.process.pid)

    next(child for child in parent.children() if module in child.cmdline()).kill()
    said = running.output()

    assert running.process.returncode == 1
    assert f"{part} ended by itself (signal SIGKILL)" in said
    assert f"{part}.log" in said
    assert gone(family)


@pytest.mark.long
def test_stop_while_an_upload_hangs_takes_less_than_ten_seconds(run: Run) -> None:
    running = run()
    port = running.ready().ports["origin"]
    bearer = token(running.folder, "1")["Authorization"]
    request = "PUT /v1/uploads/raw/slow.jpg HTTP/1.1"
    head = f"{request}\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Length: 100000\r\n\r\n"

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + photo()[:5000])
        stop(running)
