"""The mediafiles API from the first line of its document to the last, over HTTP only.

Its printed examples run one after the other in test_mediafiles_walk.py; test_mediafiles_films.py has videos and sound.
"""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from PIL import Image

from tests.e2e.dialects import mediafiles_user
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.mediafiles_user import MEDIA, MISSING, RECORD, SMALL, URLS, User, refusal
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

BROKEN = encoded(picture(640, 480, seed=80))[:3000]
"""A JPEG by its beginning, of which the rest is missing: it is taken, and cannot be processed."""


@pytest.fixture(scope="module")
def new_user(caller: Caller, new_number: Callable[[], int]) -> Callable[..., User]:
    return partial(mediafiles_user.new_user, caller, new_number)


@pytest.fixture(scope="module")
def ann(new_user: Callable[..., User]) -> User:
    return new_user("john_doe")


@pytest.fixture(scope="module")
def small(ann: User) -> str:
    """Where the small version of a photo of hers is."""
    address: str = ann.ready(name="photo.png")["urls"]["small"]
    return address.removeprefix(ann.origin)


@pytest.fixture(scope="module")
def bob(new_user: Callable[..., User]) -> User:
    return new_user("bob")


def precise_time(user: User, number: int) -> str:
    """Of the last change, as our own API tells it: with fractions of a second."""
    media = user.http.get("/v1/media").json()["items"]
    return next(str(one["updated_at"]) for one in media if one["number"] == number)


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


# API endpoints


def test_an_upload_answers_at_once_with_the_printed_record(ann: User) -> None:
    data = photo(1200, 900, seed=81)
    before = datetime.now(UTC)
    made = ann.upload(data, "photo.jpg")

    number, origin = made["id"], ann.origin
    assert type(number) is int
    assert set(made) == set(RECORD)
    variants = {
        "thumbnail": f"{origin}/media/thumbnails/{number}_photo_thumbnail.jpg",
        "small": f"{origin}/media/small/{number}_photo_small.jpg",
        "medium": f"{origin}/media/medium/{number}_photo_medium.jpg",
        "large": f"{origin}/media/large/{number}_photo_large.jpg",
        "webp": f"{origin}/media/webp/{number}_photo_webp.webp",
    }
    original = f"{origin}/media/user_{ann.number}/image/{number}_photo.jpg"
    assert {name: value for name, value in made.items() if not name.endswith("_at")} == {
        "id": number, "user": ann.number, "user_username": "john_doe", "file_type": "image", "status": "processing",
        "file_size": len(data), "mime_type": "image/jpeg", "display_url": original,
        "thumbnail_url": variants["thumbnail"], "urls": {**variants, "original": original}, "width": None,
        "height": None, "duration": None, "bitrate": None, "metadata": {}, "is_public": True,
    }  # fmt: skip
    for name in ("created_at", "updated_at"):
        assert made[name].endswith("Z")
        assert abs(datetime.fromisoformat(made[name]) - before) < timedelta(minutes=1)

    found = ann.final(number)
    assert set(found) == set(RECORD)
    assert (found["status"], found["width"], found["height"]) == ("ready", 1200, 900)
    assert found["display_url"] == variants["medium"]
    assert (found["thumbnail_url"], found["urls"]) == (made["thumbnail_url"], made["urls"])
    assert found["created_at"] == made["created_at"]


def test_the_list_has_pages_types_and_statuses(new_user: Callable[..., User]) -> None:
    carl = new_user("carl")
    empty = carl.get()
    assert empty == {"count": 0, "next": None, "previous": None, "results": []}
    made = [carl.ready()["id"] for _ in range(3)]
    failed = carl.final(carl.upload(BROKEN, "broken.jpg")["id"])
    assert failed["status"] == "failed"

    whole = carl.get()
    assert (whole["count"], whole["next"], whole["previous"]) == (4, None, None)
    assert [one["id"] for one in whole["results"]] == [failed["id"], *made[::-1]]
    assert all(set(one) == set(RECORD) for one in whole["results"])
    ready = carl.get("", type="image", status="ready", page=1, page_size=20)
    assert ([one["id"] for one in ready["results"]], ready["count"]) == (made[::-1], 3)
    assert [one["id"] for one in carl.get("", status="failed")["results"]] == [failed["id"]]
    for nothing in ({"type": "video"}, {"type": "audio"}, {"status": "uploading"}, {"status": "processing"}):
        assert carl.get("", **nothing)["count"] == 0

    first = carl.get("", page_size=2, status="ready")
    assert first["next"] == f"{carl.origin}/api/media/?status=ready&page_size=2&page=2"
    assert first["previous"] is None
    second = carl.http.get(first["next"]).json()
    assert [one["id"] for one in first["results"] + second["results"]] == made[::-1]
    assert (second["next"], second["previous"]) == (
        None,
        f"{carl.origin}/api/media/?status=ready&page_size=2",
    )
    assert carl.http.get(second["previous"]).json() == first
    assert carl.get("", page_size=100_000)["count"] == 4
    for page in ("3", "0", "-1", "x", "9" * 30):
        answer = carl.http.get(MEDIA, params={"page": page, "page_size": 2})
        assert refusal(answer) == (404, "Invalid page.")
    for name in ("type", "status"):
        status, detail = refusal(carl.http.get(MEDIA, params={name: "smell"}))
        assert (status, name in detail) == (400, True)


