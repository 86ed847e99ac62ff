"""The library API from the first line of its document to the last, over HTTP only.

Its examples run as printed, without a token, with only the origin, the file names and the numbers of media filled in:
a stack that many tests share has its number 1 elsewhere. test_library_walk.py has them in their order. What the other
modes of anonymous access allow is tested on the services themselves (tests/integration).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.printed import curl_of_media
from tests.fixtures.hand_made import mp4, zipped
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import IN_CONTAINERS, System
from tests.fixtures.waiting import eventually

RECORD = {
    "id", "filename", "file_size", "mime_type", "file_type", "description", "alt_text", "user_id", "is_public", "url",
    "download_url", "created_at", "updated_at",
}  # fmt: skip
UPLOADED = {"id", "filename", "file_size", "file_type", "url", "download_url", "message"}
SMALL = encoded(picture(64, 48), "PNG")
PHOTO = photo(320, 240, seed=71)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("library")
    (made / "image.jpg").write_bytes(PHOTO)
    return made


@pytest.fixture(scope="module")
def first(nobody: httpx.Client, folder: Path) -> dict[str, Any]:
    """What the first example of the document uploads."""
    command = """curl -X POST "http://localhost:8000/media/upload" \\
  -F "file=@image.jpg" \\
  -F "description=Profile picture" \\
  -F "alt_text=User profile photo" \\
  -F "user_id=1" \\
  -F "is_public=true" """
    made: dict[str, Any] = curl(command, nobody, folder)
    return made


def curl(command: str, http: httpx.Client, folder: Path, number: object = 1) -> Any:
    return curl_of_media(command, str(http.base_url).rstrip("/"), folder, number)


def upload(http: httpx.Client, data: bytes = SMALL, name: str = "a.png", **said: str) -> dict[str, Any]:
    answer = http.post("/media/upload", files={"file": (name, data)}, data=said)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def get(http: httpx.Client, path: str, **query: int) -> Any:
    answer = http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [one["id"] for one in found]


# API endpoints, by their printed examples


def test_the_upload_example_answers_as_printed(first: dict[str, Any], nobody: httpx.Client) -> None:
    url = f"{str(nobody.base_url).rstrip('/')}/media/{first['id']}/download"
    assert type(first["id"]) is int
    assert first == {
        "id": first["id"], "filename": "image.jpg", "file_size": len(PHOTO), "file_type": "image", "url": url,
        "download_url": url, "message": "File uploaded successfully",
    }  # fmt: skip


def test_the_example_of_all_media_lists_them(
    first: dict[str, Any], nobody: httpx.Client, folder: Path
) -> None:
    found = curl("curl http://localhost:8000/media/", nobody, folder)
    assert isinstance(found, list)
    assert all(set(one) == RECORD for one in found)
    assert first["id"] in numbers(found)
    assert numbers(get(nobody, "/media")) == numbers(found)


def test_the_example_of_one_media_shows_it(first: dict[str, Any], nobody: httpx.Client, folder: Path) -> None:
    found = curl("curl http://localhost:8000/media/1", nobody, folder, first["id"])
    assert set(found) == RECORD
    assert {name: found[name] for name in UPLOADED - {"message"}} == {
        name: first[name] for name in UPLOADED - {"message"}
    }
    assert (found["mime_type"], found["description"], found["alt_text"], found["user_id"], found["is_public"]) == (
        "image/jpeg", "Profile picture", "User profile photo", 1, True,
    )  # fmt: skip
    for name in ("created_at", "updated_at"):
        assert found[name].endswith("Z")
        assert datetime.fromisoformat(found[name]).tzinfo == UTC


def test_the_download_example_brings_the_file(
    first: dict[str, Any], nobody: httpx.Client, folder: Path
) -> None:
    curl(
        "curl http://localhost:8000/media/1/download --output downloaded_file.jpg",
        nobody,
        folder,
        first["id"],
    )
    assert (folder / "downloaded_file.jpg").read_bytes() == PHOTO
    shown = nobody.get(first["url"])
    assert (shown.content, shown.headers["content-type"]) == (PHOTO, "image/jpeg")
    assert shown.headers["content-disposition"].startswith("inline")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert nobody.get(first["url"], headers={"Range": "bytes=5-9"}).content == PHOTO[5:10]
    assert nobody.head(first["url"]).headers["content-length"] == str(len(PHOTO))


def test_the_update_example_changes_what_is_said(
    first: dict[str, Any], nobody: httpx.Client, folder: Path
) -> None:
    command = """curl -X PATCH "http://localhost:8000/media/1" \\
  -H "Content-Type: application/json" \\
  -d '{
    "description": "Updated description",
    "alt_text": "Updated alt text",
    "is_public": true
  }'"""
    found = curl(command, nobody, folder, first["id"])
    assert set(found) == RECORD
    assert (found["description"], found["alt_text"], found["is_public"]) == (
        "Updated description", "Updated alt text", True,
    )  # fmt: skip
    path = f"/media/{first['id']}"
    partly = nobody.patch(path, json={"alt_text": None, "is_public": None}).json()
    assert (partly["description"], partly["alt_text"], partly["is_public"]) == (
        "Updated description", None, True,
    )  # fmt: skip
    assert nobody.patch(path, json={"is_public": "perhaps"}).status_code == 422


