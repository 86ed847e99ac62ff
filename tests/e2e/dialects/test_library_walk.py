"""The examples that the document of the library prints, one after the other as it prints them.

The curl ones are run by curl as they are printed, with the origin, the file's name and the numbers of media filled in.
Those in JavaScript, TypeScript, Vue and Python are the same requests: method, address, headers, parts in their order.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.e2e.dialects.printed import curl_of_media
from tests.fixtures.documents import docx, pdf, xlsx
from tests.fixtures.pictures import photo
from tests.fixtures.sounds import sound
from tests.fixtures.system import System
from tests.fixtures.videos import video
from tests.fixtures.waiting import eventually

RECORD = {
    "id", "filename", "file_size", "mime_type", "file_type", "description", "alt_text", "user_id", "is_public", "url",
    "download_url", "created_at", "updated_at",
}  # fmt: skip
PHOTO = photo(320, 240, seed=191)
SECONDS = 30
OFFICE = "application/vnd.openxmlformats-officedocument"
UPLOAD = """curl -X POST "http://localhost:8000/media/upload" \\
  -F "file=@image.jpg" \\
  -F "description=Profile picture" \\
  -F "alt_text=User profile photo" \\
  -F "user_id=1" \\
  -F "is_public=true\""""
PATCH = """curl -X PATCH "http://localhost:8000/media/1" \\
  -H "Content-Type: application/json" \\
  -d '{
    "description": "Updated description",
    "alt_text": "Updated alt text",
    "is_public": true
  }'"""
FILTER = """curl -X POST "http://localhost:8000/media/filter" \\
  -H "Content-Type: application/json" \\
  -d '{
    "conditions": [
      {"field": "file_type", "operator": "eq", "value": "image"},
      {"field": "is_public", "operator": "eq", "value": true}
    ],
    "operator": "and",
    "order_by": "created_at",
    "order_direction": "desc",
    "limit": 10
  }'"""
PAGINATED = """curl -X POST "http://localhost:8000/media/filter/paginated" \\
  -H "Content-Type: application/json" \\
  -d '{
    "conditions": [
      {"field": "user_id", "operator": "eq", "value": 1}
    ],
    "limit": 20,
    "offset": 0
  }'"""


class Walker:
    """Somebody without a token, in a folder with an `image.jpg`."""

    def __init__(self, http: httpx.Client, folder: Path) -> None:
        self.http = http
        self.folder = folder
        self.origin = str(http.base_url).rstrip("/")

    def curl(self, printed: str, number: int = 1) -> Any:
        """What the command answers; its media 1 is the one of this number."""
        return curl_of_media(printed, self.origin, self.folder, number)

    def send(self, *parts: tuple[str, tuple[Any, ...]]) -> dict[str, Any]:
        """A FormData of these parts, as a page of another origin sends it."""
        answer = self.http.post("/media/upload", files=parts, headers={"Origin": "http://page.test"})
        assert answer.status_code == 201, answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
        found: dict[str, Any] = answer.json()
        return found

    def filtered(self, **query: Any) -> list[int]:
        answer = self.http.post("/media/filter", json=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()]


@pytest.fixture
def walker(nobody: httpx.Client, tmp_path: Path) -> Walker:
    (tmp_path / "image.jpg").write_bytes(PHOTO)
    return Walker(nobody, tmp_path)


def test_every_printed_example_in_its_order(
    walker: Walker, system: System, new_number: Callable[[], int]
) -> None:
    endpoints(walker)
    with connect(walker.origin.replace("http", "ws", 1) + "/ws/media") as ws:
        heard = hearing(ws)
        pages(walker, heard)
    assert walker.http.get("/docs").status_code == 200
    use_cases(walker, system, new_number())


