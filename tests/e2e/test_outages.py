"""Parts go down; nothing that was acknowledged is lost, and everything comes back by itself."""

import signal
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.fixtures.pictures import photo
from tests.fixtures.stack import Stack
from tests.fixtures.waiting import eventually


@contextmanager
def down(stack: Stack, *parts: str) -> Iterator[None]:
    """Kill these parts; start them again however the block ends."""
    for part in parts:
        stack.stop(part, signal.SIGKILL)
    try:
        yield
    finally:
        for part in reversed(parts):
            stack.start(part)


def ingest(stack: Stack, who: Client) -> httpx.Client:
    return httpx.Client(base_url=stack.ingest_url, headers=who.http.headers, timeout=30)


def status_before_the_body(url: str, who: Client) -> int:
    """Send only the headers of a large upload; the status that comes while the body is still held back."""
    head = (
        "POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nAuthorization: {who.http.headers['authorization']}\r\n\r\n"
    )
    with socket.create_connection(address(url), timeout=5) as connection:
        connection.sendall(head.encode())
        return int(connection.recv(4096).split(b" ", 2)[1])


def address(url: str) -> tuple[str, int]:
    """Where a service listens."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def ready(stack: Stack) -> bool:
    with httpx.Client(base_url=stack.origin_url, timeout=5) as http:
        return http.get("/health/ready").status_code == 200


@pytest.fixture(autouse=True)
def _well_before_and_after(stack: Stack) -> Iterator[None]:
    eventually(lambda: ready(stack), "the stack to be ready", 30)
    yield
    eventually(lambda: ready(stack), "the stack to be ready again", 30)


@pytest.mark.parametrize("part", ["catalog", "postgres"])
def test_invariant_1_uploads_succeed_with_all_ids_while_the_catalog_is_down(
    ann: Client, stack: Stack, part: str
) -> None:
    data = photo(seed=30)
    with down(stack, part), ingest(stack, ann) as http:
        answers = [http.post("/v1/uploads", files={"file": (f"{n}.jpg", data)}) for n in range(3)]
        for answer in answers:
            assert answer.status_code == 202, answer.text
            media = answer.json()
            assert uuid.UUID(media["id"]).version == 7
            assert media["public_id"].startswith("MED-")
            assert media["number"] >= 1
            where = http.get(f"/v1/uploads/{media['id']}")
            assert where.status_code == 200
            assert where.json()["status"] in {"processing", "ready"}
    for answer in answers:
        first = answer.json()
        media = eventually(
            lambda first=first: (
                ann.http.get(f"/v1/media/{first['id']}").json().get("status") == "ready" and first
            ),  # type: ignore[misc]
            "the upload to appear",
            30,
        )
        shown = ann.http.get(f"/v1/media/{media['id']}").json()
        assert (shown["number"], shown["public_id"]) == (media["number"], media["public_id"])
        assert ann.http.get(shown["download_url"]).content == data
    assert len({a.json()["number"] for a in answers}) == 3


def test_201_says_that_the_catalog_has_committed_and_202_when_the_caller_does_not_want_to_wait(
    ann: Client,
) -> None:
    eventually(lambda: ann.upload(photo(seed=31)).status_code == 201, "a 201")
    answer = ann.upload(photo(seed=31))
    if answer.status_code == 201:
        assert ann.http.get(answer.headers["location"]).status_code == 200
    late = ann.http.post(
        "/v1/uploads", files={"file": ("a.jpg", photo(seed=31))}, headers={"Prefer": "respond-async"}
    )
    assert late.status_code == 202


def test_with_the_broker_down_uploads_are_503_before_the_body_and_all_comes_back(
    ann: Client, stack: Stack
) -> None:
    with down(stack, "nats"), ingest(stack, ann) as http:

        def refused() -> httpx.Response | None:
            answer = http.post("/v1/uploads", files={"file": ("a.jpg", photo())})
            return answer if answer.status_code == 503 else None

        answer = eventually(refused, "uploads to be refused", 5)
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["detail"]

        assert status_before_the_body(stack.ingest_url, ann) == 503
    eventually(lambda: ann.upload(photo(seed=32)).status_code in {201, 202}, "uploads to work again", 30)
    assert ann.uploaded(photo(seed=33))["status"] == "ready"


def test_with_the_store_down_uploads_are_503_and_nothing_pretends_to_be_stored(
    ann: Client, stack: Stack
) -> None:
    with down(stack, "s3"), ingest(stack, ann) as http:
        answer = http.post("/v1/uploads", files={"file": ("a.jpg", photo(seed=34))})
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
    assert ann.uploaded(photo(seed=35))["status"] == "ready"
    assert len(ann.mine()) == 1


def test_with_the_processor_down_uploads_wait_and_are_processed_when_it_is_back(
    ann: Client, stack: Stack
) -> None:
    with down(stack, "processor"):
        answer = ann.upload(photo(seed=36))
        assert answer.status_code in {201, 202}
        eventually(
            lambda: ann.http.get(f"/v1/media/{answer.json()['id']}").json().get("status") == "processing",
            "the row to be there",
        )
    assert ann.final(answer.json()["id"])["status"] == "ready"


def test_a_killed_ingest_loses_no_acknowledged_upload_and_keeps_no_half_one(
    ann: Client, stack: Stack
) -> None:
    with ingest(stack, ann) as http:
        acknowledged = http.post("/v1/uploads", files={"file": ("a.jpg", photo(seed=37))})
    assert acknowledged.status_code in {201, 202}
    with half_an_upload(stack.ingest_url, ann), down(stack, "ingest"):
        pass
    assert ann.final(acknowledged.json()["id"])["status"] == "ready"
    assert len(ann.mine()) == 1


@contextmanager
def half_an_upload(url: str, who: Client) -> Iterator[None]:
    """An upload of which half the body has been sent and the rest never comes."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + photo(seed=38)
    head = (
        f"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nAuthorization: {who.http.headers['authorization']}\r\n\r\n"
    )
    with socket.create_connection(address(url), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        yield
