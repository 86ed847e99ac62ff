"""Clients of the whole system. Tests in this folder speak HTTP only and import nothing of the services."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

FINAL = {"ready", "failed"}


class Client:
    """One caller at the origin."""

    def __init__(self, http: httpx.Client, sub: str) -> None:
        self.http = http
        self.sub = sub

    def upload(self, data: bytes, name: str = "photo.jpg", **fields: str) -> httpx.Response:
        """POST one file with its form fields."""
        kind = {"jpg": "image/jpeg", "png": "image/png"}.get(
            name.rsplit(".", 1)[-1], "application/octet-stream"
        )
        return self.http.post("/v1/uploads", files={"file": (name, data, kind)}, data=fields)

    def mine(self) -> list[dict[str, Any]]:
        """What this caller owns, newest first; the list itself also shows what others made public."""
        answer = self.http.get("/v1/media", params={"owner": self.sub})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def final(self, media_id: str, seconds: float = 30) -> dict[str, Any]:
        """The media once it is ready or failed."""

        def look() -> dict[str, Any] | None:
            answer = self.http.get(f"/v1/media/{media_id}")
            media: dict[str, Any] = answer.json()
            return media if answer.status_code == 200 and media["status"] in FINAL else None

        return eventually(look, f"{media_id} to be final", seconds)

    def uploaded(self, data: bytes, name: str = "photo.jpg", **fields: str) -> dict[str, Any]:
        """Upload and wait until the media is final."""
        answer = self.upload(data, name, **fields)
        assert answer.status_code in {201, 202}, answer.text
        return self.final(answer.json()["id"])


@pytest.fixture
def nobody(system: System) -> Iterator[httpx.Client]:
    """The origin without a token."""
    with httpx.Client(base_url=system.origin_url, timeout=30) as http:
        yield http


def client_of(system: System, sub: str, *roles: str) -> Iterator[Client]:
    """A caller with these roles, until its connections are closed."""
    headers = {"Authorization": f"Bearer {system.token(sub, *roles)}"}
    with httpx.Client(base_url=system.origin_url, headers=headers, timeout=30) as http:
        yield Client(http, sub)


@pytest.fixture
def ann(system: System, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A user of this test only, so that her list holds what the test put there."""
    yield from client_of(system, f"ann of {request.node.name[:100]}")


@pytest.fixture
def bob(system: System, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Another user, who has nothing to do with ann."""
    yield from client_of(system, f"bob of {request.node.name[:100]}")


@pytest.fixture
def service(system: System) -> Iterator[Client]:
    """A back end that keeps the entity registry."""
    yield from client_of(system, "backend", "service")
