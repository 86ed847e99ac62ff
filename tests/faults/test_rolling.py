"""Replicas are stopped and started one after the other under load, and no client notices."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event

import httpx
import msgspec
import pytest

from deploy.child import Child
from deploy.config import LOOPBACK
from deploy.ports import free_port
from deploy.services import probe
from tests.faults.balancer import balanced
from tests.faults.clients import uploaded
from tests.faults.conftest import Victim
from tests.faults.control import assert_whole
from tests.faults.load import Files

DRAIN_SECONDS = 10


class Replicas:
    """The stack's own instance of a service and another one beside it."""

    def __init__(self, victim: Victim, name: str, spawner: ThreadPoolExecutor) -> None:
        first, port = victim.stack.child(name), free_port(set())
        spec = msgspec.structs.replace(
            first.spec,
            env={**first.spec.env, "TRIPOD_HTTP_PORT": str(port)},
            probe=lambda: probe(f"http://{LOOPBACK}:{port}/health/ready"),
        )
        self.victim, self.name, self._spawner = victim, name, spawner
        self.second = Child(spec, victim.folder / f"{name}-2.log")
        self.second.start(spawner)
        self.second.wait_ready()
        self.ports = [getattr(victim.stack.ports, name), port]

    def roll(self) -> None:
        """Each one goes by SIGTERM and is back before the next one goes."""
        self.victim.stack.stop(self.name, signal.SIGTERM, seconds=DRAIN_SECONDS)
        self.victim.stack.start(self.name)
        self.second.signal(signal.SIGTERM)
        assert self.second.wait(DRAIN_SECONDS), f"{self.name} does not end"
        assert self.second.process
        assert self.second.process.returncode == 0, self.second.obituary()
        self.second.start(self._spawner)
        self.second.wait_ready()

    def end(self) -> None:
        self.second.signal(signal.SIGTERM)
        self.second.wait(DRAIN_SECONDS)
        self.second.kill()


@contextmanager
def replicas(victim: Victim, *names: str) -> Iterator[list[Replicas]]:
    with ExitStack() as stack:
        spawner = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        made = []
        for name in names:
            made.append(Replicas(victim, name, spawner))
            stack.callback(made[-1].end)
        yield made


class Impatient:
    """Clients that never retry: each failure counts. Every request takes a connection of its own, as through a proxy
    that keeps none."""

    def __init__(self, victim: Victim, upload_url: str, read_url: str, media_id: str) -> None:
        self.victim = victim
        self.stop = Event()
        self.uploads = self.reads = 0
        self.failed: list[str] = []
        self._urls = upload_url, read_url
        self._media_id = media_id

    def upload(self) -> None:
        files = Files(77)
        with self._client(self._urls[0]) as http:
            while not self.stop.is_set():
                name, data = files.make(self.uploads)
                answer = self._ask(partial(http.post, "/v1/uploads", files={"file": (name, data)}))
                if answer is not None:
                    self.uploads += 1
                    self.victim.ledger.note(answer.json()["id"], data, tries=1, seconds=0)

    def read(self) -> None:
        with self._client(self._urls[1]) as http:
            while not self.stop.is_set():
                if self._ask(partial(http.get, f"/v1/media/{self._media_id}")) is not None:
                    self.reads += 1

    def _client(self, url: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.victim.token}"}
        return httpx.Client(
            base_url=url, headers=headers, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
        )

    def _ask(self, request: Callable[[], httpx.Response]) -> httpx.Response | None:
        try:
            answer = request()
        except httpx.TransportError as error:
            self.failed.append(repr(error))
            return None
        if answer.status_code >= 400:
            self.failed.append(f"{answer.status_code} {answer.text}")
            return None
        return answer


def roll_under_load(victim: Victim, rounds: int) -> Impatient:
    media_id = uploaded(victim)
    with replicas(victim, "ingest", "catalog") as (ingest, catalog), ExitStack() as stack:
        upload_url = stack.enter_context(balanced(ingest.ports))
        read_url = stack.enter_context(balanced(catalog.ports))
        clients = Impatient(victim, upload_url, read_url, media_id)
        with ThreadPoolExecutor(max_workers=4) as pool:
            working = [
                pool.submit(work) for work in (clients.upload, clients.upload, clients.read, clients.read)
            ]
            try:
                for _ in range(rounds):
                    ingest.roll()
                    catalog.roll()
            finally:
                clients.stop.set()
        for work in working:
            work.result()
    return clients


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_rolling_restart_under_load_fails_no_request(victim: Victim) -> None:
    clients = roll_under_load(victim, 3)
    assert clients.failed == []
    assert clients.uploads >= 100
    assert clients.reads >= 100
    assert_whole(victim.stack, victim.ledger, victim.folder)
