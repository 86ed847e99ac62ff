"""The content service's API from the first line of its document to the last, over HTTP only.

Its printed examples run one after the other in test_content_walk.py; test_content_files.py has videos, sound and
documents.
"""

import io
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.dialects import content_author
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.content_author import CONTENT, MEDIA, RESPONSE, SMALL, Author, refusal
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

HEX = re.compile(r"_([0-9a-f]{32})\.")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="9" height="9"/></svg>'
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(64)


@pytest.fixture(scope="module")
def new_content(service: httpx.Client) -> Callable[..., str]:
    return partial(content_author.new_content, service)


@pytest.fixture(scope="module")
def content(new_content: Callable[..., str]) -> str:
    return new_content(CONTENT)


@pytest.fixture(scope="module")
def ann(caller: Caller) -> Author:
    """A user whose id is a UUID."""
    sub = str(uuid.uuid4())
    return Author(caller(sub), sub)


@pytest.fixture(scope="module")
def bob(caller: Caller) -> Author:
    """A user whose id is not."""
    return Author(caller("bob of contents"), "bob of contents")


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


# API endpoints


def test_an_upload_answers_with_the_processed_media(ann: Author, content: str, nobody: httpx.Client) -> None:
    data = photo(2600, 1950, seed=72)
    before = datetime.now(UTC)
    made = ann.upload(data, "Mission Photo.jpg", content_id=content, metadata='{"location": "Uganda"}')

    assert set(made) == set(RESPONSE)
    assert str(uuid.UUID(made["id"])) == made["id"]
    assert (made["content_id"], made["uploaded_by"]) == (content, ann.sub)
    assert (made["media_type"], made["mime_type"]) == ("image", "image/jpeg")
    assert (made["filename"], made["metadata"]) == ("Mission Photo.jpg", {"location": "Uganda"})
    assert (made["width"], made["height"], made["duration"]) == (2048, 1536, None)
    for name in ("created_at", "updated_at"):
        assert made[name].endswith("Z")
        assert abs(datetime.fromisoformat(made[name]) - before) < timedelta(minutes=1)

    file = nobody.get(made["url"])
    assert (file.status_code, file.headers["content-type"]) == (200, "image/jpeg")
    assert len(file.content) == made["file_size"] < len(data)
    assert opened(file.content).size == (2048, 1536)
    thumbnail = nobody.get(made["thumbnail_url"])
    assert thumbnail.status_code == 200
    assert opened(thumbnail.content).size == (300, 225)
    assert ann.get(f"/{made['id']}") == made


def test_an_upload_to_a_content_belongs_to_it(ann: Author, content: str) -> None:
    made = ann.post(path=f"{MEDIA}/content/{content}/upload", metadata='{"a": [1]}')
    assert made.status_code == 201, made.text
    assert (made.json()["content_id"], made.json()["metadata"]) == (content, {"a": [1]})
    with_slash = ann.post(path=f"{MEDIA}/upload/")
    assert (with_slash.status_code, with_slash.json()["content_id"]) == (201, None)


