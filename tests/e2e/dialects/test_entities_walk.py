"""One walk through the document of the entities API: every printed example, as printed, in its order.

Only the origin, the token and the numbers of media are filled in: a stack that many tests share has its number 1
elsewhere. Parameters of an address in braces are filled in as the examples do; the JavaScript one is the same request,
part by part; calls into the old server's own code are the routes that do the same.
"""

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.dialects import printed
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.entities_users import (
    PRINTED,
    SPOKEN_OF,
    User,
    processed,
    registered,
    until_known,
)
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.videos import video
from tests.fixtures.waiting import eventually

DAY = r"20\d\d-\d\d"
# Path, fields, the entity with its field and whether it is primary, where the file lies, what the answer says.
SLOTS: list[tuple[str, dict[str, str], tuple[str, int, str, bool], str, str]] = [
    ("users/1/avatar", {"alt_text": "Profile photo"}, ("user", 1, "avatar", True),
     f"users/avatars/USR-1/{DAY}/avatar", "Avatar"),
    ("users/1/cover", {}, ("user", 1, "cover", True), f"users/covers/USR-1/{DAY}/cover", "Cover photo"),
    ("properties/123/photos",
     {"alt_text": "Beautiful kitchen", "caption": "Newly renovated kitchen", "is_primary": "false"},
     ("property", 123, "gallery", False), f"properties/photos/PROP-123/{DAY}/photo", "Property photo"),
    ("builders/12/portfolio",
     {"alt_text": "Modern home design", "caption": "One of our signature designs", "tags": "modern,luxury,custom"},
     ("builder", 12, "portfolio", False), f"builders/photos/BLD-012/{DAY}/gallery", "Portfolio image"),
    ("builders/12/logo", {}, ("builder", 12, "logo", True), f"builders/logos/BLD-012/{DAY}/logo", "Logo"),
    ("communities/123/photos",
     {"alt_text": "Community entrance", "caption": "Main entrance", "is_primary": "false"},
     ("community", 123, "gallery", False), f"communities/photos/CMY-123/{DAY}/photo", "Community photo"),
    ("communities/123/amenities/4/photos", {"caption": "Pool"}, ("amenity", 4, "gallery", False),
     f"amenities/photos/4/{DAY}/photo", "Amenity photo"),
    ("sales-reps/5/avatar", {"alt_text": "Me"}, ("sales_rep", 5, "avatar", True),
     f"sales-reps/avatars/REP-5/{DAY}/avatar", "Avatar"),
    ("posts/1/media", {"alt_text": "Sunset view", "caption": "Beautiful sunset from my backyard"},
     ("post", 1, "media", False), f"posts/media/POST-1/{DAY}/post", "Post media"),
]  # fmt: skip
PYTHON = """
import requests

url = "http://localhost:8000/v1/media/users/1/avatar"
headers = {"Authorization": "Bearer YOUR_JWT_TOKEN"}
files = {"file": open("avatar.jpg", "rb")}
data = {"alt_text": "My profile photo"}

response = requests.post(url, headers=headers, files=files, data=data)
print(response.json())
"""
CURL = """curl -X POST "http://localhost:8000/v1/media/communities/123/photos" \\
  -H "Authorization: Bearer YOUR_JWT_TOKEN" \\
  -F "file=@photo1.jpg" \\
  -F "alt_text=Community entrance" \\
  -F "caption=Beautiful entrance" \\
  -F "is_primary=true"
"""