def endpoints(walker: Walker) -> None:
    """ "API Endpoints"."""
    made = walker.curl(UPLOAD)
    number = made["id"]
    url = f"{walker.origin}/media/{number}/download"
    assert made == {
        "id": number, "filename": "image.jpg", "file_size": len(PHOTO), "file_type": "image", "url": url,
        "download_url": url, "message": "File uploaded successfully",
    }  # fmt: skip
    listed = walker.curl("curl http://localhost:8000/media/")
    assert number in [one["id"] for one in listed]
    shown = walker.curl("curl http://localhost:8000/media/1", number)
    assert (set(shown), shown["user_id"], shown["is_public"]) == (RECORD, 1, True)
    walker.curl("curl http://localhost:8000/media/1/download --output downloaded_file.jpg", number)
    assert (walker.folder / "downloaded_file.jpg").read_bytes() == PHOTO
    changed = walker.curl(PATCH, number)
    assert (changed["description"], changed["alt_text"]) == ("Updated description", "Updated alt text")
    assert walker.curl('curl -X DELETE "http://localhost:8000/media/1"', number)["message"]
    assert walker.http.get(f"/media/{number}").status_code == 404

    again = walker.curl(UPLOAD)["id"]  # the lists that follow are to have something
    for printed in (
        "curl http://localhost:8000/media/user/1",
        "curl http://localhost:8000/media/type/image",
        "curl http://localhost:8000/media/public/list",
    ):
        found = [one["id"] for one in walker.curl(printed)]
        assert again in found, printed
        assert number not in found, printed
    filtered = walker.curl(FILTER)
    assert again in [one["id"] for one in filtered]
    assert all(set(one) == RECORD and one["file_type"] == "image" and one["is_public"] for one in filtered)
    times = [one["created_at"] for one in filtered]
    assert (len(filtered) <= 10, times) == (True, sorted(times, reverse=True))
    page = walker.curl(PAGINATED)
    assert set(page) == {"data", "total", "limit", "offset", "has_more"}
    assert (page["limit"], page["offset"]) == (20, 0)
    assert page["total"] >= len(page["data"]) >= 1
    assert page["has_more"] == (page["total"] > len(page["data"]))
    assert {one["user_id"] for one in page["data"]} == {1}
    info = walker.curl("curl http://localhost:8000/media/stats/info")
    assert set(info) == {"backend", "bucket_name", "media_folder", "endpoint_url"}


Heard = Callable[[str, int], dict[str, Any]]


def hearing(ws: ClientConnection) -> Heard:
    """Messages up to one of this type about this file; others work here as well."""

    def until(type_: str, number: int) -> dict[str, Any]:
        while True:
            data: dict[str, Any] = json.loads(ws.recv(SECONDS))
            assert set(data) == {"type", "data"}
            assert data["type"] in {"created", "updated", "deleted"}
            if (data["type"], data["data"]["id"]) == (type_, number):
                found: dict[str, Any] = data["data"]
                return found

    return until


def pages(walker: Walker, heard: Heard) -> None:
    """ "Frontend Integration", with the socket of "WebSocket Real-time Updates" open meanwhile."""
    file = ("file", ("mine.jpg", PHOTO, "image/jpeg"))
    result = walker.send(file, ("description", (None, "My file")), ("is_public", (None, "true")))
    created = heard("created", result["id"])
    assert set(created) == RECORD
    assert (created["filename"], created["description"], created["is_public"]) == (
        "mine.jpg",
        "My file",
        True,
    )
    for _framework in ("React", "Vue"):
        shown = walker.send(file, ("is_public", (None, "true")))
        picture = walker.http.get(shown["url"])  # <img src={result.url}>
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
        assert picture.headers["cross-origin-resource-policy"] == "cross-origin"
        assert heard("created", shown["id"])["filename"] == shown["filename"] == "mine.jpg"
    walker.curl(PATCH, result["id"])
    while (updated := heard("updated", result["id"]))["description"] != "Updated description":
        pass  # what was made of the picture is told as well
    assert set(updated) == RECORD
    walker.curl('curl -X DELETE "http://localhost:8000/media/1"', result["id"])
    assert heard("deleted", result["id"]) == {"id": result["id"]}


