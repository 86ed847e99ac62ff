"""One trace id goes from the request through the broker and the child process to the live message."""

import json
import os
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Client
from tests.fixtures.pictures import photo
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually


def lines(system: System, service: str, trace_id: str) -> list[dict[str, Any]]:
    """The log lines of a service that belong to a trace."""
    text = system.logs()[service]
    found = [json.loads(line) for line in text.splitlines() if trace_id in line and line.startswith("{")]
    return [line for line in found if line.get("trace_id") == trace_id]


def test_invariant_12_one_trace_id_goes_from_the_request_to_the_live_message(
    ann: Client, system: System
) -> None:
    trace_id = os.urandom(16).hex()
    token = ann.http.headers["authorization"].removeprefix("Bearer ")
    live = system.origin_url.replace("http", "ws", 1) + f"/v1/live?token={token}"
    with connect(live) as socket:
        answer = ann.http.post(
            "/v1/uploads",
            files={"file": ("photo.jpg", photo(seed=40))},
            headers={"traceparent": f"00-{trace_id}-{os.urandom(8).hex()}-01"},
        )
        assert answer.headers["x-trace-id"] == trace_id
        media_id = answer.json()["id"]
        seen: set[str] = set()
        while not seen >= {"media.created", "progress", "media.updated"}:
            message = json.loads(socket.recv(timeout=20))
            if message.get("id") != media_id and message.get("media", {}).get("id") != media_id:
                continue
            assert message["trace_id"] == trace_id, message
            seen.add(message["type"])
    assert ann.final(media_id)["status"] == "ready"
    for service in ("ingest", "processor", "catalog"):
        found = eventually(lambda service=service: lines(system, service, trace_id), f"a line of {service}")  # type: ignore[misc]
        assert any(media_id in json.dumps(line) for line in found), found
        assert all(line["service"] == service for line in found)
    steps = [line for line in lines(system, "processor", trace_id) if line["event"] == "job.step"]
    assert {line["child_trace"] for line in steps} == {trace_id}  # as the child itself told it


def test_no_log_holds_a_token_or_a_signed_link(ann: Client, nobody: httpx.Client, system: System) -> None:
    media = ann.uploaded(photo(seed=41))
    url = ann.http.post(f"/v1/media/{media['id']}/links", json={}).json()["url"]
    assert nobody.get(url).status_code == 200
    signature = url.rsplit("signature=", 1)[1][:64]
    token = ann.http.headers["authorization"].removeprefix("Bearer ")
    with connect(system.origin_url.replace("http", "ws", 1) + f"/v1/live?token={token}"):
        pass
    for name, text in system.logs().items():
        assert signature not in text, name
        assert token not in text, name


def test_live_shows_nothing_of_others(ann: Client, bob: Client, system: System) -> None:
    token = bob.http.headers["authorization"].removeprefix("Bearer ")
    with connect(system.origin_url.replace("http", "ws", 1) + f"/v1/live?token={token}") as socket:
        theirs = ann.uploaded(photo(seed=42))
        own = bob.uploaded(photo(seed=43))
        while True:
            text = str(socket.recv(timeout=20))
            assert theirs["id"] not in text
            if own["id"] in text and '"ready"' in text:
                break


@pytest.mark.parametrize("service", ["ingest", "catalog", "processor"])
def test_every_service_has_health_and_metrics_of_its_own(system: System, service: str) -> None:
    assert system.page(service, "/health/live")[0] == 200
    assert system.page(service, "/health/ready")[0] == 200
    assert "# HELP tripod_" in system.page(service, "/metrics")[1]


def test_metrics_are_not_served_at_the_origin(nobody: httpx.Client) -> None:
    assert nobody.get("/metrics").status_code == 404


def test_the_origin_shows_one_merged_openapi_and_pages_that_load_nothing_from_elsewhere(
    nobody: httpx.Client,
) -> None:
    document = nobody.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/v1/uploads", "/v1/uploads/raw/{filename}", "/v1/media", "/v1/media/{ref}/similar"} <= set(
        document["paths"]
    )
    for page in ("/docs", "/redoc"):
        answer = nobody.get(page, follow_redirects=True)
        assert answer.status_code == 200
        assert "default-src" in answer.headers["content-security-policy"]
        assert "https://" not in answer.text.replace("https://www.w3.org", "")


def test_health_at_the_origin_covers_every_service(nobody: httpx.Client) -> None:
    answer = nobody.get("/health/ready")
    assert answer.status_code == 200
    assert {"ingest", "catalog", "processor"} <= set(json.dumps(answer.json()).replace('"', " ").split())