@pytest.fixture
def one(caller: Caller) -> User:
    """User 1 of the document, to whom all of it belongs."""
    return registered(caller)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the examples find their files."""
    (tmp_path / "avatar.jpg").write_bytes(encoded(picture(400, 400, seed=71)))
    (tmp_path / "photo1.jpg").write_bytes(photo(640, 480, seed=72))
    return tmp_path


def test_every_printed_example_runs_in_the_order_of_the_document(
    one: User, folder: Path, system: System, caller: Caller, new_number: Callable[[], int]
) -> None:
    the_slots(one, system)
    many = batch_upload(one)
    whole = general_upload(one, caller, new_number())
    lists_and_single_ones(one, whole)
    deletions(one, many, whole)
    analytics(one)
    python_example(one, folder, system)
    curl_example(one, folder, system)
    javascript_example(one)
    duplicates(one)
    storage_service(one, caller())


def is_shown(media: dict[str, Any], kind: str, number: int, field: str | None) -> None:
    """With every key, and every size made."""
    assert set(media) == PRINTED | SPOKEN_OF
    assert (media["entity_type"], media["entity_id"], media["entity_field"]) == (kind, number, field)
    assert media["status"] == "ready"
    assert all(media[f"{size}_url"] for size in ("original", "thumbnail", "small", "medium", "large"))


def the_slots(one: User, system: System) -> None:
    data = encoded(picture(120, 110, seed=74))
    known = system.objects()
    for path, said, entity, key, message in SLOTS:
        answer = one.post(path, data, "photo.jpg", **said)
        assert answer.status_code == 201, answer.text
        assert answer.json()["message"] == f"{message} uploaded successfully"
        media = answer.json()["media"]
        is_shown(media, *entity[:3])
        assert media["is_primary"] == entity[3]
        assert (media["alt_text"], media["caption"]) == (said.get("alt_text"), said.get("caption"))
        assert media["tags"] == (said["tags"].split(",") if "tags" in said else [])
        assert (media["media_type"], media["content_type"]) == ("image", "image/jpeg")
        assert (media["is_public"], media["moderation_status"]) == (True, "approved")
        new = [name for name in system.objects() - known if "/variants/" not in name]
        assert any(re.search(rf"{key}-\d{{14}}-[0-9a-f]+\.jpg$", name) for name in new), new
        assert one.get(str(media["id"])) == media
    film = one.post("posts/1/media", video("mp4", seconds=1.5, rate=4).data, "sunset.mp4").json()["media"]
    film = processed(one, film)
    is_shown(film, "post", 1, "media")
    assert film["media_type"] == "video"


def batch_upload(one: User) -> list[int]:
    said = {"entity_type": "property", "entity_id": "123", "entity_field": "gallery"}
    data = encoded(picture(100, 80, seed=75))
    files = [("files", (f"{n}.jpg", data, "image/jpeg")) for n in range(5)]
    answer = one.http.post("/v1/media/batch/upload", files=files, data=said)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    uploaded = found.pop("uploaded")
    assert found == {
        "uploaded_count": 5, "failed": [], "failed_count": 0, "message": "Successfully uploaded 5 of 5 files",
    }  # fmt: skip
    for media in uploaded:
        is_shown(media, "property", 123, "gallery")
    return [media["id"] for media in uploaded]


def general_upload(one: User, caller: Caller, number: int) -> dict[str, Any]:
    """To a community of this walk alone, so that its list is known."""
    caller("backend", "service").put(f"/v1/entities/community/{number}", json={"owners": ["1"]})
    until_known(one, f"communities/{number}/photos")
    media = one.upload(
        "upload", entity_type="community", entity_id=str(number), entity_field="gallery",
        alt_text="Community pool", caption="Resort-style pool", sort_order="0", is_public="true",
    )  # fmt: skip
    is_shown(media, "community", number, "gallery")
    assert (media["alt_text"], media["caption"]) == ("Community pool", "Resort-style pool")
    assert (media["sort_order"], media["is_public"], media["is_primary"]) == (0, True, False)
    return media


def lists_and_single_ones(one: User, media: dict[str, Any]) -> None:
    listed = one.get(f"entity/community/{media['entity_id']}", entity_field="gallery")
    assert listed == [media]
    assert one.get(str(media["id"])) == media
    assert one.get(f"public/{media['public_id']}") == media


def deletions(one: User, many: list[int], media: dict[str, Any]) -> None:
    gone = one.http.delete(f"/v1/media/{media['id']}")
    assert (gone.status_code, gone.json()) == (200, {"message": "Media deleted successfully"})
    assert one.get(f"entity/community/{media['entity_id']}") == []
    answer = one.http.post("/v1/media/batch/delete", json={"media_ids": many})
    assert (answer.status_code, answer.json()["deleted"]) == (200, many)
    assert answer.json()["failed"] == []


def analytics(one: User) -> None:
    found = one.get("analytics/storage", entity_type="community")
    assert found["entity_type"] == "community"
    assert set(found["by_entity_type"]) == {"community"}
    whole = one.get("analytics/storage")
    assert whole["total_files"] == sum(each["total_files"] for each in whole["by_entity_type"].values())


def lies_at(system: System, folder: str, name: str) -> None:
    key = re.compile(rf"{folder}/{DAY}/{name}-\d{{14}}-[0-9a-f]+\.jpg$")
    assert any(key.search(path) for path in system.objects()), key.pattern


def python_example(one: User, folder: Path, system: System) -> None:
    given = {"YOUR_JWT_TOKEN": one.token}
    answer = ast.literal_eval(printed.run([sys.executable, "-c", PYTHON], one.origin, folder, given))
    assert answer["message"] == "Avatar uploaded successfully"
    media = answer["media"]
    is_shown(media, "user", 1, "avatar")
    assert type(media["id"]) is int
    assert media["public_id"].startswith("MED-")
    assert (media["is_primary"], media["alt_text"], media["uploaded_by"]) == (True, "My profile photo", 1)
    for name in ("original", "thumbnail", "small", "medium", "large"):
        assert httpx.get(media[f"{name}_url"]).status_code == 200, name  # without a token: it is public
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[0-9:.]+Z", media["created_at"])
    lies_at(system, "users/avatars/USR-1", "avatar")


def curl_example(one: User, folder: Path, system: System) -> None:
    media = printed.curl(CURL, one.origin, folder, {"YOUR_JWT_TOKEN": one.token})["media"]
    is_shown(media, "community", 123, "gallery")
    assert (media["alt_text"], media["caption"]) == ("Community entrance", "Beautiful entrance")
    assert media["is_primary"] is True
    lies_at(system, "communities/photos/CMY-123", "photo")


def javascript_example(one: User) -> None:
    """FormData sends its parts in the order of `append`: three fields, then each file."""
    said = {"entity_type": "property", "entity_id": "123", "entity_field": "gallery"}
    parts: list[Any] = [(name, (None, value)) for name, value in said.items()]
    pictures = [encoded(picture(100, 80, seed=80 + n), "PNG") for n in range(2)]
    parts += [("files", (f"{n}.png", data, "image/png")) for n, data in enumerate(pictures)]
    found = one.http.post("/v1/media/batch/upload", files=parts).json()
    assert set(found) == {"uploaded", "uploaded_count", "failed", "failed_count", "message"}
    assert (found["uploaded_count"], found["failed"]) == (2, [])
    for media in found["uploaded"]:
        is_shown(media, "property", 123, "gallery")


def duplicates(one: User) -> None:
    """What DuplicateDetector tells of two hashes is the label of a neighbour."""
    made = picture(160, 120, seed=76)
    first, second = (one.upload("posts/1/media", encoded(made, kind), f"a.{kind}") for kind in ("PNG", "BMP"))
    assert first["phash"] == second["phash"]
    near = one.get(f"{first['public_id']}/similar")["items"]
    assert (second["id"], 0, "identical") in [
        (item["media"]["number"], item["distance"], item["label"]) for item in near
    ]


def storage_service(one: User, nobody: httpx.Client) -> None:
    """Upload, a link for an hour, whether it is there, deletion, and how much there is."""
    data = encoded(picture(100, 80, seed=77))
    media = one.upload(
        "upload", data, "file.jpg", entity_type="community", entity_id="123", is_public="false"
    )
    answer = one.http.post(f"/v1/media/{media['public_id']}/links", json={"seconds": 3600})
    link = answer.json()["url"]
    assert nobody.get(media["original_url"]).status_code == 404
    assert nobody.get(link).content == data
    assert one.http.head(media["original_url"]).headers["content-length"] == str(len(data))
    before = one.get("analytics/storage")
    assert one.http.delete(f"/v1/media/{media['id']}").status_code == 200
    eventually(lambda: nobody.get(link).status_code in {404, 410}, "the link to lead nowhere")
    after = one.get("analytics/storage")
    assert before["total_files"] - after["total_files"] == 1
    assert before["total_size_bytes"] - after["total_size_bytes"] == len(data)
