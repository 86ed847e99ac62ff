"""Videos by the entities API, over HTTP only: in posts and elsewhere, counted, moderated, refused, deleted."""

import http.client
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.entities_users import PNG, PRINTED, SPOKEN_OF, User, post_of, processed, refusal
from tests.fixtures.system import System
from tests.fixtures.videos import same_picture, video
from tests.fixtures.waiting import eventually

SMALL = video("mkv", width=64, height=48, rate=8).data
AT_ONCE = {"Prefer": "respond-async"}  # nobody waits for the processing
SIZES = ("thumbnail", "small", "medium", "large")
LABELS = "JPG, PNG, GIF, WebP, BMP, TIFF"


@pytest.fixture
def one(caller: Caller, new_number: Callable[[], int]) -> User:
    """A user of this test alone."""
    number = new_number()
    return User(caller(str(number)), number)


@pytest.fixture
def post(service: httpx.Client, one: User) -> str:
    """The address of a post of theirs, which has their number."""
    return post_of(service, one, one.number)


def test_a_video_in_a_post_has_its_sizes_sides_and_duration(one: User, post: str, system: System) -> None:
    data = video("m4v", width=480, height=360, rate=8).data
    said = {"alt_text": "Sunset view", "caption": "From my backyard"}
    media = processed(one, one.upload(post, data, "Sunset.m4v", **said))

    assert set(media) == PRINTED | SPOKEN_OF
    assert (media["status"], media["media_type"], media["mime_type"]) == ("ready", "video", "video/mp4")
    assert (media["width"], media["height"], media["file_size"]) == (480, 360, len(data))
    assert abs(media["duration"] - 1) < 0.1
    assert (media["entity_type"], media["entity_field"]) == ("post", "media")
    assert (media["alt_text"], media["caption"]) == ("Sunset view", "From my backyard")
    sizes = {}
    for name in SIZES:
        shown = httpx.get(media[f"{name}_url"])  # without a token: posts are public
        assert shown.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(shown.content)) as made:
            sizes[name] = made.size
    assert sizes == {"thumbnail": (150, 150), "small": (400, 300), "medium": (480, 360), "large": (480, 360)}
    assert httpx.get(media["original_url"]).content == data
    part = httpx.get(media["original_url"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, data[100:200])
    assert any(f"posts/media/{one.number}/" in name and name.endswith(".m4v") for name in system.objects())


@pytest.mark.long
def test_every_listed_video_format_is_taken_and_processed(one: User, post: str) -> None:
    assert post
    kinds = {"mp4": "mp4", "mov": "mov", "avi": "avi", "mkv": "mkv", "webm": "webm-vp8", "m4v": "m4v"}
    made = {f"a.{name}": video(kind, width=96, height=72, rate=8) for name, kind in kinds.items()}
    answer = one.http.post(
        "/v1/media/batch/upload",
        files=[("files", (name, each.data, "application/octet-stream")) for name, each in made.items()],
        data={"entity_type": "post", "entity_id": str(one.number), "entity_field": "media"},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["failed"] == []
    for taken in answer.json()["uploaded"]:
        media = processed(one, taken)
        assert media["mime_type"] == made[media["filename"]].mime_type
        assert (media["status"], media["width"], media["height"]) == ("ready", 96, 72)
        assert all(media[f"{name}_url"] for name in SIZES)


def test_a_video_that_nobody_waits_for_has_no_sizes_until_it_is_ready(one: User, post: str) -> None:
    files = {"file": ("a.mkv", SMALL)}
    answer = one.http.post(f"/v1/media/{post}", files=files, headers=AT_ONCE)
    media = answer.json()["media"]
    assert (answer.status_code, media["status"]) == (201, "processing")
    assert [media[f"{name}_url"] for name in SIZES] == [None] * 4
    assert (media["width"], media["duration"]) == (None, None)
    later = processed(one, media)
    assert (later["status"], later["width"]) == ("ready", 64)
    assert all(later[f"{name}_url"] for name in SIZES)
    assert [each["id"] for each in one.get(f"entity/post/{one.number}")] == [media["id"]]


# What is refused


@pytest.mark.parametrize("slot", ["users/{}/avatar", "users/{}/cover"])
def test_a_video_in_a_place_for_pictures_is_refused_and_leaves_what_was_there(one: User, slot: str) -> None:
    path = slot.format(one.number)
    there = one.upload(path)["id"]
    said = f"Invalid file type. The file is video/x-matroska; allowed are {LABELS}."
    assert refusal(one.post(path, SMALL, "a.mkv")) == (400, said)
    found = one.get(f"entity/user/{one.number}")
    assert [media["id"] for media in found] == [there]


WMV = video("wmv", width=64, height=48, rate=8).data


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (SMALL[:9000], "a.mkv", "File too small. The file has 9000 bytes"),
        (WMV, "a.wmv", "Invalid file type. The file is video/x-ms-wmv; allowed are MP4, MOV, AVI, MKV, WebM, M4V."),
        (PNG, "a.m4v", "Invalid file type. The name 'a.m4v' says "),
        (SMALL, "a.m4v", "Invalid file type. The name 'a.m4v' says "),
        (SMALL, "a.jpg", "Invalid file type. The name 'a.jpg' says "),
    ],
)  # fmt: skip
def test_a_video_that_a_post_does_not_take_is_told_why_and_leaves_nothing(
    one: User, post: str, data: bytes, name: str, said: str
) -> None:
    status, detail = refusal(one.post(post, data, name))
    assert (status, detail[: len(said)]) == (400, said)
    assert one.get(f"entity/post/{one.number}") == []


