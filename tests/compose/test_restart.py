"""Stopping and starting the whole: an orderly end, and everything still there afterwards."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fixtures.compose import ComposeStack
from tests.fixtures.pictures import photo
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.timeout(300)


def test_after_down_and_up_everything_is_there(compose: ComposeStack) -> None:
    data = photo(seed=70)
    headers = {"Authorization": f"Bearer {compose.token('restarting')}"}
    with httpx.Client(base_url=compose.origin_url, headers=headers, timeout=30) as http:
        made = http.post("/v1/uploads", files={"file": ("photo.jpg", data, "image/jpeg")})
        assert made.status_code in {201, 202}, made.text
        url = f"/v1/media/{made.json()['id']}"

        def ready() -> bool:
            answer = http.get(url)
            return answer.status_code == 200 and answer.json()["status"] == "ready"

        eventually(ready, "the media to be ready")

        compose.run("stop", seconds=90)
        parts = [json.loads(line) for line in compose.run("ps", "--all", "--format", "json").splitlines()]
        ended = {part["Service"]: part["ExitCode"] for part in parts}
        compose.run("down", seconds=90)
        compose.up()

        # 143 is what a server says that has drained after SIGTERM; 137 would be one that had to be killed.
        assert set(ended.values()) <= {0, 143}, ended
        assert http.get(url).json()["status"] == "ready"
        assert http.get(f"{url}/download").content == data
        again = http.post("/v1/uploads", files={"file": ("photo.jpg", photo(seed=71), "image/jpeg")})
        assert again.json()["number"] > made.json()["number"]


def test_an_upload_under_way_is_finished_when_the_stack_is_stopped(compose: ComposeStack) -> None:
    data = photo(seed=72)
    begun, closed = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield data[:1000]
        begun.set()
        assert closed.wait(15)
        yield data[1000:]

    def refused() -> bool:
        try:
            return httpx.get(f"{compose.origin_url}/health/live", timeout=5).status_code != 200
        except httpx.TransportError:
            return True

    mine = {"Authorization": f"Bearer {compose.token('late')}"}
    url = f"{compose.origin_url}/v1/uploads/raw/late.jpg"
    with ThreadPoolExecutor(2) as pool:
        sent = pool.submit(
            httpx.put, url, content=body(), headers=mine | {"Content-Length": str(len(data))}, timeout=30
        )
        assert begun.wait(15)
        stopped = pool.submit(compose.run, "stop", seconds=90)
        eventually(refused, "the edge to take no new request", 15)
        closed.set()
        answer = sent.result()
        stopped.result()
    compose.up()
    assert answer.status_code in {201, 202}, answer.text

    def kept() -> bytes:
        got = httpx.get(f"{compose.origin_url}/v1/media/{answer.json()['id']}/download", headers=mine)
        return got.content if got.status_code == 200 else b""

    assert eventually(kept, "the media to be there") == data
