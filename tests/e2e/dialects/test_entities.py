"""The entities API from the first line of its document to the last, over HTTP only.

The store is looked at where the document prints a path. test_entities_walk.py has its printed examples,
test_entities_videos.py its videos.
"""

import io
import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.entities_users import (
    PNG,
    PRINTED,
    SPOKEN_OF,
    User,
    refusal,
    registered,
    until_known,
)
from tests.fixtures.pictures import encoded, late_jpeg, late_tiff, photo, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually


@pytest.fixture(scope="module")
def one(caller: Caller) -> User:
    """User 1 of the document."""
    return registered(caller)


@pytest.fixture(scope="module")
def two(caller: Caller, one: User) -> User:
    """Somebody else."""
    return User(caller("2"), one.number + 1)


@pytest.fixture
def album(caller: Caller, one: User, new_number: Callable[[], int]) -> str:
    """`community/<number>`: one of user 1's that only this test knows."""
    number = new_number()
    caller("backend", "service").put(f"/v1/entities/community/{number}", json={"owners": ["1"]})
    until_known(one, f"communities/{number}/photos")
    return f"community/{number}"


# Entity-specific upload routes


def test_a_field_that_a_slot_does_not_know_is_ignored(one: User) -> None:
    media = one.upload("users/1/avatar", entity_id="2", is_primary="false", nonsense="x")
    assert (media["entity_id"], media["is_primary"]) == (1, True)


# Image processing pipeline


