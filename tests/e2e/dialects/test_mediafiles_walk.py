"""The examples that the document of mediafiles prints, one after the other as it prints them.

They run with the origin, the token, the path of the file and the numbers of media filled in. The JavaScript ones are
the same requests made by httpx: the same method, address, headers and parts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.dialects import printed
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.mediafiles_user import RECORD, URLS, User, new_user
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.sounds import sound
from tests.fixtures.videos import video
from tests.fixtures.waiting import eventually

UPLOAD = """curl -X POST \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -F "file=@/path/to/image.jpg" \\
  http://localhost:8000/api/media/upload/"""
JPEG = encoded(picture(700, 1100, seed=89))


@pytest.fixture(scope="module")
def ann(caller: Caller, new_number: Callable[[], int]) -> User:
    return new_user(caller, new_number, "john_doe")


def curl(command: str, user: User, folder: Path) -> dict[str, Any]:
    given = {"YOUR_TOKEN": user.token, "/path/to": str(folder)}
    found: dict[str, Any] = printed.curl(command, user.origin, folder, given)
    return found


def upload_media(client: httpx.Client, file: tuple[str, bytes], token: str) -> dict[str, Any]:
    """The React example's function up to its timer."""
    response = client.post(
        "/api/media/upload/", headers={"Authorization": f"Bearer {token}"}, files={"file": file}
    )
    data: dict[str, Any] = response.json()
    return data


def check_status(client: httpx.Client, data: dict[str, Any], token: str) -> dict[str, Any]:
    """The loop that its timer runs: until `ready`, or until `failed`."""

    def tick() -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {token}"}
        status_data: dict[str, Any] = client.get(f"/api/media/{data['id']}/", headers=headers).json()
        assert status_data.get("status") != "failed", "Processing failed"
        return status_data if status_data.get("status") == "ready" else None

    return eventually(tick, "processing to be complete", 60)


def test_every_printed_example_of_mediafiles_runs(ann: User, nobody: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(JPEG)
    made = curl(UPLOAD, ann, tmp_path)
    second = curl(UPLOAD, ann, tmp_path)
    _is_as_printed(made, ann)

    details = check_status(nobody, made, ann.token)
    assert (details["width"], details["height"], details["urls"]) == (700, 1100, made["urls"])
    assert details["display_url"] == made["urls"]["medium"]
    _list_delete_reprocess_and_count(ann, made, second)

    # The React example, of each type that there is.
    files = {
        "image": ("image.jpg", JPEG),
        "video": ("clip.avi", video("avi", width=64, height=48, seconds=0.4).data),
        "audio": ("song.wav", sound("wav", seconds=0.4).data),
    }
    data = {kind: upload_media(nobody, file, ann.token) for kind, file in files.items()}
    assert {kind: one["status"] for kind, one in data.items()} == dict.fromkeys(files, "processing")
    complete = {kind: check_status(nobody, one, ann.token) for kind, one in data.items()}
    assert {kind: one["file_type"] for kind, one in complete.items()} == {kind: kind for kind in files}
    assert ann.get("stats/")["by_type"] == {"image": 3, "video": 1, "audio": 1}

    _troubleshoot(ann, complete["image"])
    # The tips: thumbnail for lists, large behind it, WebP in a <picture>, medium for details.
    for size in ("thumbnail", "large", "webp", "medium"):
        assert nobody.get(complete["image"]["urls"][size]).status_code == 200
    for kind, mime_type in (("video", "video/mp4"), ("audio", "audio/mpeg")):
        assert nobody.get(complete[kind]["display_url"]).headers["content-type"] == mime_type


def _is_as_printed(made: dict[str, Any], ann: User) -> None:
    number, origin = made["id"], ann.origin
    assert tuple(made) == RECORD
    assert tuple(made["urls"]) == URLS
    expected = {
        "user": ann.number, "user_username": "john_doe", "file_type": "image", "status": "processing",
        "file_size": len(JPEG), "mime_type": "image/jpeg", "width": None, "height": None, "duration": None,
        "bitrate": None, "metadata": {}, "is_public": True,
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    assert made["display_url"] == made["urls"]["original"]
    assert made["urls"]["original"] == f"{origin}/media/user_{ann.number}/image/{number}_image.jpg"
    assert made["thumbnail_url"] == made["urls"]["thumbnail"]
    assert made["urls"]["thumbnail"] == f"{origin}/media/thumbnails/{number}_image_thumbnail.jpg"


def _list_delete_reprocess_and_count(ann: User, made: dict[str, Any], second: dict[str, Any]) -> None:
    ann.final(second["id"])
    listed = ann.http.get("/api/media/?type=image&status=ready&page=1&page_size=20").json()
    assert tuple(listed) == ("count", "next", "previous", "results")
    assert [one["id"] for one in listed["results"]] == [second["id"], made["id"]]
    assert ann.get("", page_size=1)["next"] == f"{ann.origin}/api/media/?page_size=1&page=2"

    answer = ann.http.delete(f"/api/media/{second['id']}/")
    assert (answer.status_code, answer.content) == (204, b"")

    failed = ann.final(ann.upload(JPEG[:3000], "broken.jpg")["id"])
    assert failed["status"] == "failed"
    assert ann.http.post(f"/api/media/{failed['id']}/reprocess/").json()["status"] == "processing"
    assert ann.final(failed["id"])["status"] == "failed"

    stats = ann.get("stats/")
    assert tuple(stats) == ("total", "by_type", "by_status", "total_size")
    assert tuple(stats["by_type"]) == ("image", "video", "audio")
    assert stats["by_status"] == {"ready": 1, "processing": 0, "failed": 1, "uploading": 0}
    assert (stats["total"], stats["total_size"]) == (2, len(JPEG) + 3000)


def _troubleshoot(ann: User, media: dict[str, Any]) -> None:
    """What stays at processing may be asked for again; too large a file says so."""
    assert ann.http.post(f"/api/media/{media['id']}/reprocess/").status_code == 202
    assert ann.final(media["id"])["status"] == "ready"
    large = ann.http.post("/api/media/upload/", files={"file": ("a.jpg", JPEG + bytes(10 * 2**20))})
    assert large.status_code == 400
    assert large.json()["detail"].startswith("File size exceeds maximum allowed size")