def test_everybody_may_read_and_download(ann: Author, nobody: httpx.Client) -> None:
    made = ann.upload(photo(640, 480, seed=73), "Bild von Köln.jpg")
    answer = nobody.get(f"{MEDIA}/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, made)
    file = nobody.get(f"{MEDIA}/{made['id']}/download")
    assert (file.status_code, file.headers["content-type"]) == (200, "image/jpeg")
    assert len(file.content) == made["file_size"]
    assert file.headers["content-disposition"].startswith("attachment")
    assert "Bild%20von%20K%C3%B6ln.jpg" in file.headers["content-disposition"]
    part = nobody.get(f"{MEDIA}/{made['id']}/download", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, file.content[:10])
    assert nobody.head(f"{MEDIA}/{made['id']}/download").headers["content-length"] == str(len(file.content))


def test_a_token_that_has_expired_does_not_keep_anybody_from_what_is_public(
    ann: Author, nobody: httpx.Client
) -> None:
    made = ann.upload()
    stale = {"Authorization": "Bearer of.another.time"}
    for path in (f"/{made['id']}", f"/{made['id']}/download"):
        assert nobody.get(f"{MEDIA}{path}", headers=stale).status_code == 200
    assert nobody.get(made["url"], headers=stale).status_code == 200
    assert nobody.get(f"{MEDIA}/", headers=stale).status_code == 401
    assert nobody.delete(f"{MEDIA}/{made['id']}", headers=stale).status_code == 401


def test_the_media_of_a_content_come_in_the_order_of_their_making(
    ann: Author, bob: Author, new_content: Callable[..., str], nobody: httpx.Client
) -> None:
    about = new_content()
    assert nobody.get(f"{MEDIA}/content/{about}/media").json() == []
    made = [one.upload(content_id=about)["id"] for one in (ann, bob, ann)]
    ann.upload()
    answer = nobody.get(f"{MEDIA}/content/{about}/media")
    assert answer.status_code == 200
    assert [one["id"] for one in answer.json()] == made
    assert all(set(one) == set(RESPONSE) for one in answer.json())
    assert [one["id"] for one in ann.get(f"/content/{about}/media", media_type="image")] == made
    assert ann.get(f"/content/{about}/media", media_type="video") == []


def test_the_list_has_pages_and_filters(ann: Author, bob: Author, new_content: Callable[..., str]) -> None:
    about = new_content()
    made = [ann.upload(content_id=about)["id"] for _ in range(3)]
    theirs = bob.upload(content_id=about)
    newest_first = [theirs["id"], *made[::-1]]
    whole = ann.get("/", content_id=about)
    assert {k: v for k, v in whole.items() if k != "items"} == {
        "total": 4, "page": 1, "page_size": 20, "total_pages": 1,
    }  # fmt: skip
    assert [one["id"] for one in whole["items"]] == newest_first
    assert all(set(one) == set(RESPONSE) for one in whole["items"])
    second = ann.get("", content_id=about, page=2, page_size=3)
    assert ([one["id"] for one in second["items"]], second["total_pages"]) == (newest_first[3:], 2)
    beyond = ann.get("/", content_id=about, page=9000)
    assert (beyond["items"], beyond["total"]) == ([], 4)
    own = ann.get("/", content_id=about, uploaded_by=ann.sub, media_type="image")
    assert [one["id"] for one in own["items"]] == made[::-1]
    of_bob = ann.get("/", content_id=about, uploaded_by=theirs["uploaded_by"])
    assert [one["id"] for one in of_bob["items"]] == [theirs["id"]]
    assert ann.get("/", content_id=about, media_type="audio")["total"] == 0


@pytest.mark.parametrize("query", [{"page": 0}, {"page_size": 0}, {"page_size": 101}, {"media_type": "x"}])
def test_a_page_that_cannot_be_is_refused(ann: Author, query: dict[str, Any]) -> None:
    status, detail = refusal(ann.http.get(f"{MEDIA}/", params=query))
    assert status == 422
    assert next(iter(query)) in detail


def test_only_name_and_metadata_change_and_the_metadata_as_a_whole(ann: Author) -> None:
    made = ann.upload(photo(64, 48), "old.jpg", metadata='{"old": 1}')
    path = f"{MEDIA}/{made['id']}"
    asked = {
        "filename": "new-filename.jpg",
        "metadata": {"location": "Uganda", "photographer": "John Doe"},
    }
    answer = ann.http.put(path, json=asked)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed == made | asked | {"updated_at": changed["updated_at"]}
    assert changed["updated_at"] >= made["updated_at"]
    only_name = ann.http.put(path, json={"filename": "again.jpg", "url": "ignored"}).json()
    assert (only_name["filename"], only_name["metadata"]) == ("again.jpg", asked["metadata"])
    assert ann.http.put(path, json={"metadata": {}}).json()["metadata"] == {}
    assert ann.http.put(path, json={"filename": 7}).status_code == 422


def test_a_delete_removes_row_file_and_thumbnail(ann: Author, system: System, nobody: httpx.Client) -> None:
    made = ann.upload(photo(400, 300, seed=74), "gone.jpg")
    name = made["storage_path"]
    assert any(key.endswith(name) for key in system.objects())
    answer = ann.http.delete(f"{MEDIA}/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, {"message": "Media deleted successfully"})
    for path in (f"/{made['id']}", f"/{made['id']}/download"):
        assert refusal(nobody.get(MEDIA + path)) == (404, "Media not found")
    for url in (made["url"], made["thumbnail_url"]):
        assert refusal(nobody.get(url)) == (404, "File not found")
    for method in ("PUT", "DELETE"):
        again = ann.http.request(method, f"{MEDIA}/{made['id']}", json={})
        assert refusal(again) == (404, "Media not found")
    eventually(lambda: not any(made["id"] in key or name in key for key in system.objects()), "no byte left")


# Core features


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_listed_image_type_that_may_stand_still_is_optimised_in_its_format(
    ann: Author, nobody: httpx.Client, kind: str
) -> None:
    name = "jpg" if kind == "JPEG" else kind.lower()
    made = ann.upload(encoded(picture(2100, 700, seed=75), kind), f"a.{name}")
    assert made["mime_type"] == f"image/{kind.lower()}"
    assert (made["width"], made["height"]) == (2048, 683)
    assert made["storage_path"].endswith(f".{name}")
    shown = opened(nobody.get(made["url"]).content)
    assert (shown.format, shown.size) == (kind, (2048, 683))
    thumbnail = opened(nobody.get(made["thumbnail_url"]).content)
    assert (thumbnail.format, thumbnail.size) == (kind, (300, 100))


def test_a_picture_that_could_only_grow_comes_back_as_it_was_with_a_thumbnail(
    ann: Author, nobody: httpx.Client
) -> None:
    small = encoded(picture(400, 300, seed=79), quality=50)
    made = ann.upload(small, "small.jpg")
    assert (made["file_size"], made["width"], made["height"]) == (len(small), 400, 300)
    for address in (made["url"], f"{MEDIA}/{made['id']}/download"):
        assert nobody.get(address).content == small
    assert opened(nobody.get(made["thumbnail_url"]).content).size == (300, 225)


def test_a_gif_comes_back_as_it_was_with_a_thumbnail(ann: Author, nobody: httpx.Client) -> None:
    gif = encoded(picture(600, 200, seed=76), "GIF")
    made = ann.upload(gif, "still.gif")
    assert (made["mime_type"], made["width"], made["file_size"]) == ("image/gif", 600, len(gif))
    file = nobody.get(f"{MEDIA}/{made['id']}/download")
    assert (file.content, file.headers["content-type"]) == (gif, "image/gif")
    assert opened(nobody.get(made["thumbnail_url"]).content).size == (300, 100)


def test_an_svg_is_stored_and_comes_back_as_it_was(ann: Author, nobody: httpx.Client) -> None:
    made = ann.upload(SVG, "drawing.svg")
    assert (made["mime_type"], made["file_size"]) == ("image/svg+xml", len(SVG))
    assert (made["width"], made["height"], made["thumbnail_url"]) == (None, None, None)
    for url in (made["url"], f"{MEDIA}/{made['id']}/download"):
        file = nobody.get(url)
        assert (file.content, file.headers["content-type"]) == (SVG, "image/svg+xml")
        assert file.headers["content-disposition"].startswith("attachment")


def test_transparency_is_put_on_white(ann: Author, nobody: httpx.Client) -> None:
    made = ann.upload(encoded(Image.new("RGBA", (80, 60), (255, 0, 0, 0)), "PNG"), "clear.png")
    for url in (made["url"], made["thumbnail_url"]):
        shown = opened(nobody.get(url).content)
        assert shown.mode == "RGB"
        assert shown.getpixel((40, 30)) == (255, 255, 255)


def test_files_lie_by_year_and_month_under_a_safe_name_with_an_id(ann: Author) -> None:
    now = datetime.now(UTC)
    made = ann.upload(photo(64, 48), "../Mission Photo & more " + "x" * 80 + ".jpg")
    path = re.fullmatch(r"(\d{4})/(\d\d)/([a-z0-9_-]{1,50})_([0-9a-f]{32})\.jpg", made["storage_path"])
    assert path is not None, made["storage_path"]
    assert datetime(int(path[1]), int(path[2]), 1, tzinfo=UTC) <= now
    assert path[3].startswith("mission-photo-more-xxx")
    assert made["url"] == f"{ann.origin}/api/v1/media/files/{made['storage_path']}"
    assert made["thumbnail_url"] == made["url"].replace(".jpg", "_thumb.jpg")


def test_files_keep_the_extension_that_they_came_with(ann: Author, nobody: httpx.Client) -> None:
    made = ann.upload(photo(64, 48), "Photo.JPEG")
    assert made["storage_path"].endswith(".jpeg")
    for url in (made["url"], made["thumbnail_url"]):
        assert nobody.get(url).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace("_", "_x_", 1),
        lambda path: "/1999/01/" + path.rsplit("/", 1)[1],
        lambda path: path.rsplit("/", 1)[1],
        lambda path: path.replace(".jpg", ".png"),
        lambda path: HEX.sub(f"_{'0' * 32}.", path),
        lambda path: HEX.sub(lambda m: f"_{m[1].upper()}.", path),
        lambda _: "nothing.jpg",
    ],
)  # fmt: skip
def test_no_other_path_leads_to_a_file(
    ann: Author, nobody: httpx.Client, change: Callable[[str], str]
) -> None:
    made = ann.upload(photo(64, 48), "file.jpg")
    answer = nobody.get(f"{MEDIA}/files/{change(made['storage_path'])}")
    assert refusal(answer) == (404, "File not found")
    assert nobody.get(f"{MEDIA}/files/{made['storage_path']}").status_code == 200