def test_a_photo_is_turned_upright_measured_and_made_in_the_documented_sizes(one: User) -> None:
    media = one.upload("posts/1/media", photo(2000, 1500, seed=91, orientation=6), "photo.jpg")

    assert (media["width"], media["height"]) == (1500, 2000)
    assert media["exif"]["camera_model"] == "Model 3"
    assert "gps" not in media["exif"]
    assert re.fullmatch(r"[0-9a-f]{16}", media["phash"])
    sizes = {}
    for name in ("thumbnail", "small", "medium", "large"):
        with Image.open(io.BytesIO(httpx.get(media[f"{name}_url"]).content)) as made:
            sizes[name] = made.size
            assert not dict(made.getexif())  # and so no place
    assert sizes == {
        "thumbnail": (150, 150), "small": (300, 400), "medium": (600, 800), "large": (1200, 1600),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_every_listed_format_is_taken_and_processed(one: User, kind: str) -> None:
    media = one.upload("posts/1/media", encoded(picture(90, 70, seed=92), kind), f"a.{kind.lower()}")
    assert media["mime_type"] == f"image/{kind.lower()}"
    assert (media["status"], media["width"], media["height"]) == ("ready", 90, 70)
    assert media["thumbnail_url"]


# File type limits


def padded(size: int, sides: tuple[int, int] = (200, 200)) -> bytes:
    """A JPEG of exactly so many bytes."""
    data = encoded(picture(*sides, seed=93))
    return data + bytes(size - len(data))


@pytest.mark.parametrize(
    ("path", "data", "name", "said"),
    [
        ("users/1/avatar", padded(5 * 2**20 + 1), "a.jpg", "File too large. Maximum size for image is 5 MB."),
        ("posts/1/media", padded(20 * 2**20 + 1), "a.jpg", "File too large. Maximum size for image is 20 MB."),
        ("builders/12/logo", encoded(Image.new("RGB", (60, 60)), "PNG"), "a.png", "File too small. "),
        ("builders/12/logo", b"", "a.png", "The file is empty (0 bytes)."),
        ("users/1/avatar", encoded(picture(99, 120)), "a.jpg", "Invalid image dimensions. "),
        ("users/1/avatar", encoded(picture(2001, 120)), "a.jpg", "Invalid image dimensions. "),
        ("users/1/avatar", encoded(picture(99, 120), "BMP"), "a.bmp", "Invalid image dimensions. "),
        ("users/1/avatar", encoded(picture(99, 120), "TIFF"), "a.tiff", "Invalid image dimensions. "),
        ("users/1/avatar", late_jpeg(2001, 120), "a.jpg", "Invalid image dimensions. The file cannot be processed: "),
        ("users/1/avatar", late_tiff(2001, 120), "a.tiff", "Invalid image dimensions. The file cannot be processed: "),
        ("users/1/avatar", late_jpeg(120, 99, 6), "a.jpg", "Invalid image dimensions. The file cannot be processed: "),
        ("builders/12/logo", encoded(picture(49, 120)), "a.jpg", "Invalid image dimensions. "),
        ("builders/12/logo", encoded(picture(8001, 60)), "a.jpg", "Invalid image dimensions. "),
        ("users/1/avatar", b"%PDF-1.7\n" * 200, "a.pdf",
         "Invalid file type. The file is application/pdf; allowed are JPG, PNG, GIF, WebP, BMP, TIFF."),
        ("users/1/avatar", b"no picture at all " * 99, "a.jpg", "Invalid file type. The name 'a.jpg' says "),
    ],
)  # fmt: skip
def test_what_goes_beyond_a_limit_is_a_bad_request_that_says_so(
    one: User, path: str, data: bytes, name: str, said: str
) -> None:
    status, detail = refusal(one.post(path, data, name))
    assert status == 400
    assert detail.startswith(said)


def test_what_just_fits_is_taken(one: User) -> None:
    one.upload("users/1/avatar", padded(5 * 2**20), "a.jpg")
    one.upload("users/1/avatar", encoded(picture(2000, 100)), "a.jpg")
    one.upload("builders/12/logo", encoded(picture(8000, 50)), "a.jpg")


def test_a_form_without_a_file_says_what_is_missing(one: User) -> None:
    answer = one.http.post("/v1/media/users/1/avatar", files={"alt_text": (None, "x")})
    assert answer.status_code == 400
    assert "'file'" in answer.json()["detail"]


# Permissions


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("users/1/avatar", "Only the user themselves"),
        ("users/1/cover", "Only the user themselves"),
        ("properties/123/photos", "Only the property's builder or an admin"),
        ("builders/12/portfolio", "Only the builder owner"),
        ("builders/12/logo", "Only the builder owner"),
        ("communities/123/photos", "Only a community admin"),
        ("communities/123/amenities/4/photos", "Only a community admin"),
        ("sales-reps/5/avatar", "Only the sales rep themselves"),
        ("posts/1/media", "Only the post owner"),
    ],
)
def test_only_who_the_document_names_may_upload(two: User, caller: Caller, path: str, who: str) -> None:
    assert refusal(two.post(path)) == (403, f"Not authorized. {who} can upload media here.")
    assert caller().post(f"/v1/media/{path}", files={"file": ("a.png", PNG)}).status_code == 401


def test_an_amenity_that_is_registered_by_itself_has_rights_of_its_own(one: User, two: User) -> None:
    assert two.upload("communities/124/amenities/77/photos")["entity_id"] == 77
    assert one.post("communities/123/amenities/77/photos").status_code == 403
    assert two.post("communities/123/amenities/77/photos").status_code == 403


@pytest.mark.parametrize(
    "path", ["users/98/avatar", "properties/98/photos", "builders/98/logo", "communities/98/photos",
             "communities/98/amenities/4/photos", "sales-reps/98/avatar", "posts/98/media"]
)  # fmt: skip
def test_an_unknown_entity_is_not_found(one: User, path: str) -> None:
    assert refusal(one.post(path))[0] == 404


def test_the_general_upload_has_no_wider_rights_than_the_slots(two: User) -> None:
    for entity, field in (("user/1", "avatar"), ("user/1", "x"), ("builder/12", ""), ("post/1", "gallery")):
        kind, number = entity.split("/")
        answer = two.post("upload", entity_type=kind, entity_id=number, entity_field=field)
        assert answer.status_code == 403, (entity, field, answer.text)


