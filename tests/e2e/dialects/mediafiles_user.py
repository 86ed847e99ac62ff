"""A user of the mediafiles API, and what tests of its document do in their name."""

import itertools
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.dialects.conftest import Caller
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.waiting import eventually

RECORD = (
    "id", "user", "user_username", "file_type", "status", "file_size", "mime_type", "display_url", "thumbnail_url",
    "urls", "width", "height", "duration", "bitrate", "metadata", "is_public", "created_at", "updated_at",
)  # fmt: skip
URLS = ("thumbnail", "small", "medium", "large", "webp", "original")
MEDIA = "/api/media/"
MISSING = (404, "Not found.")
SMALL = encoded(picture(64, 48), "PNG")
_names = itertools.count(1)


class User:
    """A user and what they do with the API."""

    def __init__(self, http: httpx.Client, number: int, name: str) -> None:
        self.http = http
        self.number = number
        self.name = name
        self.token = http.headers["authorization"].removeprefix("Bearer ")
        self.origin = str(http.base_url).rstrip("/")

    def upload(self, data: bytes = SMALL, name: str = "photo.png", **said: str) -> dict[str, Any]:
        answer = self.http.post(f"{MEDIA}upload/", files={"file": (name, data)}, data=said)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: object = "", **query: str | int) -> Any:
        answer = self.http.get(f"{MEDIA}{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def final(self, number: int) -> dict[str, Any]:
        """The media once it is ready or failed."""

        def look() -> dict[str, Any] | None:
            answer = self.http.get(f"{MEDIA}{number}/")
            found: dict[str, Any] = answer.json()
            return found if answer.is_success and found["status"] in {"ready", "failed"} else None

        return eventually(look, f"media {number} to be processed", 60)

    def ready(self, data: bytes = SMALL, name: str = "photo.png", **said: str) -> dict[str, Any]:
        found = self.final(self.upload(data, name, **said)["id"])
        assert found["status"] == "ready", found
        return found


def new_user(caller: Caller, new_number: Callable[[], int], name: str = "", *roles: str) -> User:
    """One whom no other test knows."""
    number, name = new_number(), name or f"user {next(_names)}"
    return User(caller(str(number), *roles, preferred_username=name), number, name)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]