def test_a_path_upwards_leads_to_no_file(nobody: httpx.Client) -> None:
    # The edge of the containers resolves it before it looks for a route, and answers by itself.
    assert nobody.get(f"{MEDIA}/files/..%2F..%2Fetc%2Fpasswd").status_code == 404


# Database, rights


def test_media_outlive_their_content(
    ann: Author, service: httpx.Client, new_content: Callable[..., str]
) -> None:
    about = new_content()
    made = ann.upload(content_id=about)
    assert service.delete(f"/v1/entities/content/{about}").status_code == 204
    found = eventually(
        lambda: one if (one := ann.get(f"/{made['id']}"))["content_id"] is None else None,
        "content_id to be null",
    )
    assert set(found) == set(RESPONSE)
    assert ann.get(f"/content/{about}/media") == []
    assert refusal(ann.post(content_id=about)) == (404, "Content not found")


def test_the_media_of_many_contents_come_at_once(
    ann: Author, nobody: httpx.Client, new_content: Callable[..., str]
) -> None:
    first, second, empty = new_content(), new_content(), str(uuid.uuid4())
    made = {about: ann.upload(content_id=about)["id"] for about in (first, second)}
    answer = nobody.post("/v1/media/lookup", json={"type": "content", "ids": [first, second, empty]})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert {about: [one["id"] for one in found] for about, found in items.items()} == {
        first: [made[first]],
        second: [made[second]],
        empty: [],
    }
    for about in made:
        assert nobody.get(items[about][0]["thumbnail_url"]).status_code == 200


