"""The examples that the content service's document prints, one after the other as it prints them.

They run with the origin, the token, the file names and the ids filled in. The TypeScript ones are the same requests
made by httpx: the same method, address, headers and parts in the same order.
"""

import asyncio
import io
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.dialects import printed
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.content_author import CONTENT, RESPONSE, SMALL, Author, new_content
from tests.fixtures.pictures import photo
from tests.fixtures.videos import video

CLIP = video("mp4", seconds=0.4).data
UPLOAD = """curl -X POST "http://localhost:8002/api/v1/media/upload" \\
  -H "Authorization: Bearer {token}" \\
  -F "file=@image.jpg" \\
  -F "media_type=image" \\
  -F "content_id=123e4567-e89b-12d3-a456-426614174000" """
UPLOAD_FOR_CONTENT = """curl -X POST "http://localhost:8002/api/v1/media/content/{content_id}/upload" \\
  -H "Authorization: Bearer {token}" \\
  -F "file=@video.mp4" \\
  -F "media_type=video" """
GET = 'curl "http://localhost:8002/api/v1/media/{media_id}" '
DOWNLOAD = 'curl "http://localhost:8002/api/v1/media/{media_id}/download" -O '
OF_CONTENT = 'curl "http://localhost:8002/api/v1/media/content/{content_id}/media?media_type=image" '
LIST = """curl "http://localhost:8002/api/v1/media/?media_type=image&page=1&page_size=20" \\
  -H "Authorization: Bearer {token}" """
UPDATE = """curl -X PUT "http://localhost:8002/api/v1/media/{media_id}" \\
  -H "Authorization: Bearer {token}" \\
  -H "Content-Type: application/json" \\
  -d '{"filename": "updated-name.jpg"}' """
DELETE = """curl -X DELETE "http://localhost:8002/api/v1/media/{media_id}" \\
  -H "Authorization: Bearer {token}" """
OPENAPI = "curl http://localhost:8002/openapi.json > media-api-spec.json"
PATHS = {
    "/api/v1/media/upload": {"post"},
    "/api/v1/media/content/{content_id}/upload": {"post"},
    "/api/v1/media": {"get"},
    "/api/v1/media/{media_id}": {"get", "put", "delete"},
    "/api/v1/media/{media_id}/download": {"get", "head"},
    "/api/v1/media/content/{content_id}/media": {"get"},
    "/api/v1/media/files/{file_path}": {"get", "head"},
}


@pytest.fixture(scope="module")
def ann(caller: Caller) -> Author:
    sub = str(uuid.uuid4())
    return Author(caller(sub), sub)


@pytest.fixture(scope="module")
def content(caller: Caller) -> str:
    return new_content(caller("backend", "service"), CONTENT)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files of the examples are."""
    for name in ("image.jpg", "photo.jpg"):
        (tmp_path / name).write_bytes(photo(320, 240, seed=71))
    (tmp_path / "video.mp4").write_bytes(CLIP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def curl(command: str, author: Author, media_id: str = "") -> Any:
    given = {"{token}": author.token, "{content_id}": CONTENT, "{media_id}": media_id}
    return printed.curl(command, author.origin, Path.cwd(), given)


async def upload_media(origin: str, token: str) -> str:
    """The Python client example."""
    async with httpx.AsyncClient() as client:
        with open("photo.jpg", "rb") as f:  # noqa: ASYNC230, PTH123 - as printed
            response = await client.post(
                f"{origin}/api/v1/media/upload",
                headers={"Authorization": f"Bearer {token}"},
                files={"file": ("photo.jpg", f, "image/jpeg")},
                data={"media_type": "image", "content_id": CONTENT},
            )
        media = response.json()
        assert media["url"].startswith(origin)
        return str(media["id"])


async def download_media(origin: str, media_id: str) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{origin}/api/v1/media/{media_id}/download")
        with open("downloaded.jpg", "wb") as f:  # noqa: ASYNC230, PTH123 - as printed
            f.write(response.content)


async def handled(origin: str, token: str) -> str:
    """The example of a client that handles errors, and what it would print of a file that is none."""
    async with httpx.AsyncClient(base_url=origin, headers={"Authorization": f"Bearer {token}"}) as client:
        try:
            response = await client.post(
                "/api/v1/media/upload", files={"file": ("a.png", b"nothing")}, data={"media_type": "image"}
            )
            response.raise_for_status()
        except httpx.HTTPStatusError as e:
            if e.response.status_code == 400:
                return f"Invalid request: {e.response.json()['detail']}"
            return f"Server error: {e.response.status_code}"
    return ""


def upload_from_browser(client: httpx.Client, file: bytes, token: str, content_id: str | None = None) -> Any:
    """The TypeScript example's uploadMedia."""
    form: list[tuple[str, Any]] = [("file", ("blob.png", file)), ("media_type", (None, "image"))]
    if content_id:
        form.append(("content_id", (None, content_id)))
    headers = {"Authorization": f"Bearer {token}"}
    return client.post("/api/v1/media/upload", files=form, headers=headers).json()


def test_every_printed_example_of_content_runs(
    ann: Author, content: str, caller: Caller, in_folder: Path
) -> None:
    # 1 to 8: the endpoints, each by its curl example.
    made = curl(UPLOAD, ann)
    assert tuple(made) == RESPONSE
    assert (made["content_id"], made["filename"], made["media_type"]) == (content, "image.jpg", "image")
    film = curl(UPLOAD_FOR_CONTENT, ann)
    assert (film["content_id"], film["filename"], film["media_type"]) == (content, "video.mp4", "video")
    assert (film["mime_type"], film["file_size"]) == ("video/mp4", len(CLIP))
    assert curl(GET, ann, made["id"]) == made
    for one in (made, film):
        curl(DOWNLOAD, ann, one["id"])
        assert (in_folder / "download").stat().st_size == one["file_size"]
    listed = {one["id"] for one in curl(OF_CONTENT, ann)}
    assert (made["id"] in listed, film["id"] in listed) == (True, False)
    page = curl(LIST, ann)
    assert tuple(page) == ("items", "total", "page", "page_size", "total_pages")
    assert page["items"][0]["id"] == made["id"]
    assert curl(UPDATE, ann, made["id"])["filename"] == "updated-name.jpg"
    assert "message" in curl(DELETE, ann, made["id"])

    # The clients: Python, then TypeScript.
    media_id = asyncio.run(upload_media(ann.origin, ann.token))
    asyncio.run(download_media(ann.origin, media_id))
    with Image.open(io.BytesIO((in_folder / "downloaded.jpg").read_bytes())) as picture:
        assert picture.size == (320, 240)
    browser = caller()
    uploaded = upload_from_browser(browser, SMALL, ann.token, content)
    assert (uploaded["content_id"], uploaded["thumbnail_url"] is not None) == (content, True)
    assert upload_from_browser(browser, SMALL, ann.token)["content_id"] is None
    of_content = [one["id"] for one in browser.get(f"/api/v1/media/content/{content}/media").json()]
    assert [one for one in of_content if one in {film["id"], media_id, uploaded["id"]}] == [
        film["id"], media_id, uploaded["id"],
    ]  # fmt: skip

    # Errors, and the description of it all.
    assert asyncio.run(handled(ann.origin, ann.token)).startswith("Invalid request: Invalid file type")
    curl(OPENAPI, ann)
    document = json.loads((in_folder / "media-api-spec.json").read_bytes())
    assert {path: set(item) for path, item in document["paths"].items() if "/api/v1/media" in path} == PATHS
    for page_of_it in ("/docs", "/redoc"):
        assert browser.get(page_of_it).status_code == 200