def test_a_delete_leaves_nothing(ann: User, system: System, nobody: httpx.Client) -> None:
    made = ann.ready(photo(300, 200, seed=82), "gone.jpg")
    path, file = f"{MEDIA}{made['id']}/", f"user_{ann.number}/image/{made['id']}_gone.jpg"
    assert any(key.endswith(file) for key in system.objects())
    answer = ann.http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(ann.http.get(path)) == MISSING
    assert refusal(ann.http.delete(path)) == MISSING
    assert refusal(ann.http.post(f"{path}reprocess/")) == MISSING
    for url in made["urls"].values():
        assert nobody.get(url).status_code == 404
    eventually(lambda: not any(key.endswith(file) for key in system.objects()), "the original to be gone")


def test_a_failed_media_is_processed_again_on_request(ann: User) -> None:
    made = ann.final(ann.upload(BROKEN, "broken.jpg")["id"])
    assert (made["status"], made["thumbnail_url"]) == ("failed", None)
    assert made["display_url"] == made["urls"]["original"]
    before = precise_time(ann, made["id"])
    answer = ann.http.post(f"{MEDIA}{made['id']}/reprocess/")
    assert answer.status_code == 202
    assert set(answer.json()) == set(RECORD)
    assert (answer.json()["id"], answer.json()["status"]) == (made["id"], "processing")

    assert eventually(lambda: precise_time(ann, made["id"]) > before, "it to be processed once more")
    assert ann.final(made["id"])["status"] == "failed"


def test_a_ready_media_may_be_processed_again_and_keeps_what_it_has_meanwhile(ann: User) -> None:
    made = ann.ready(photo(320, 240, seed=83), "again.jpg")
    answer = ann.http.post(f"{MEDIA}{made['id']}/reprocess")
    assert (answer.status_code, answer.json()["display_url"]) == (202, made["display_url"])
    assert ann.final(made["id"])["status"] == "ready"


def test_statistics_name_every_type_and_status(new_user: Callable[..., User]) -> None:
    dora = new_user("dora")
    assert dora.get("stats/") == {
        "total": 0,
        "by_type": {"image": 0, "video": 0, "audio": 0},
        "by_status": {"ready": 0, "processing": 0, "failed": 0, "uploading": 0},
        "total_size": 0,
    }
    dora.ready()
    dora.final(dora.upload(BROKEN, "broken.jpg")["id"])
    assert dora.get("stats") == {
        "total": 2,
        "by_type": {"image": 2, "video": 0, "audio": 0},
        "by_status": {"ready": 1, "processing": 0, "failed": 1, "uploading": 0},
        "total_size": len(SMALL) + len(BROKEN),
    }


# Limits and formats


def test_a_picture_of_more_than_ten_megabytes_is_refused(ann: User, system: System) -> None:
    before = system.objects()
    answer = ann.http.post(f"{MEDIA}upload/", files={"file": ("a.png", SMALL + bytes(10 * 2**20))})
    status, detail = refusal(answer)
    assert status == 400
    assert detail == "File size exceeds maximum allowed size (10 MB for image files)"
    eventually(lambda: not system.objects() - before, "the refused file to be gone")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("JPEG", "a.jpg"), ("JPEG", "a.jpeg"), ("PNG", "a.png"), ("GIF", "a.gif"), ("WEBP", "a.webp"), ("BMP", "a.bmp")],
)  # fmt: skip
def test_every_listed_image_type_is_taken_and_processed(ann: User, kind: str, name: str) -> None:
    made = ann.ready(encoded(picture(70, 50, seed=84), kind), name)
    assert (made["mime_type"], made["file_type"]) == (f"image/{kind.lower()}", "image")
    assert (made["width"], made["height"]) == (70, 50)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tiff", encoded(picture(64, 48), "TIFF")),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("a.pdf", b"%PDF-1.4\n"),
        ("a.jpg", b"no picture at all"),
        ("a.mp4", SMALL),
    ],
)
def test_any_other_type_is_refused(ann: User, name: str, data: bytes) -> None:
    status, detail = refusal(ann.http.post(f"{MEDIA}upload/", files={"file": (name, data)}))
    assert status == 400
    assert detail.startswith("Unsupported file type.")


