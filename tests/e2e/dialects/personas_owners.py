"""Owners of personas and what they do with the personas API."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.dialects.conftest import Caller
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.waiting import eventually

RECORD = {
    "id", "filename", "original_filename", "file_size", "mime_type", "media_type", "persona_id", "user_id",
    "description", "created_at", "updated_at",
}  # fmt: skip
IMAGES = "image type. Allowed types: image/jpeg, image/png, image/gif, image/webp, image/bmp, image/tiff"
VIDEOS = (
    "video type. Allowed types: video/mp4, video/avi, video/mov, video/wmv, video/flv, video/webm, video/mkv, "
    "video/3gp"
)
SMALL = encoded(picture(64, 48), "PNG")


class Owner:
    """A user and what they do with the API."""

    def __init__(self, http: httpx.Client, number: int) -> None:
        self.http = http
        self.number = number
        self.origin = str(http.base_url).rstrip("/")
        self.token = http.headers["authorization"].removeprefix("Bearer ")

    def upload(
        self, persona: object, data: bytes = SMALL, name: str = "a.png", kind: str = "", **said: str
    ) -> dict[str, Any]:
        """`kind`: the declared type, made of the name where it is left out."""
        file = (name, data, kind) if kind else (name, data)
        answer = self.http.post(f"/media/upload/{persona}", files={"file": file}, data=said)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, **query: str | int) -> Any:
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def new_owner(caller: Caller, service: httpx.Client, new_number: Callable[[], int], *personas: int) -> Owner:
    """Of these personas; of one that has their own number where none is named."""
    number = new_number()
    owner = Owner(caller(str(number)), number)
    for persona in personas or (number,):
        register(service, persona, owner)
    return owner


def register(service: httpx.Client, persona: int, owner: Owner) -> None:
    """As the system that owns personas does; until ingest has heard of it."""
    answer = service.put(f"/v1/entities/persona/{persona}", json={"owners": [str(owner.number)]})
    assert answer.status_code == 200, answer.text
    where, no_picture = f"/media/upload/{persona}", {"file": ("a.png", b"no picture")}
    eventually(lambda: owner.http.post(where, files=no_picture).status_code == 400, "the persona")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]
