"""One walk through the document of the personas API: every printed example, as printed, in its order.

Only the origin, the token and the numbers of media are filled in: a stack that many tests share has its number 1
elsewhere. The parameters of an address in braces are filled in as its next example does.
"""

import re
import runpy
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.dialects import printed
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.personas_owners import IMAGES, RECORD, Owner, new_owner, refusal
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.videos import video

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PYTHON = """
import requests

with open('image.jpg', 'rb') as f:
    files = {'file': ('image.jpg', f, 'image/jpeg')}
    data = {'description': 'My persona image'}

    response = requests.post(
        'http://localhost:8000/media/upload/1',
        files=files,
        data=data,
        headers={'Authorization': f'Bearer {token}'}
    )

response = requests.get(
    'http://localhost:8000/media/download/1',
    headers={'Authorization': f'Bearer {token}'}
)

with open('downloaded_image.jpg', 'wb') as f:
    f.write(response.content)
"""
CURL_UPLOAD = """curl -X POST "http://localhost:8000/media/upload/1" \\
  -H "Authorization: Bearer $TOKEN" \\
  -F "file=@image.jpg" \\
  -F "description=My persona image"
"""
CURL_LIST = """curl -X GET "http://localhost:8000/media/files" \\
  -H "Authorization: Bearer $TOKEN"
"""
CURL_DOWNLOAD = """curl -X GET "http://localhost:8000/media/download/1" \\
  -H "Authorization: Bearer $TOKEN" \\
  -o downloaded_file.jpg
"""


@pytest.fixture
def ann(caller: Caller, new_number: Callable[[], int]) -> Owner:
    """The owner of persona 1."""
    return new_owner(caller, caller("backend", "service"), new_number, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples find their file, and where they run."""
    (tmp_path / "image.jpg").write_bytes(photo(320, 240, seed=61))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def curl(command: str, owner: Owner, folder: Path, number: int = 0) -> Any:
    """The media that is asked for is the one of this number."""
    given = {"download/1": f"download/{number}"}
    return printed.curl(command, owner.origin, folder, given, TOKEN=owner.token)


def test_every_printed_example_runs_in_the_order_of_the_document(
    ann: Owner, folder: Path, system: System, caller: Caller
) -> None:
    made = upload(ann)
    the_lists(ann, made)
    one_file(ann, made)
    statistics(ann)
    storage(ann, system)
    python_example(ann, folder)
    curl_examples(ann, folder)
    errors(ann, caller())
    assert ann.http.get("/docs").headers["content-type"].startswith("text/html")


def upload(ann: Owner) -> dict[str, Any]:
    data = encoded(picture(64, 48, seed=66), "PNG")
    made = ann.upload(1, data, "my-image.png", "image/png", description="My image description")
    assert set(made) == RECORD
    assert type(made["id"]) is int
    assert re.fullmatch(UUID + r"\.png", made["filename"])
    assert (made["original_filename"], made["file_size"]) == ("my-image.png", len(data))
    assert (made["mime_type"], made["media_type"]) == ("image/png", "image")
    assert (made["persona_id"], made["user_id"]) == (1, ann.number)
    assert made["description"] == "My image description"
    for name in ("created_at", "updated_at"):
        assert datetime.fromisoformat(made[name]).tzinfo is None
    return made


def the_lists(ann: Owner, made: dict[str, Any]) -> None:
    clip = ann.upload(1, video("webm-vp8", seconds=0.5, rate=4).data, "clip.webm", "video/webm")
    every = [clip["id"], made["id"]]
    for query, expected in (
        ("", every),
        ("?persona_id=1", every),
        ("?media_type=image", every[1:]),
        ("?media_type=video", every[:1]),
    ):
        found = ann.http.get(f"/media/files{query}").json()
        assert [file["id"] for file in found] == expected, query


def one_file(ann: Owner, made: dict[str, Any]) -> None:
    path = f"/media/files/{made['id']}"
    shown = ann.get(path)
    assert {name: shown[name] for name in RECORD - {"updated_at"}} == {
        name: made[name] for name in RECORD - {"updated_at"}
    }
    got = ann.http.get(f"/media/download/{made['id']}")
    assert (got.headers["content-type"], len(got.content)) == ("image/png", made["file_size"])
    changed = ann.http.put(path, content="description=A+new+description", headers=FORM)
    assert (changed.status_code, changed.json()["description"]) == (200, "A new description")
    assert ann.http.delete(path).status_code == 200
    assert refusal(ann.http.get(path)) == (404, f"Media file {made['id']} not found")


def statistics(ann: Owner) -> None:
    found = ann.get("/media/stats")
    assert set(found) == {
        "total_files", "total_images", "total_videos", "total_size_bytes", "total_size_mb", "files_per_persona",
    }  # fmt: skip
    assert (found["total_files"], found["total_images"], found["total_videos"]) == (1, 0, 1)
    assert found["files_per_persona"] == {"1": 1}


def storage(ann: Owner, system: System) -> None:
    picture_file = ann.upload(1)
    there = system.objects()
    for kind, file in (
        ("images", picture_file),
        ("videos", ann.get("/media/files", media_type="video")[0]),
    ):
        where = f"{kind}/1/{ann.number}/{file['filename']}"
        assert any(path.endswith(where) for path in there), where


def python_example(ann: Owner, folder: Path) -> None:
    number = ann.upload(1, (folder / "image.jpg").read_bytes(), "image.jpg")["id"]
    script = folder / "example.py"
    script.write_text(
        PYTHON.replace("http://localhost:8000", ann.origin).replace("download/1", f"download/{number}")
    )
    response = runpy.run_path(str(script), {"token": ann.token})["response"]
    assert response.ok
    assert (folder / "downloaded_image.jpg").read_bytes() == (folder / "image.jpg").read_bytes()
    newest = ann.get("/media/files")[0]
    assert (newest["original_filename"], newest["description"]) == ("image.jpg", "My persona image")


def curl_examples(ann: Owner, folder: Path) -> None:
    made = curl(CURL_UPLOAD, ann, folder)
    assert (set(made), made["description"]) == (RECORD, "My persona image")
    assert curl(CURL_LIST, ann, folder)[0]["id"] == made["id"]
    curl(CURL_DOWNLOAD, ann, folder, made["id"])
    assert (folder / "downloaded_file.jpg").read_bytes() == (folder / "image.jpg").read_bytes()


def errors(ann: Owner, nobody: httpx.Client) -> None:
    large = {"file": ("a.jpg", encoded(picture(64, 48)) + bytes(10 * 2**20), "image/jpeg")}
    assert refusal(ann.http.post("/media/upload/1", files=large)) == (
        413, "Image file too large. Maximum size is 10MB",
    )  # fmt: skip
    wrong = {"file": ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")}
    assert refusal(ann.http.post("/media/upload/1", files=wrong)) == (400, f"Invalid {IMAGES}")
    none = 2**53 - 1
    assert refusal(ann.http.post(f"/media/upload/{none}", files=wrong)) == (404, f"Persona {none} not found")
    assert refusal(ann.http.get(f"/media/files/{none}")) == (404, f"Media file {none} not found")
    assert refusal(nobody.get("/media/files")) == (401, "Not authenticated")