def use_cases(walker: Walker, system: System, user: int) -> None:
    """ "Common Use Cases": calls of the old system's Python service, over HTTP."""
    profile = walker.send(
        ("file", ("profile.jpg", PHOTO, "image/jpeg")), ("user_id", (None, str(user))),
        ("alt_text", (None, "Profile picture for Ann")), ("is_public", (None, "true")),
    )  # fmt: skip
    second = walker.send(("file", ("b.jpg", PHOTO, "image/jpeg")), ("user_id", (None, str(user))))
    paper = ("shared_document.pdf", pdf("All of you may read it."), "application/pdf")
    shared = walker.send(("file", paper), ("user_id", (None, str(user))), ("is_public", (None, "true")))
    gallery = {
        "conditions": [
            {"field": "user_id", "operator": "eq", "value": user},
            {"field": "file_type", "operator": "eq", "value": "image"},
        ],
        "order_by": "created_at",
        "order_direction": "desc",
    }
    assert walker.filtered(**gallery) == [second["id"], profile["id"]]
    assert walker.http.get(f"/media/{shared['id']}/download").content == paper[1]
    assert any(path.endswith("_shared_document.pdf") for path in system.objects())


# Every type of file


def test_each_type_is_taken_listed_by_its_type_filtered_and_sent_in_parts(
    walker: Walker, new_number: Callable[[], int]
) -> None:
    user = new_number()
    files = {
        "clip.mp4": ("video", "video/mp4", video("mp4", seconds=0.5).data),
        "clip.webm": ("video", "video/webm", video("webm", seconds=0.5).data),
        "song.mp3": ("audio", "audio/mpeg", sound("mp3", seconds=0.5).data),
        "song.wav": ("audio", "audio/wav", sound("wav", seconds=0.5, rate=8000).data),
        "paper.pdf": ("document", "application/pdf", pdf("A page.")),
        "paper.docx": ("document", f"{OFFICE}.wordprocessingml.document", docx("x")),
        "sheet.xlsx": ("document", f"{OFFICE}.spreadsheetml.sheet", xlsx([["x"]])),
        "thing.bin": ("other", "application/octet-stream", bytes(range(256))),
    }  # fmt: skip
    mine = {"field": "user_id", "operator": "eq", "value": user}
    made: dict[str, list[int]] = {}
    for name, (file_type, mime_type, data) in files.items():
        answer = walker.send(("file", (name, data, mime_type)), ("user_id", (None, str(user))))
        assert (answer["filename"], answer["file_type"], answer["file_size"]) == (name, file_type, len(data))
        record = eventually(partial(found, walker, answer["id"]), "the record")
        assert (record["file_type"], record["mime_type"]) == (file_type, mime_type)
        part = walker.http.get(answer["download_url"], headers={"Range": "bytes=7-20"})
        assert (part.status_code, part.content) == (206, data[7:21])
        assert part.headers["content-range"] == f"bytes 7-20/{len(data)}"
        made.setdefault(file_type, []).insert(0, answer["id"])
    for file_type, numbers in made.items():
        listed = walker.http.get(f"/media/type/{file_type}", params={"limit": 1000}).json()
        assert [one["id"] for one in listed if one["user_id"] == user] == numbers
        kind = {"field": "file_type", "operator": "eq", "value": file_type}
        assert walker.filtered(conditions=[mine, kind]) == numbers
    documents = {"field": "mime_type", "operator": "like", "value": "%officedocument%"}
    assert walker.filtered(conditions=[mine, documents]) == made["document"][:2]


def found(walker: Walker, number: int) -> dict[str, Any] | None:
    answer = walker.http.get(f"/media/{number}")
    return answer.json() if answer.is_success else None


def test_ten_megabytes_are_the_limit_of_every_type(walker: Walker) -> None:
    """That of pictures and of anything else is looked at in test_library.py."""
    for name, data in {
        "a.mp4": video("mp4", seconds=0.5).data,
        "a.mp3": sound("mp3", seconds=0.5).data,
        "a.pdf": pdf("x"),
    }.items():
        whole = data + bytes(10 * 2**20 + 1 - len(data))
        answer = walker.http.post("/media/upload", files={"file": (name, whole)})
        assert answer.status_code == 413, (name, answer.text)
        assert "10485760" in answer.json()["detail"]


def test_a_presigned_url_of_a_private_file_works_without_a_token(walker: Walker) -> None:
    private = walker.send(("file", ("private.jpg", PHOTO, "image/jpeg")))
    link = walker.http.get(f"/media/{private['id']}/presigned").json()
    assert 3500 < link["expires_in"] <= 2 * 3600
    assert httpx.get(link["url"], follow_redirects=True, timeout=SECONDS).content == PHOTO