def test_a_form_without_a_file_is_refused(ann: User) -> None:
    status, detail = refusal(ann.http.post(f"{MEDIA}upload/", files={"photo": (None, "x")}))
    assert status == 400
    assert "file" in detail


# Image processing


def test_every_version_has_the_listed_size_and_format(ann: User, nobody: httpx.Client) -> None:
    made = ann.ready(photo(2000, 1500, seed=85), "Große Reise.jpg")
    expected = {
        "thumbnail": ("JPEG", (150, 150)),
        "small": ("JPEG", (320, 240)),
        "medium": ("JPEG", (640, 480)),
        "large": ("JPEG", (1080, 810)),
        "webp": ("WEBP", (640, 480)),
    }
    assert set(made["urls"]) == set(URLS)
    for name, (kind, size) in expected.items():
        answer = nobody.get(made["urls"][name])
        assert answer.status_code == 200, (name, answer.text)
        assert answer.headers["content-type"] == f"image/{kind.lower()}"
        shown = opened(answer.content)
        assert (shown.format, shown.size) == (kind, size), name
    assert made["urls"]["small"] == f"{ann.origin}/media/small/{made['id']}_groe-reise_small.jpg"


def test_an_original_comes_back_as_it_was_and_in_part(ann: User, nobody: httpx.Client) -> None:
    data = photo(200, 150, seed=86)
    made = ann.upload(data, "photo.jpg")
    url = made["urls"]["original"]
    answer = eventually(lambda: found if (found := nobody.get(url)).is_success else None, "the original")
    assert answer.content == data
    assert answer.headers["content-disposition"].startswith("inline")
    assert nobody.get(url, headers={"Range": "bytes=0-9"}).content == data[:10]
    assert nobody.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert nobody.head(url).headers["content-length"] == str(len(data))


def test_a_version_that_is_still_being_made_is_waited_for(ann: User, nobody: httpx.Client) -> None:
    made = ann.upload(photo(1600, 1200, seed=87), "photo.jpg")
    eventually(lambda: ann.http.get(f"{MEDIA}{made['id']}/").is_success, "the row")
    answer = nobody.get(made["urls"]["large"])
    assert answer.status_code == 200, answer.text
    assert opened(answer.content).size == (1080, 810)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace("/small/", "/large/"),
        lambda path: path.replace("/small/", "/thumbnails/"),
        lambda path: path.replace("_photo_", "_other_"),
        lambda path: path.replace(".jpg", ".webp"),
        lambda path: path.replace("_small.jpg", "_huge.jpg"),
        lambda path: re.sub(r"/\d+_", "/999999999999_", path),
        lambda path: re.sub(r"/(\d+)_", r"/0\1_", path),
        lambda path: "/media/user_1/image/" + path.rsplit("/", 1)[1],
        lambda path: path.replace("/media/small/", "/media/user_1/image/").replace("_small", ""),
        lambda _: "/media/small/nothing.jpg",
        lambda _: "/media/user_1/image/nothing.jpg",
    ],
)  # fmt: skip
def test_no_other_address_leads_to_a_file(
    small: str, nobody: httpx.Client, change: Callable[[str], str]
) -> None:
    shown = nobody.get(small)
    assert shown.status_code == 200, shown.text
    assert refusal(nobody.get(change(small))) == MISSING


# Security notes


def test_users_have_their_own_media_alone_even_if_others_are_public(
    ann: User, bob: User, new_user: Callable[..., User]
) -> None:
    made = ann.ready()
    assert made["is_public"]
    before = bob.get("stats/")["total"]
    for other in (bob, new_user("root", "admin", "service")):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "reprocess/")):
            assert refusal(other.http.request(method, f"{MEDIA}{made['id']}/{path}")) == MISSING
        assert made["id"] not in [one["id"] for one in other.get()["results"]]
    assert bob.get("stats/")["total"] == before
    assert ann.get(f"{made['id']}/") == made