def test_only_whoever_uploaded_changes_and_deletes(
    ann: Author, bob: Author, service: httpx.Client, new_content: Callable[..., str]
) -> None:
    made = ann.upload(content_id=new_content(owners=[bob.sub], admins=[bob.sub]), name="a.png")
    path = f"{MEDIA}/{made['id']}"
    assert refusal(bob.http.put(path, json={"filename": "b.png"})) == (
        403,
        "You don't have permission to update this media",
    )
    assert refusal(bob.http.delete(path)) == (403, "You don't have permission to delete this media")
    assert ann.get(f"/{made['id']}") == made
    assert service.put(path, json={"filename": "b.png"}).status_code == 200
    assert service.delete(path).status_code == 200


def test_without_a_token_nothing_is_listed_or_changed(ann: Author, nobody: httpx.Client) -> None:
    made = ann.upload()
    for method, path in (
        ("POST", "/upload"),
        ("POST", f"/content/{CONTENT}/upload"),
        ("GET", "/"),
        ("PUT", f"/{made['id']}"),
        ("DELETE", f"/{made['id']}"),
    ):
        answer = nobody.request(method, MEDIA + path, json={} if method == "PUT" else None)
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.json()["detail"]


def test_media_of_other_apis_are_none_of_contents(ann: Author) -> None:
    made = ann.http.post("/v1/uploads", files={"file": ("a.png", SMALL)}, data={"is_public": "true"}).json()
    eventually(lambda: ann.http.get(f"/v1/media/{made['id']}").is_success, "the media to be there")
    assert refusal(ann.http.get(f"{MEDIA}/{made['id']}")) == (404, "Media not found")
    assert ann.get("/", uploaded_by=ann.sub)["total"] > 0
    listed = ann.get("/", uploaded_by=ann.sub, page_size=100)["items"]
    assert made["id"] not in [one["id"] for one in listed]