def test_a_video_that_cannot_be_played_stays_as_it_was_uploaded(one: User, post: str) -> None:
    assert post
    broken = [video("mp4").data[:11_000], SMALL[:200] + bytes(20_000)]
    names = ("a.mp4", "a.mkv")
    answer = one.http.post(
        "/v1/media/batch/upload",
        files=[("files", file) for file in zip(names, broken, strict=True)],
        data={"entity_type": "post", "entity_id": str(one.number), "entity_field": "media"},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["failed"] == []
    for taken, data in zip(answer.json()["uploaded"], broken, strict=True):
        media = processed(one, taken)
        assert (media["status"], media["media_type"], media["width"]) == ("failed", "video", None)
        assert [media[f"{name}_url"] for name in SIZES] == [None] * 4
        assert httpx.get(media["original_url"]).content == data
    assert len(one.get(f"entity/post/{one.number}")) == 2


def test_a_video_of_more_than_500_megabytes_is_refused_before_it_is_sent(one: User, post: str) -> None:
    begin = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
        b"Content-Type: video/mp4\r\n\r\n" + video("mp4").data
    )
    where = one.http.base_url
    line = http.client.HTTPConnection(where.host, where.port or 80, timeout=20)
    line.putrequest("POST", f"/v1/media/{post}")
    line.putheader("Authorization", f"Bearer {one.token}")
    line.putheader("Content-Type", "multipart/form-data; boundary=x")
    line.putheader("Content-Length", str(502 * 2**20))
    line.endheaders(begin)
    answer = line.getresponse()
    detail = json.loads(answer.read())["detail"]
    assert (answer.status, detail) == (400, "File too large. Maximum size is 500 MB.")
    line.close()


@pytest.mark.long
def test_a_video_has_500_megabytes_and_not_a_byte_more(one: User, post: str, tmp_path: Path) -> None:
    clip, most = video("m4v").data, 500 * 2**20
    large = tmp_path / "large.m4v"
    with large.open("wb") as file:
        file.write(clip + (most - len(clip)).to_bytes(4) + b"free")
        file.truncate(most)
    with large.open("rb") as file:
        answer = one.http.post(f"/v1/media/{post}", files={"file": ("large.m4v", file)}, timeout=300)
    assert answer.status_code == 201, answer.text
    media = processed(one, answer.json()["media"])
    assert (media["status"], media["file_size"], media["width"]) == ("ready", most, 64)
    with large.open("ab") as file:
        file.write(b"x")
    with large.open("rb") as file:
        answer = one.http.post(f"/v1/media/{post}", files={"file": ("large.m4v", file)}, timeout=300)
    assert refusal(answer) == (400, "File too large. Maximum size for video is 500 MB.")
    assert len(one.get(f"entity/post/{one.number}")) == 1


def test_a_video_for_anothers_post_or_none_is_not_taken(
    one: User, post: str, caller: Caller, new_number: Callable[[], int]
) -> None:
    other = User(caller(str(number := new_number())), number)
    assert refusal(other.post(post, SMALL, "a.mkv")) == (
        403, "Not authorized. Only the post owner can upload media here.",
    )  # fmt: skip
    for wrong in (number, 0, -1, "x" * 200, "%00", "9" * 30):
        # An edge in front may refuse a NUL in the path by itself, with 400.
        assert one.post(f"posts/{wrong}/media", SMALL, "a.mkv").status_code in {400, 404, 422}, wrong
    assert caller().post(f"/v1/media/{post}", files={"file": ("a.mkv", SMALL)}).status_code == 401
    assert one.get(f"entity/post/{one.number}") == []