def test_a_private_file_is_for_its_owner_alone(ann: User, bob: User, nobody: httpx.Client) -> None:
    made = ann.ready(photo(64, 48, seed=88), "secret.jpg", is_public="false")
    assert not made["is_public"]
    for url in made["urls"].values():
        assert refusal(nobody.get(url)) == MISSING
        assert refusal(bob.http.get(url)) == MISSING
        assert ann.http.get(url).status_code == 200
        assert "private" in ann.http.get(url).headers["cache-control"]


def test_the_flag_opens_and_closes_a_media(ann: User, nobody: httpx.Client) -> None:
    made = ann.ready(name="flag.png", is_public="false")
    own = ann.http.get("/v1/media", params={"owner": str(ann.number)}).json()["items"]
    media_id = next(one["id"] for one in own if one["number"] == made["id"])
    for public, status in ((True, 200), (False, 404)):
        assert ann.http.patch(f"/v1/media/{media_id}", json={"is_public": public}).is_success
        assert ann.get(f"{made['id']}/")["is_public"] is public
        assert nobody.get(made["urls"]["small"]).status_code == status


def test_an_admin_uses_our_own_api(ann: User, caller: Caller) -> None:
    made, admin = ann.ready(name="reported.png", is_public="false"), caller("keeper", "admin")
    query: dict[str, str] = {"owner": str(ann.number), "media_type": "image", "status": "ready"}
    listed = admin.get("/v1/media", params=query).json()["items"]
    path = next(f"/v1/media/{one['id']}" for one in listed if one["number"] == made["id"])
    assert admin.patch(path, json={"is_public": True}).json()["is_public"] is True
    assert admin.post(f"{path}/reprocess").status_code == 202
    assert ann.final(made["id"])["is_public"]
    assert admin.delete(path).status_code == 204
    assert refusal(ann.http.get(f"{MEDIA}{made['id']}/")) == MISSING


def test_without_a_token_there_is_no_api(nobody: httpx.Client, ann: User) -> None:
    made = ann.upload()["id"]
    for method, path in (
        ("POST", "upload/"), ("GET", ""), ("GET", f"{made}/"), ("DELETE", f"{made}/"), ("GET", "stats/"),
        ("POST", f"{made}/reprocess/"),
    ):  # fmt: skip
        status, detail = refusal(nobody.request(method, f"{MEDIA}{path}"))
        assert status == 401
        assert detail.startswith("Authentication credentials were not provided")


def test_what_is_no_number_is_not_found(ann: User) -> None:
    for nothing in ("abc", "0", "-1", str(2**53 - 1), "9" * 30, "upload", "1.5"):
        assert refusal(ann.http.get(f"{MEDIA}{nothing}/")) == MISSING


def test_media_of_other_apis_are_none_of_these(ann: User) -> None:
    made = ann.http.post("/v1/uploads", files={"file": ("a.png", SMALL)}).json()
    eventually(lambda: ann.http.get(f"/v1/media/{made['id']}").is_success, "the media to be there")
    assert refusal(ann.http.get(f"{MEDIA}{made['number']}/")) == MISSING
    assert made["number"] not in [one["id"] for one in ann.get("", page_size=100)["results"]]


def test_a_user_known_by_the_claim_uid_is_that_number(caller: Caller, new_number: Callable[[], int]) -> None:
    number = new_number()
    http = caller(f"somebody-{number}", uid=number, username="some_body")
    made = http.post(f"{MEDIA}upload/", files={"file": ("a.png", SMALL)}).json()
    assert (made["user"], made["user_username"]) == (number, "some_body")
    found = eventually(
        lambda: answer if (answer := http.get(f"{MEDIA}{made['id']}/")).is_success else None, "the row"
    )
    assert (found.json()["user"], found.json()["user_username"]) == (number, "some_body")
    assert f"/media/user_{number}/image/" in made["urls"]["original"]
    assert http.get(made["urls"]["original"]).content == SMALL


def test_the_api_is_in_the_openapi_document(ann: User) -> None:
    paths = ann.http.get("/openapi.json").json()["paths"]
    assert {path: set(item) for path, item in paths.items() if path.startswith("/api/media")} == {
        "/api/media": {"get"},
        "/api/media/upload": {"post"},
        "/api/media/stats": {"get"},
        "/api/media/{media_id}": {"get", "delete"},
        "/api/media/{media_id}/reprocess": {"post"},
    }
    assert {"/media/thumbnails/{filename}", "/media/{folder}/{file_type}/{filename}"} <= set(paths)
