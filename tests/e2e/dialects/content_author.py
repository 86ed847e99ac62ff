"""A user of the content service's API, and what tests of its document do in their name."""

import uuid
from typing import Any

import httpx

from tests.fixtures.pictures import encoded, picture
from tests.fixtures.waiting import eventually

CONTENT = "123e4567-e89b-12d3-a456-426614174000"
"""The one that the examples name."""
RESPONSE = (
    "id", "content_id", "media_type", "filename", "url", "thumbnail_url", "storage_path", "file_size", "mime_type",
    "width", "height", "duration", "metadata", "uploaded_by", "created_at", "updated_at",
)  # fmt: skip
MEDIA = "/api/v1/media"
SMALL = encoded(picture(64, 48), "PNG")


class Author:
    """A user of the module and what they do with the API."""

    def __init__(self, http: httpx.Client, sub: str) -> None:
        self.http = http
        self.sub = sub
        self.token = http.headers["authorization"].removeprefix("Bearer ")
        self.origin = str(http.base_url).rstrip("/")

    def post(
        self, data: bytes = SMALL, name: str = "a.png", path: str = f"{MEDIA}/upload", **said: str
    ) -> httpx.Response:
        fields = {"media_type": "image"} | said
        return self.http.post(path, files={"file": (name, data)}, data=fields)

    def upload(self, data: bytes = SMALL, name: str = "a.png", **said: str) -> dict[str, Any]:
        answer = self.post(data, name, **said)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def processed(self, data: bytes, name: str, **said: str) -> dict[str, Any]:
        """The record once it is ready or failed: behind a long film its upload may be answered before."""
        made = self.upload(data, name, **said)
        path = f"/v1/media/{made['id']}"
        eventually(
            lambda: self.http.get(path).json().get("status") in {"ready", "failed"}, f"{name} to be processed"
        )
        found: dict[str, Any] = self.get(f"/{made['id']}")
        return found

    def get(self, path: str, **query: str | int) -> Any:
        answer = self.http.get(MEDIA + path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def new_content(service: httpx.Client, content_id: str = "", **people: list[str]) -> str:
    """Registers a content of that id, or of a new one, and waits until uploads know it."""
    made = content_id or str(uuid.uuid4())
    assert service.put(f"/v1/entities/content/{made}", json=people).is_success
    path = f"{MEDIA}/content/{made}/upload"

    def known() -> bool:  # a file that is refused tells as much as one that is taken
        answer = service.post(path, files={"file": ("a.txt", b"x")}, data={"media_type": "image"})
        return answer.status_code == 400

    eventually(known, "uploads to know the content")
    return made


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]