# What becomes of them


def test_a_video_that_is_deleted_while_it_is_processed_leaves_nothing(
    one: User, post: str, system: System
) -> None:
    files = {"file": ("long.avi", same_picture(100, width=640, height=480).data)}
    answer = one.http.post(f"/v1/media/{post}", files=files, headers=AT_ONCE)
    media = answer.json()["media"]
    media_id = media["original_url"].split("/")[-2]
    ours = (f"posts/media/{one.number}/", media_id)
    assert any(ours[0] in name for name in system.objects())
    eventually(lambda: one.http.delete(f"/v1/media/{media['id']}").status_code == 200, "it to be deleted")
    assert one.http.get(f"/v1/media/{media['id']}").status_code == 404
    assert one.get(f"entity/post/{one.number}") == []
    eventually(
        lambda: not [name for name in system.objects() if any(part in name for part in ours)],
        "its files to be erased",
    )


def test_the_storage_analytics_are_a_plain_count_of_pictures_and_videos(
    one: User, post: str, service: httpx.Client
) -> None:
    kind = f"kind{one.number}"
    service.put(f"/v1/entities/{kind}/1", json={"owners": [str(one.number)]})
    said = {"entity_type": kind, "entity_id": "1", "is_public": "false"}
    eventually(lambda: one.post("upload", b"x", **said).status_code != 404, "the entity")
    files = [("a.png", PNG), ("b.png", PNG), ("c.mkv", SMALL), ("d.mkv", SMALL)]
    answer = one.http.post(
        "/v1/media/batch/upload", files=[("files", file) for file in files], data=said, headers=AT_ONCE
    )
    ids = [media["id"] for media in answer.json()["uploaded"]]
    assert len(ids) == 4, answer.text
    eventually(lambda: len(one.get(f"entity/{kind}/1")) == 4, "all of them to be there")
    elsewhere = one.upload(post)

    def check() -> dict[str, Any]:
        listed = one.get(f"entity/{kind}/1")
        found: dict[str, Any] = one.get("analytics/storage", entity_type=kind)
        for name in ("image", "video"):
            of_kind = [media["file_size"] for media in listed if media["media_type"] == name]
            told = found["by_media_type"].get(name, {"total_files": 0, "total_size_bytes": 0})
            assert (told["total_files"], told["total_size_bytes"]) == (len(of_kind), sum(of_kind))
        assert found["total_files"] == len(listed)
        assert found["total_size_bytes"] == sum(media["file_size"] for media in listed)
        return found

    assert check()["total_size_bytes"] == 2 * len(PNG) + 2 * len(SMALL)
    assert one.http.delete(f"/v1/media/{ids[3]}").status_code == 200
    assert check()["by_media_type"]["video"]["total_size_bytes"] == len(SMALL)
    assert one.http.post("/v1/media/batch/delete", json={"media_ids": ids}).json()["deleted_count"] == 3
    assert check()["total_files"] == 0
    posts = one.get("analytics/storage", entity_type="post")
    assert posts["total_size_bytes"] >= elsewhere["file_size"]  # and what others show to everybody


# Moderation


def test_the_record_and_the_lists_follow_what_moderators_decide(
    one: User, post: str, caller: Caller, service: httpx.Client
) -> None:
    media = one.upload(post)
    listed, nobody = f"/v1/media/entity/post/{one.number}", caller()
    assert media["moderation_status"] == "approved"

    def decided(state: str) -> None:
        said = {"state": state, "reason": "A house number shows.", "expected": now}
        path = f"/v1/media/{media['public_id']}/moderation"
        assert one.http.post(path, json=said).status_code == 403
        assert service.post(path, json=said).status_code == 200

    now = "approved"
    for state in ("flagged", "pending", "rejected", "approved"):
        decided(state)
        now = state
        for path in (f"/v1/media/{media['id']}", f"/v1/media/public/{media['public_id']}"):
            assert one.http.get(path).json()["moderation_status"] == state
            assert nobody.get(path).status_code == (200 if state == "approved" else 404)
        assert [each["moderation_status"] for each in one.http.get(listed).json()] == [state]
        assert len(nobody.get(listed).json()) == (state == "approved")
        for name in ("original_url", "thumbnail_url"):
            assert nobody.get(media[name]).status_code == (200 if state == "approved" else 404)
            assert one.http.get(media[name]).status_code == 200