# Error handling


@pytest.mark.parametrize(
    ("name", "data", "said", "detail"),
    [
        ("a.bmp", encoded(picture(64, 48), "BMP"), "image", "Invalid file type"),
        ("a.png", b"no picture at all", "image", "Invalid file type"),
        ("a.zip", b"PK\x03\x04" + bytes(60), "document", "Invalid file type"),
        ("a.png", SMALL, "video", "Invalid file type"),
        ("a.mp4", MP4, "image", "Invalid file type"),
        ("a.png", SMALL, "picture", "Invalid media_type"),
        ("a.png", SMALL, "", "media_type is missing"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_a_bad_request(ann: Author, name: str, data: bytes, said: str, detail: str) -> None:
    for fields in ({"media_type": said}, None):
        # The printed examples send the file first; a client may as well send it last.
        parts: list[tuple[str, Any]] = [("file", (name, data))]
        parts.insert(0 if fields is None else 1, ("media_type", (None, said)))
        status, text = refusal(ann.http.post(f"{MEDIA}/upload", files=parts))
        assert (status, text.startswith(detail)) == (400, True), text


def test_a_picture_of_more_than_ten_megabytes_is_a_bad_request(ann: Author) -> None:
    large = SMALL + bytes(10 * 2**20)
    assert refusal(ann.post(large)) == (400, "File too large: the maximum size for image is 10 MB")


def test_more_than_max_upload_size_is_too_large_whatever_it_is(ann: Author) -> None:
    status, detail = refusal(ann.post(SMALL + bytes(101 * 2**20)))
    assert status == 413
    assert "104857600" in detail


@pytest.mark.parametrize("path", [f"{MEDIA}/upload", f"{MEDIA}/content/not-a-uuid/upload"])
def test_a_content_id_that_is_no_uuid_is_a_bad_request(ann: Author, path: str) -> None:
    status, detail = refusal(ann.post(path=path, content_id="not-a-uuid"))
    assert status == 400
    assert detail.startswith("Invalid content_id format")


def test_an_unknown_content_is_not_found(ann: Author) -> None:
    unknown = str(uuid.uuid4())
    assert refusal(ann.post(content_id=unknown)) == (404, "Content not found")
    assert refusal(ann.post(path=f"{MEDIA}/content/{unknown}/upload")) == (404, "Content not found")
    assert ann.get(f"/content/{unknown}/media") == []


@pytest.mark.parametrize("metadata", ["{not json", "[1]", "7", "null"])
def test_metadata_that_is_no_json_object_is_a_bad_request(ann: Author, metadata: str) -> None:
    status, detail = refusal(ann.post(metadata=metadata))
    assert status == 400
    assert detail.startswith("Invalid metadata JSON")


@pytest.mark.parametrize(
    "path", ["/not-a-uuid", "/not-a-uuid/download", "/content/x/media", "/?uploaded_by=x", "/?content_id=x"]
)
def test_an_id_that_is_no_uuid_is_a_bad_request(ann: Author, path: str) -> None:
    status, detail = refusal(ann.http.get(MEDIA + path))
    assert status == 400
    assert re.match(r"Invalid (media_id|content_id|uploaded_by) format", detail)


def test_a_picture_that_cannot_be_processed_is_told_and_leaves_nothing(ann: Author, system: System) -> None:
    total = ann.http.get(f"{MEDIA}/").json()["total"]
    data = photo(640, 480, seed=76)[:9000]
    files = {"file": ("broken-one.jpg", data, "image/jpeg")}
    answer = ann.http.post(f"{MEDIA}/upload", files=files, data={"media_type": "image"})
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("File processing failed: The file cannot be processed: ")
    assert ann.http.get(f"{MEDIA}/").json()["total"] == total
    eventually(lambda: not any("broken-one" in key for key in system.objects()), "no byte left")
