"""The edge: what it lets through, what it answers itself, and that it holds nothing back."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.fixtures.compose import ComposeStack


@pytest.fixture
def http(compose: ComposeStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=compose.origin_url, timeout=30) as client:
        yield client


def status_before_the_body(port: int, *headers: str) -> int:
    """Send the headers of a large upload only; the status that comes while the body is held back."""
    head = (
        "POST /v1/uploads HTTP/1.1",
        "Host: localhost",
        "Content-Length: 50000000",
        "Content-Type: multipart/form-data; boundary=x",
        *headers,
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join((*head, "", "")).encode())
        return int(connection.recv(4096).split(b" ", 2)[1])


def raw_status(port: int, path: str) -> int:
    """The status of a path exactly as written: clients tidy paths up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(4096).split(b" ", 2)[1])


def test_an_upload_reaches_ingest_before_its_body_is_complete(compose: ComposeStack) -> None:
    # Were bodies buffered, no answer could come while 50 MB are outstanding.
    assert status_before_the_body(compose.port) == 401


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "//metrics", "/metrics/", "/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/media/..%2f..%2fmetrics",
        "/ingest/metrics", "/v1//../metrics", "/health/ready/../../metrics", "/ready.json", "/_ready", "/docs/..",
    ],
)  # fmt: skip
def test_what_is_inside_stays_inside(compose: ComposeStack, path: str) -> None:
    assert raw_status(compose.port, path) in {302, 404} - ({302} if "metrics" in path else set())


def test_the_edge_answers_unknown_paths_as_the_services_do(http: httpx.Client) -> None:
    answer = http.get("/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


def test_a_preflight_reaches_the_service_of_the_method_it_asks_for(http: httpx.Client) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = http.options("/v1/uploads", headers=asked)
    assert answer.status_code in {200, 204}
    assert answer.headers["access-control-allow-origin"] in {"*", "https://app.example"}


def test_a_service_that_is_down_is_a_problem_and_comes_back(
    compose: ComposeStack, http: httpx.Client
) -> None:
    compose.run("stop", "catalog")
    try:
        down = http.get("/v1/media")
        ready = http.get("/health/ready")
        alive = http.get("/health/live")
    finally:
        compose.up()
    assert (down.status_code, ready.status_code, alive.status_code) == (503, 503, 200)
    for answer in (down, ready):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "2"
    assert http.get("/v1/media").status_code == 200
    assert http.get("/health/ready").json()["status"] == "ready"