def test_an_admin_of_a_community_may_upload_to_any_field_of_it(one: User) -> None:
    for field in ("", "gallery", "cover", "avatar"):
        media = one.upload("upload", entity_type="community", entity_id="123", entity_field=field)
        assert media["entity_field"] == (field or None)


# General upload


def test_the_general_upload_takes_its_fields_after_the_file(one: User) -> None:
    said = {
        "entity_type": "community", "entity_id": "123", "entity_field": "gallery", "alt_text": "Community pool",
        "caption": "Resort-style pool", "sort_order": "3", "is_public": "false",
    }  # fmt: skip
    parts: list[Any] = [("file", ("pool.png", PNG)), *((name, (None, value)) for name, value in said.items())]
    answer = one.http.post("/v1/media/upload", files=parts)

    assert answer.status_code == 201, answer.text
    media = answer.json()["media"]
    assert answer.json()["message"] == "Media uploaded successfully"
    assert {name: media[name] for name in ("entity_type", "entity_field", "alt_text", "caption")} == {
        name: said[name] for name in ("entity_type", "entity_field", "alt_text", "caption")
    }
    assert (media["entity_id"], media["sort_order"], media["is_public"]) == (123, 3, False)
    assert media["medium_url"]


def test_the_general_upload_without_its_optional_fields_is_public_and_in_no_field(one: User) -> None:
    media = one.upload("upload", entity_type="community", entity_id="123")
    assert (media["entity_field"], media["sort_order"], media["is_public"]) == (None, 0, True)
    assert one.post("upload").status_code == 422
    assert one.upload("upload", entity_type="user", entity_id="1", entity_field="gallery")["entity_id"] == 1


def test_the_general_upload_of_an_avatar_has_the_limits_of_an_avatar(one: User) -> None:
    small = encoded(picture(99, 120))
    before = {"entity_type": "user", "entity_id": "1", "entity_field": "avatar"}
    assert refusal(one.post("upload", small, "a.jpg", **before))[0] == 400
    parts: list[Any] = [
        ("file", ("a.jpg", small)),
        *((name, (None, value)) for name, value in before.items()),
    ]
    status, detail = refusal(one.http.post("/v1/media/upload", files=parts))
    assert (status, detail.split(".")[0]) == (400, "Invalid image dimensions")


# Batch upload


def test_a_bad_file_of_a_batch_is_told_of_and_the_others_are_there(one: User, album: str) -> None:
    kind, number = album.split("/")
    parts: list[Any] = [("files", (f"{n}.png", PNG, "image/png")) for n in range(4)]
    parts.insert(2, ("files", ("bad.jpg", b"no picture " * 2000, "image/jpeg")))
    parts += [
        ("entity_type", (None, kind)),
        ("entity_id", (None, number)),
        ("entity_field", (None, "gallery")),
    ]
    answer = one.http.post("/v1/media/batch/upload", files=parts)

    found = answer.json()
    assert (answer.status_code, found["uploaded_count"], found["failed_count"]) == (201, 4, 1)
    assert found["message"] == "Successfully uploaded 4 of 5 files"
    assert found["failed"][0]["filename"] == "bad.jpg"
    assert found["failed"][0]["error"].startswith("Invalid file type.")
    assert [m["id"] for m in one.get(f"entity/{album}")] == [m["id"] for m in found["uploaded"]]


# Reading


def test_the_list_of_an_entity_has_primary_ones_first_and_narrows_to_a_field(
    one: User, two: User, album: str, caller: Caller
) -> None:
    kind, number = album.split("/")
    entity = {"entity_type": kind, "entity_id": number}
    third = one.upload("upload", **entity, sort_order="2")["id"]
    second = one.upload("upload", **entity, sort_order="1", entity_field="gallery")["id"]
    hidden = one.upload("upload", **entity, is_public="false")["id"]
    first = one.upload(f"communities/{number}/photos", is_primary="true")["id"]

    found = one.get(f"entity/{album}")
    assert [media["id"] for media in found] == [first, hidden, second, third]
    assert all(set(media) == PRINTED | SPOKEN_OF for media in found)
    assert [media["id"] for media in one.get(f"entity/{album}", entity_field="gallery")] == [first, second]
    for stranger in (two.http, caller()):
        seen = stranger.get(f"/v1/media/entity/{album}").json()
        assert [media["id"] for media in seen] == [first, second, third]
    assert one.get("entity/community/98") == []