def test_the_examples_by_user_by_type_and_of_public_media_list_them(
    first: dict[str, Any], nobody: httpx.Client, folder: Path
) -> None:
    private = upload(nobody, user_id="1")
    of_user = curl("curl http://localhost:8000/media/user/1", nobody, folder)
    assert {first["id"], private["id"]} <= set(numbers(of_user))
    assert {one["user_id"] for one in of_user} == {1}
    of_type = curl("curl http://localhost:8000/media/type/image", nobody, folder)
    assert {first["id"], private["id"]} <= set(numbers(of_type))
    assert {one["file_type"] for one in of_type} == {"image"}
    public = curl("curl http://localhost:8000/media/public/list", nobody, folder)
    assert first["id"] in numbers(public)
    assert private["id"] not in numbers(public)
    assert all(one["is_public"] for one in public)


def test_the_delete_example_removes_file_and_metadata(
    nobody: httpx.Client, folder: Path, system: System
) -> None:
    made = upload(nobody, PHOTO, "to-be-deleted.jpg")
    assert any(path.endswith("_to-be-deleted.jpg") for path in system.objects())
    answer = curl('curl -X DELETE "http://localhost:8000/media/1"', nobody, folder, made["id"])
    assert answer == {"message": "File deleted successfully"}
    path = f"/media/{made['id']}"
    for answer in (
        nobody.get(path), nobody.get(f"{path}/download"), nobody.patch(path, json={}), nobody.delete(path),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["detail"]) == (404, f"Media file {made['id']} not found")
    eventually(
        lambda: not any(path.endswith("_to-be-deleted.jpg") for path in system.objects()),
        "the file to be erased",
    )


def test_the_storage_example_tells_of_the_folder(nobody: httpx.Client, folder: Path) -> None:
    found = curl("curl http://localhost:8000/media/stats/info", nobody, folder)
    assert set(found) == {"backend", "bucket_name", "media_folder", "endpoint_url"}
    if IN_CONTAINERS:
        assert (found["backend"], found["bucket_name"], found["media_folder"]) == ("s3", "tripod", None)
    else:
        assert (found["backend"], found["bucket_name"], found["endpoint_url"]) == ("local", None, None)
        assert Path(found["media_folder"]).is_dir()


# What the endpoints take beyond their examples


def test_every_field_of_an_upload_is_optional(nobody: httpx.Client) -> None:
    found = get(nobody, f"/media/{upload(nobody)['id']}")
    assert (found["description"], found["alt_text"], found["is_public"]) == (None, None, False)
    assert found["user_id"] is None, "anonymous has no number"


def test_pages_by_skip_and_limit_together_are_the_list(
    nobody: httpx.Client, new_number: Callable[[], int]
) -> None:
    user = new_number()
    made = [upload(nobody, user_id=str(user))["id"] for _ in range(5)][::-1]
    path = f"/media/user/{user}"
    assert numbers(get(nobody, path)) == made
    assert [numbers(get(nobody, path, skip=skip, limit=2)) for skip in (0, 2, 4, 6)] == [
        made[:2], made[2:4], made[4:], [],
    ]  # fmt: skip
    assert numbers(get(nobody, "/media/", skip=0, limit=1)) == numbers(get(nobody, "/media/"))[:1]
    for wrong in ({"skip": -1}, {"limit": -1}, {"limit": "many"}):
        assert nobody.get("/media/", params=wrong).status_code == 422


def test_an_unknown_type_and_a_user_without_number_are_refused(nobody: httpx.Client) -> None:
    unknown = nobody.get("/media/type/smell")
    assert unknown.status_code == 422
    assert "image, video, audio, document, other" in unknown.json()["detail"]
    for kind in ("image", "video", "audio", "document", "other"):
        assert nobody.get(f"/media/type/{kind}").status_code == 200
    assert nobody.get("/media/user/somebody").status_code == 422
    assert (
        nobody.post("/media/upload", files={"file": ("a.png", SMALL)}, data={"user_id": "me"}).status_code
        == 422
    )


def test_what_is_no_number_of_a_media_is_not_found(nobody: httpx.Client) -> None:
    for nothing in (2**53 - 1, "abc", "9" * 30):
        answer = nobody.get(f"/media/{nothing}")
        assert (answer.status_code, answer.json()["detail"]) == (404, f"Media file {nothing} not found")


