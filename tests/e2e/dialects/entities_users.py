"""Users of the entities API and what its document shows of a media."""

from typing import Any

import httpx

from tests.e2e.dialects.conftest import Caller
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.waiting import eventually

PRINTED = {
    "id", "public_id", "original_url", "thumbnail_url", "medium_url", "entity_type", "entity_id", "is_primary",
}  # fmt: skip
SPOKEN_OF = {
    "small_url", "large_url", "entity_field", "alt_text", "caption", "sort_order", "tags", "media_type",
    "content_type", "mime_type", "file_size", "width", "height", "duration", "phash", "exif",
    "moderation_status", "is_public", "uploaded_by", "created_at", "updated_at", "filename", "status",
}  # fmt: skip
PNG = encoded(picture(160, 120, seed=70), "PNG")
# What the system that owns them has registered; user 1 owns or administers all of it, user 2 none.
ENTITIES = {
    "user/2": {"owners": ["2"], "display_id": "USR-2"},
    "user/1": {"owners": ["1"], "display_id": "USR-1"},
    "property/123": {"owners": ["9"], "admins": ["1"], "display_id": "PROP-123"},
    "community/123": {"admins": ["1"], "display_id": "CMY-123"},
    "community/124": {"admins": ["2"], "display_id": "CMY-124"},
    "builder/12": {"owners": ["1"], "admins": ["2"], "display_id": "BLD-012"},
    "sales_rep/5": {"owners": ["1"], "display_id": "REP-5"},
    "post/1": {"owners": ["1"], "admins": ["2"], "display_id": "POST-1"},
    "amenity/77": {"admins": ["2"]},
}


class User:
    """Somebody and what they do with the API."""

    def __init__(self, http: httpx.Client, number: int) -> None:
        self.http = http
        self.number = number
        self.origin = str(http.base_url).rstrip("/")
        self.token = http.headers["authorization"].removeprefix("Bearer ")

    def post(self, path: str, data: bytes = PNG, name: str = "photo.png", /, **said: str) -> httpx.Response:
        return self.http.post(f"/v1/media/{path}", files={"file": (name, data)}, data=said)

    def upload(self, path: str, data: bytes = PNG, name: str = "photo.png", /, **said: str) -> dict[str, Any]:
        answer = self.post(path, data, name, **said)
        assert answer.status_code == 201, answer.text
        assert set(answer.json()) == {"media", "message"}
        found: dict[str, Any] = answer.json()["media"]
        return found

    def get(self, path: str, **query: str | int) -> Any:
        answer = self.http.get(f"/v1/media/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def until_known(user: User, path: str) -> None:
    """Ingest has heard of the entity."""
    eventually(lambda: user.post(path, b"x").status_code != 404, path)


def registered(caller: Caller) -> User:
    """User 1, once ingest has heard of all entities."""
    service = caller("backend", "service")
    for entity, what in ENTITIES.items():
        assert service.put(f"/v1/entities/{entity}", json=what).status_code == 200
    user = User(caller("1"), 1)
    for path in ("sales-reps/5/avatar", "communities/124/amenities/77/photos"):  # the last ones
        until_known(user, path)
    return user


def post_of(service: httpx.Client, user: User, number: int) -> str:
    """The address of a new post of the user, registered as the system that owns posts does."""
    answer = service.put(f"/v1/entities/post/{number}", json={"owners": [str(user.number)]})
    assert answer.status_code == 200, answer.text
    until_known(user, f"posts/{number}/media")
    return f"posts/{number}/media"


def processed(user: User, media: dict[str, Any]) -> dict[str, Any]:
    """The media once it is; on a busy system a video takes longer than its upload waits."""

    def look() -> dict[str, Any] | None:
        answer = user.http.get(f"/v1/media/{media['id']}")
        found: dict[str, Any] = answer.json()
        return found if answer.is_success and found["status"] != "processing" else None

    return media if media["status"] != "processing" else eventually(look, f"media {media['id']}", 60)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]