def test_the_newest_of_primary_ones_goes_before_the_former(one: User, album: str) -> None:
    number = album.split("/")[1]
    former, newest = (one.upload(f"communities/{number}/photos", is_primary="true")["id"] for _ in range(2))
    assert [media["id"] for media in one.get(f"entity/{album}") if media["is_primary"]][:2] == [
        newest,
        former,
    ]


def test_a_picture_that_cannot_be_processed_is_told_and_leaves_nothing(one: User, album: str) -> None:
    kind, number = album.split("/")
    before = one.get(f"entity/{album}")
    good = photo(640, 480, seed=72)
    files = [("files", ("good.jpg", good, "image/jpeg")), ("files", ("bad.jpg", good[:4000], "image/jpeg"))]
    answer = one.http.post(
        "/v1/media/batch/upload", files=files, data={"entity_type": kind, "entity_id": number}
    )
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["uploaded_count"], told["failed_count"], told["failed"][0]["filename"]) == (1, 1, "bad.jpg")
    assert "cannot be processed" in told["failed"][0]["error"]
    assert len(one.get(f"entity/{album}")) == len(before) + 1


def test_one_media_is_found_by_number_and_by_public_id(one: User, two: User, caller: Caller) -> None:
    media = one.upload("users/1/cover")
    for http in (one.http, two.http, caller()):
        by_number = http.get(f"/v1/media/{media['id']}")
        by_public_id = http.get(f"/v1/media/public/{media['public_id']}")
        assert by_number.status_code == by_public_id.status_code == 200
        assert by_number.json()["public_id"] == by_public_id.json()["public_id"] == media["public_id"]
        assert set(by_number.json()) == set(by_public_id.json()) == PRINTED | SPOKEN_OF


def test_what_is_private_or_another_systems_is_not_found(one: User, two: User) -> None:
    hidden = one.upload("upload", entity_type="community", entity_id="123", is_public="false")
    assert refusal(two.http.get(f"/v1/media/{hidden['id']}")) == (404, f"Media {hidden['id']} not found")
    assert two.http.get(f"/v1/media/public/{hidden['public_id']}").status_code == 404
    ours = one.http.post("/v1/uploads", files={"file": ("a.png", PNG)}).json()
    assert one.http.get(f"/v1/media/{ours['number']}").status_code == 404
    assert one.http.get(f"/v1/media/public/{ours['public_id']}").status_code == 404
    for ref in ("0", "99999999999999999999", f"public/{uuid.uuid4()}", "public/nonsense"):
        assert one.http.get(f"/v1/media/{ref}").status_code == 404, ref


# Deleting


def test_a_media_is_deleted_with_a_message_and_leaves_nothing(one: User, two: User, system: System) -> None:
    before = system.objects()
    media = one.upload("users/1/cover", encoded(picture(160, 120, seed=94)), "a.jpg")
    media_id = media["original_url"].split("/")[-2]
    made = {
        name for name in system.objects() - before if media_id in name or "/covers/" in name
    }  # others may still be derived from what other tests uploaded
    assert len(made) == 5
    assert refusal(two.http.delete(f"/v1/media/{media['id']}")) == (
        403,
        "Not authorized to delete this media",
    )
    gone = one.http.delete(f"/v1/media/{media['id']}")
    assert (gone.status_code, gone.json()) == (200, {"message": "Media deleted successfully"})
    assert refusal(one.http.delete(f"/v1/media/{media['id']}")) == (404, f"Media {media['id']} not found")
    assert one.http.get(media["original_url"]).status_code == 404
    eventually(lambda: not made & system.objects(), "its files to be erased")