# File types, storage organization, security


@pytest.mark.parametrize(
    ("name", "data", "file_type"),
    [
        ("a.gif", encoded(picture(20, 20), "GIF"), "image"),
        ("a.webp", encoded(picture(20, 20), "WEBP"), "image"),
        ("a.tiff", encoded(picture(20, 20), "TIFF"), "image"),
        ("a.bmp", encoded(picture(20, 20), "BMP"), "image"),
        ("a.mp4", mp4("vide", "soun"), "video"),
        ("a.m4a", mp4("soun"), "audio"),
        ("a.docx", zipped("[Content_Types].xml", "word/document.xml"), "document"),
        ("a.xlsx", zipped("xl/workbook.xml", "[Content_Types].xml"), "document"),
        ("a.zip", zipped("word/document.xml"), "other"),
        ("a.xyz", b"\x01\x02\x03nothing that anybody knows", "other"),
    ],
)
def test_the_type_of_a_file_is_found(nobody: httpx.Client, name: str, data: bytes, file_type: str) -> None:
    assert upload(nobody, data, name)["file_type"] == file_type


def test_files_are_organized_by_date(nobody: httpx.Client, system: System) -> None:
    made = upload(nobody, name="../../where is it?.png")
    today = get(nobody, f"/media/{made['id']}")["created_at"][:10].replace("-", "/")
    found = [path for path in system.objects() if "where" in path]
    assert len(found) == 1
    assert re.search(rf"(^|/){today}/[0-9a-f-]{{36}}_where[^/]*\.png$", found[0])


def test_a_file_of_more_than_ten_megabytes_is_refused_with_413(nobody: httpx.Client) -> None:
    assert upload(nobody, SMALL + bytes(10 * 2**20 - len(SMALL)))["file_size"] == 10 * 2**20
    answer = nobody.post(
        "/media/upload", files={"file": ("a.png", SMALL + bytes(10 * 2**20 - len(SMALL) + 1))}
    )
    assert answer.status_code == 413
    assert "10485760" in answer.json()["detail"]


def test_a_type_that_the_bytes_do_not_have_is_refused(nobody: httpx.Client) -> None:
    answer = nobody.post("/media/upload", files={"file": ("a.png", b"no picture", "image/png")})
    assert answer.status_code == 415


def test_a_token_gives_the_upload_to_its_user(caller: Caller, nobody: httpx.Client) -> None:
    ann = caller("ann of the library", uid=4711)
    made = upload(ann)
    assert get(nobody, f"/media/{made['id']}")["user_id"] == 4711
    assert made["id"] in numbers(get(nobody, "/media/user/4711"))


def test_media_of_other_apis_are_none_of_the_library(caller: Caller, nobody: httpx.Client) -> None:
    """Not even where the library is open to everybody."""
    ann = caller("ann of the library")
    theirs = ann.post("/v1/uploads", files={"file": ("a.png", SMALL)}, data={"is_public": "true"}).json()
    eventually(lambda: ann.get(f"/v1/media/{theirs['id']}").is_success, "the media to be there")
    path = f"/media/{theirs['number']}"
    for answer in (
        nobody.get(path), nobody.get(f"{path}/download"), nobody.patch(path, json={"is_public": False}),
        nobody.delete(path),
    ):  # fmt: skip
        assert answer.status_code == 404
    assert theirs["number"] not in numbers(get(nobody, "/media/", limit=1000))
    assert nobody.delete(f"/v1/media/{theirs['id']}").status_code == 401


def test_paths_with_words_win_over_numbers_and_live_beside_those_of_personas(
    nobody: httpx.Client, caller: Caller
) -> None:
    user = caller("7999")
    assert set(get(nobody, "/media/stats/info/")) == {
        "backend",
        "bucket_name",
        "media_folder",
        "endpoint_url",
    }
    assert "files_per_persona" in get(user, "/media/stats")
    assert isinstance(get(nobody, "/media/public/list/"), list)
    assert get(user, "/media/files") == []
    assert nobody.post("/media/upload/1", files={"file": ("a.png", SMALL)}).status_code == 401


def test_the_api_is_in_the_interactive_documentation(nobody: httpx.Client) -> None:
    paths = get(nobody, "/openapi.json")["paths"]
    assert set(paths["/media/{media_id}"]) == {"get", "patch", "delete"}
    assert {
        "/media", "/media/upload", "/media/{media_id}/download", "/media/user/{user_id}", "/media/type/{file_type}",
        "/media/public/list", "/media/stats/info", "/media/filter", "/media/filter/paginated",
        "/media/{media_id}/presigned",
    } <= set(paths)  # fmt: skip
