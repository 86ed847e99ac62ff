"""The personas API from the first line of its document to the last, over HTTP only.

test_personas_walk.py has its printed examples, test_personas_videos.py its videos.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.personas_owners import (
    IMAGES,
    RECORD,
    SMALL,
    VIDEOS,
    Owner,
    new_owner,
    refusal,
    register,
)
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

ANY = "file type. Allowed types: image/jpeg"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def ann(caller: Caller, service: httpx.Client, new_number: Callable[[], int]) -> Owner:
    """The owner of the personas 1 and 2."""
    return new_owner(caller, service, new_number, 1, 2)


@pytest.fixture(scope="module")
def bob(caller: Caller, service: httpx.Client, new_number: Callable[[], int]) -> Owner:
    """Another user, with a persona of their own number."""
    return new_owner(caller, service, new_number)


# API endpoints


def test_an_upload_answers_with_the_printed_record(ann: Owner) -> None:
    data = photo(400, 300, seed=62)
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    made = ann.upload(1, data, "my-image.jpg", description="My image description")

    assert set(made) == RECORD
    assert type(made["id"]) is int
    assert re.fullmatch(UUID + r"\.jpg", made["filename"])
    assert made["original_filename"] == "my-image.jpg"
    assert (made["file_size"], made["mime_type"], made["media_type"]) == (len(data), "image/jpeg", "image")
    assert (made["persona_id"], made["user_id"]) == (1, ann.number)
    assert made["description"] == "My image description"
    for name in ("created_at", "updated_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", made[name])
        assert timedelta(seconds=-2) <= datetime.fromisoformat(made[name]) - before <= timedelta(minutes=1)
    assert ann.upload(1)["description"] is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_every_listed_image_type_is_taken_and_processed(ann: Owner, kind: str) -> None:
    made = ann.upload(1, encoded(picture(64, 48, seed=63), kind), f"a.{kind.lower()}")
    assert (made["mime_type"], made["media_type"]) == (f"image/{kind.lower()}", "image")

    def ready() -> dict[str, Any] | None:
        found = ann.http.get("/v1/media", params={"owner": str(ann.number), "limit": 200}).json()["items"]
        return next((one for one in found if one["number"] == made["id"] and one["status"] == "ready"), None)

    assert eventually(ready, f"{kind} to be processed")["thumbnail_url"]


def test_the_list_is_newest_first_and_narrows_by_persona_and_type(ann: Owner) -> None:
    first, second = ann.upload(1), ann.upload(2)
    found = ann.get("/media/files")
    assert isinstance(found, list)
    assert all(set(one) == RECORD for one in found)
    numbers = [one["id"] for one in found]
    assert numbers.index(second["id"]) < numbers.index(first["id"])
    of_first = [one["id"] for one in ann.get("/media/files", persona_id=1)]
    assert first["id"] in of_first
    assert second["id"] not in of_first
    assert {one["id"] for one in ann.get("/media/files", media_type="image")} == set(numbers)
    assert ann.get("/media/files", media_type="video") == []
    assert [one["id"] for one in ann.get("/media/files", skip=1, limit=1)] == numbers[1:2]
    assert ann.http.get("/media/files", params={"media_type": "smell"}).status_code == 422
    # Numbers only: what is being processed may change between two looks.
    assert [one["id"] for one in ann.get("/media/files/")] == numbers


def test_one_file_is_shown_downloaded_changed_and_deleted(ann: Owner) -> None:
    data = photo(300, 200, seed=64)
    made = ann.upload(1, data, "Mein Bild.jpg", description="before")
    path = f"/media/files/{made['id']}"
    assert {k: v for k, v in ann.get(path).items() if k != "updated_at"} == {
        k: v for k, v in made.items() if k != "updated_at"
    }

    got = ann.http.get(f"/media/download/{made['id']}")
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, data, "image/jpeg")
    assert "Mein%20Bild.jpg" in got.headers["content-disposition"]
    part = ann.http.get(f"/media/download/{made['id']}", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, data[:10])
    assert ann.http.head(f"/media/download/{made['id']}").headers["content-length"] == str(len(data))

    changed = ann.http.put(path, data={"description": "after"})
    assert (changed.status_code, changed.json()["description"]) == (200, "after")
    assert set(changed.json()) == RECORD
    as_parts = ann.http.put(path, files={"description": (None, "in parts")})
    assert (as_parts.status_code, as_parts.json()["description"]) == (200, "in parts")
    assert ann.http.put(path).json()["description"] == "in parts"
    assert ann.http.put(path, content=b"description=", headers=FORM).json()["description"] is None

    gone = ann.http.delete(path)
    assert (gone.status_code, gone.json()) == (200, {"message": "Media file deleted successfully"})
    for method, address in (("GET", path), ("PUT", path), ("DELETE", path)):
        assert refusal(ann.http.request(method, address)) == (404, f"Media file {made['id']} not found")
    assert made["id"] not in [one["id"] for one in ann.get("/media/files")]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_statistics_count_the_callers_own_files(bob: Owner, ann: Owner) -> None:
    assert bob.get("/media/stats") == {
        "total_files": 0, "total_images": 0, "total_videos": 0, "total_size_bytes": 0, "total_size_mb": 0.0,
        "files_per_persona": {},
    }  # fmt: skip
    made = [bob.upload(bob.number, photo(900, 700, seed=65), "a.jpg") for _ in range(2)]
    size = sum(one["file_size"] for one in made)
    found = bob.get("/media/stats")
    assert found == {
        "total_files": 2, "total_images": 2, "total_videos": 0, "total_size_bytes": size,
        "total_size_mb": round(size / 2**20, 2), "files_per_persona": {str(bob.number): 2},
    }  # fmt: skip
    ann.upload(2)

    def both() -> bool:  # an upload may be answered before it is counted
        return set(ann.get("/media/stats")["files_per_persona"]) >= {"1", "2"}

    eventually(both, "the files of both personas to be counted")


# File storage structure


def test_the_original_lies_where_the_document_says(ann: Owner, system: System) -> None:
    made = ann.upload(2)
    where = f"images/2/{ann.number}/{made['filename']}"
    assert any(path.endswith(where) for path in system.objects())


def test_deleting_a_persona_removes_its_files(
    ann: Owner, service: httpx.Client, new_number: Any, system: System
) -> None:
    persona = new_number()
    register(service, persona, ann)
    made = ann.upload(persona)
    assert any(key.endswith(made["filename"]) for key in system.objects())
    assert service.delete(f"/v1/entities/persona/{persona}").status_code == 204

    def gone() -> bool:
        return ann.http.get(f"/media/files/{made['id']}").status_code == 404

    assert eventually(gone, "the file to go with its persona")
    eventually(
        lambda: not any(made["filename"] in key for key in system.objects()), "its bytes to go as well"
    )

    def again() -> httpx.Response | None:
        answer = ann.http.post(f"/media/upload/{persona}", files={"file": ("a.png", SMALL)})
        return None if answer.is_success else answer  # ingest hears of it a moment later

    assert refusal(eventually(again, "ingest to know")) == (404, f"Persona {persona} not found")


# Error handling


def test_a_picture_of_more_than_ten_megabytes_is_refused(ann: Owner) -> None:
    large = encoded(picture(64, 48)) + bytes(10 * 2**20)
    answer = ann.http.post("/media/upload/1", files={"file": ("a.jpg", large, "image/jpeg")})
    assert refusal(answer) == (413, "Image file too large. Maximum size is 10MB")


@pytest.mark.parametrize(
    ("name", "declared", "data", "detail"),
    [
        ("a.svg", "image/svg+xml", SVG, IMAGES),
        ("a.png", "image/png", b"no picture at all", IMAGES),
        ("a.txt", "text/plain", SMALL, ANY),
        ("a.png", "text/plain", SMALL, ANY),
        ("a.pdf", "application/pdf", b"%PDF-1.4\n", ANY),
        ("a.mpg", "video/mpeg", b"\0\0\1\xba" + bytes(64), VIDEOS),
    ],
)
def test_a_wrong_type_is_refused_with_those_that_are_allowed(
    ann: Owner, name: str, declared: str, data: bytes, detail: str
) -> None:
    answer = ann.http.post("/media/upload/1", files={"file": (name, data, declared)})
    status, said = refusal(answer)
    assert status == 400
    assert said.startswith(f"Invalid {detail}")


def test_another_persona_is_as_good_as_none(ann: Owner, bob: Owner) -> None:
    for persona in (bob.number, 123456789, "abc", "9" * 30):
        answer = ann.http.post(f"/media/upload/{persona}", files={"file": ("a.png", SMALL)})
        assert refusal(answer) == (404, f"Persona {persona} not found")


def test_another_users_file_is_as_good_as_none(ann: Owner, bob: Owner, service: httpx.Client) -> None:
    made = ann.upload(1)
    published = f"Media file {made['id']} not found"
    for method, path in (
        ("GET", f"/media/files/{made['id']}"),
        ("GET", f"/media/download/{made['id']}"),
        ("PUT", f"/media/files/{made['id']}"),
        ("DELETE", f"/media/files/{made['id']}"),
    ):
        assert refusal(bob.http.request(method, path)) == (404, published)
    assert made["id"] not in [one["id"] for one in bob.get("/media/files", persona_id=1)]
    for nothing in (2**53 - 1, "abc", "9" * 30):
        assert refusal(ann.http.get(f"/media/files/{nothing}")) == (404, f"Media file {nothing} not found")
    assert service.get("/media/files").json() == []


def test_without_a_token_nothing_is_done(caller: Caller) -> None:
    nobody = caller()
    for method, path in (
        ("POST", "/media/upload/1"),
        ("GET", "/media/files"),
        ("GET", "/media/files/1"),
        ("GET", "/media/download/1"),
        ("PUT", "/media/files/1"),
        ("DELETE", "/media/files/1"),
        ("GET", "/media/stats"),
    ):
        assert refusal(nobody.request(method, path)) == (401, "Not authenticated")


def test_media_of_other_apis_are_none_of_personas(ann: Owner) -> None:
    made = ann.http.post("/v1/uploads", files={"file": ("a.png", SMALL)}).json()
    eventually(lambda: ann.http.get(f"/v1/media/{made['id']}").is_success, "the media to be there")
    assert made["number"] not in [one["id"] for one in ann.get("/media/files")]
    assert ann.http.get(f"/media/files/{made['number']}").status_code == 404


def test_the_api_is_in_the_interactive_documentation(ann: Owner) -> None:
    paths = ann.get("/openapi.json")["paths"]
    assert {
        "/media/upload/{persona_id}",
        "/media/files",
        "/media/download/{media_id}",
        "/media/stats",
    } <= set(paths)
    assert set(paths["/media/files/{media_id}"]) == {"get", "put", "delete"}