def test_a_batch_is_deleted_each_for_itself(one: User, two: User) -> None:
    mine = [one.upload("posts/1/media")["id"] for _ in range(2)]
    theirs = two.upload("users/2/avatar")["id"]
    answer = one.http.post("/v1/media/batch/delete", json={"media_ids": [*mine, theirs, 0]})

    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "deleted": mine,
        "deleted_count": 2,
        "failed": [
            {"id": theirs, "error": "Not authorized to delete this media"},
            {"id": 0, "error": "Media 0 not found"},
        ],
        "failed_count": 2,
        "message": "Successfully deleted 2 of 4 media",
    }
    assert one.http.get(f"/v1/media/{mine[0]}").status_code == 404
    assert one.http.get(f"/v1/media/{theirs}").status_code == 200
    assert one.http.post("/v1/media/batch/delete", json={"media_ids": []}).status_code == 422
    nothing = one.http.post("/v1/media/batch/delete", json={})
    assert (nothing.status_code, "media_ids" in nothing.json()["detail"]) == (422, True)


# Storage analytics


def test_the_storage_analytics_count_by_type_and_entity_type(one: User, caller: Caller) -> None:
    kind = f"kind{uuid.uuid4().hex[:8]}"
    service = caller("backend", "service")
    service.put(f"/v1/entities/{kind}/1", json={"owners": ["1"]})
    said = {"entity_type": kind, "entity_id": "1", "is_public": "false"}
    eventually(lambda: one.post("upload", b"x", **said).status_code != 404, "the entity")
    for _ in range(2):
        one.upload("upload", **said)
    before = one.get("analytics/storage")
    found = one.get("analytics/storage", entity_type=kind)

    weight = {
        "total_files": 2,
        "total_size_bytes": 2 * len(PNG),
        "total_size_mb": round(2 * len(PNG) / 2**20, 2),
        "total_size_gb": round(2 * len(PNG) / 2**30, 4),
    }
    assert found == {
        **weight, "entity_type": kind, "by_media_type": {"image": weight}, "by_entity_type": {kind: weight},
    }  # fmt: skip
    assert before["by_entity_type"][kind] == weight
    assert before["total_files"] == sum(one["total_files"] for one in before["by_media_type"].values())
    assert (
        caller("2").get("/v1/media/analytics/storage", params={"entity_type": kind}).json()["total_files"]
        == 0
    )
    assert caller().get("/v1/media/analytics/storage").status_code == 401


# Duplicate detection


def test_duplicates_are_found_with_the_documented_bands(one: User) -> None:
    original = picture(800, 600, seed=95)
    media = one.upload("posts/1/media", encoded(original), "a.jpg")
    again = one.upload("posts/1/media", encoded(original), "b.jpg")
    smaller = one.upload("posts/1/media", encoded(original.resize((200, 150)), "PNG"), "c.png")
    other = one.upload("posts/1/media", encoded(picture(800, 600, seed=96)), "d.jpg")

    assert media["phash"] == again["phash"]
    found = one.get(f"{media['public_id']}/similar")["items"]
    near = {item["media"]["number"]: (item["distance"], item["label"]) for item in found}
    assert near[again["id"]] == (0, "identical")
    assert smaller["id"] in near
    assert other["id"] not in near
    for distance, label in near.values():
        assert label == ("identical" if distance == 0 else "very_similar" if distance <= 5 else "similar")
        assert distance <= 10


# Security


def test_a_private_file_is_shown_by_a_link_for_a_while(one: User, caller: Caller) -> None:
    media = one.upload("upload", entity_type="community", entity_id="123", is_public="false")
    assert caller().get(media["original_url"]).status_code == 404
    link = one.http.post(f"/v1/media/{media['public_id']}/links", json={"seconds": 3600}).json()["url"]
    assert caller().get(link).content == PNG
