"""Several of each service behind the edge."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fixtures.compose import ComposeStack
from tests.fixtures.pictures import photo
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.timeout(300)
UPLOADS = 60


@pytest.fixture(scope="module")
def scaled(compose: ComposeStack) -> Iterator[ComposeStack]:
    compose.up(processor=3, ingest=2, catalog=2)
    yield compose
    compose.up(processor=1, ingest=1, catalog=1)


def counted(compose: ComposeStack, service: str, metric: str, index: int) -> float:
    """The sum of one metric over its labels, of one replica."""
    lines = compose.page(service, "/metrics", index)[1].splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(metric))


def client(compose: ComposeStack, sub: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {compose.token(sub)}"}
    # A fresh connection for each request, as many clients would make them.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=compose.origin_url, headers=headers, timeout=60, limits=limits)


def upload(http: httpx.Client, seed: int) -> httpx.Response:
    return http.post("/v1/uploads", files={"file": ("photo.jpg", photo(320, 240, seed=seed), "image/jpeg")})


def final(http: httpx.Client, media_ids: set[str]) -> bool:
    items = http.get("/v1/media", params={"limit": 100, "owner": "scaling"}).json()["items"]
    return {item["id"] for item in items if item["status"] == "ready"} >= media_ids


def test_every_replica_takes_its_share_and_nothing_is_lost(scaled: ComposeStack) -> None:
    with client(scaled, "scaling") as http:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda seed: upload(http, seed), range(1000, 1000 + UPLOADS)))
        assert {answer.status_code for answer in answers} <= {201, 202}
        media_ids = {answer.json()["id"] for answer in answers}
        assert len(media_ids) == len({answer.json()["number"] for answer in answers}) == UPLOADS
        eventually(lambda: final(http, media_ids), "all media to be ready", 60)
    for service, metric, replicas in (
        ("ingest", "tripod_ingest_uploads_total", 2),
        ("catalog", "tripod_http_requests_total", 2),
        ("processor", "tripod_jobs_total", 3),
    ):
        shares = [counted(scaled, service, metric, index) for index in range(1, replicas + 1)]
        assert min(shares) > 0, (service, shares)


def test_a_replica_leaves_under_load_and_no_request_fails(scaled: ComposeStack) -> None:
    stop = threading.Event()
    seeds = iter(range(2000, 10_000))

    def load(http: httpx.Client) -> list[int]:
        statuses = []
        while not stop.is_set():
            statuses.append(upload(http, next(seeds)).status_code)
            statuses.append(http.get("/v1/media").status_code)
        return statuses

    with client(scaled, "leaving") as http, ThreadPoolExecutor(3) as pool:
        running = [pool.submit(load, http) for _ in range(2)]
        try:
            scaled.up(processor=2, ingest=1, catalog=1)
        finally:
            stop.set()
        statuses = [status for load in running for status in load.result()]
    assert len(statuses) > 20
    assert set(statuses) <= {200, 201, 202}, {s: statuses.count(s) for s in set(statuses)}
