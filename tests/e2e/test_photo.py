"""A photo goes in, everything about it comes out."""

import base64
import hashlib
import io
import uuid

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

STANDARD = {"thumbnail": 150, "small": 320, "medium": 640, "large": 1080, "xlarge": 1600, "webp": 640}


def test_a_photo_becomes_ready_with_all_that_is_known_about_it(ann: Client) -> None:
    data = photo(2000, 1500)
    answer = ann.upload(data, "Sommer in Köln.jpg", description="The cathedral", tags="köln,summer")
    assert answer.status_code in {201, 202}, answer.text
    first = answer.json()
    assert first["status"] == "processing"
    media = ann.final(first["id"])

    assert media["status"] == "ready", media
    assert media["error"] is None
    assert {name: media[name] for name in ("id", "public_id", "number")} == {
        name: first[name] for name in ("id", "public_id", "number")
    }
    assert uuid.UUID(media["id"]).version == 7
    assert media["public_id"].startswith("MED-")
    assert media["filename"] == "Sommer in Köln.jpg"
    assert media["description"] == "The cathedral"
    assert media["tags"] == ["köln", "summer"]
    assert (media["mime_type"], media["media_type"]) == ("image/jpeg", "image")
    assert (media["size"], media["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (media["width"], media["height"]) == (2000, 1500)
    assert media["owner"] == ann.sub
    assert not media["is_public"]

    exif = media["exif"]
    assert (exif["camera_make"], exif["camera_model"], exif["iso"]) == ("Tripod Works", "Model 3", 400)
    assert exif["exposure_time"] == pytest.approx(1 / 250)
    assert exif["f_number"] == pytest.approx(2.8)
    assert exif["gps"]["latitude"] == pytest.approx(48.858222, abs=1e-5)
    assert exif["gps"]["longitude"] == pytest.approx(-2.2945, abs=1e-5)
    assert media["taken_at"].startswith("2024-05-17T14:03:22")
    assert len(bytes.fromhex(media["phash"])) == len(bytes.fromhex(media["dhash"])) == 8
    assert len(bytes.fromhex(media["ahash"])) == 8
    assert len(media["colour_hash"]) == 11
    assert 2 <= len(media["colours"]) <= 5
    assert all(set(colour) == {"hex", "share"} for colour in media["colours"])
    assert 5 <= len(base64.b64decode(media["placeholder"])) <= 40
    assert set(media["timings"]) >= {"decode", "variants", "fingerprint"}


def test_the_standard_recipe_makes_every_variant_without_the_place_it_was_taken_at(ann: Client) -> None:
    media = ann.uploaded(photo(2000, 1500, seed=2))
    variants = {v["name"]: v for v in media["variants"]}
    assert set(variants) == set(STANDARD)
    for name, side in STANDARD.items():
        variant = variants[name]
        answer = ann.http.get(variant["url"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == variant["mime_type"]
        assert len(answer.content) == variant["size"]
        assert "immutable" in answer.headers["cache-control"]
        with Image.open(io.BytesIO(answer.content)) as made:
            assert made.size == (variant["width"], variant["height"])
            assert max(made.size) == side
            assert made.format == ("WEBP" if name == "webp" else "JPEG")
            assert not dict(made.getexif())
    assert variants["thumbnail"]["width"] == variants["thumbnail"]["height"] == 150
    assert media["thumbnail_url"] == variants["thumbnail"]["url"]


def test_a_small_picture_is_never_enlarged_and_still_has_every_variant(ann: Client) -> None:
    media = ann.uploaded(encoded(picture(200, 100), "PNG"), "small.png")
    sizes = {v["name"]: (v["width"], v["height"]) for v in media["variants"]}
    assert set(sizes) == set(STANDARD)
    assert sizes["large"] == sizes["xlarge"] == (200, 100)
    assert max(sizes["thumbnail"]) <= 150


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_shown_upright(ann: Client, orientation: int) -> None:
    media = ann.uploaded(photo(400, 300, seed=3, orientation=orientation))
    upright = (400, 300) if orientation < 5 else (300, 400)
    assert (media["width"], media["height"]) == upright
    small = next(v for v in media["variants"] if v["name"] == "small")
    assert (small["width"] > small["height"]) == (upright[0] > upright[1])


def test_the_original_comes_back_byte_for_byte_whole_and_in_part(ann: Client) -> None:
    data = photo(seed=4)
    media = ann.uploaded(data, 'a "quoted" näme.jpg')
    url = media["download_url"]
    whole = ann.http.get(url)
    assert whole.content == data
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    assert whole.headers["content-disposition"].startswith("attachment")
    assert "filename*=UTF-8''" in whole.headers["content-disposition"]
    assert "private" in whole.headers["cache-control"]
    tag = whole.headers["etag"]
    assert media["sha256"] in tag

    part = ann.http.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
    tail = ann.http.get(url, headers={"Range": "bytes=-5"})
    assert (tail.status_code, tail.content) == (206, data[-5:])
    beyond = ann.http.get(url, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    assert ann.http.get(url, headers={"Range": "bytes=0-4", "If-Range": '"other"'}).status_code == 200
    assert ann.http.get(url, headers={"Range": "bytes=0-4", "If-Range": tag}).status_code == 206
    assert ann.http.get(url, headers={"If-None-Match": tag}).status_code == 304
    head = ann.http.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")


def test_a_resized_copy_is_found_as_a_near_duplicate_and_a_stranger_is_not(ann: Client) -> None:
    original = ann.uploaded(encoded(picture(1600, 1200, seed=5)))
    copy = ann.uploaded(encoded(picture(1600, 1200, seed=5).resize((500, 375)), "PNG"), "copy.png")
    stranger = ann.uploaded(encoded(picture(1600, 1200, seed=6)))
    found = ann.http.get(f"/v1/media/{original['id']}/similar").json()["items"]
    assert [item["media"]["id"] for item in found] == [copy["id"]]
    assert found[0]["label"] in {"identical", "very_similar"}
    assert stranger["id"] not in str(found)


def test_the_list_shows_the_newest_first_and_pages_by_cursor(ann: Client) -> None:
    made = [ann.uploaded(encoded(picture(64, 64, seed=n), "PNG"), f"{n}.png")["id"] for n in range(5)]
    seen: list[str] = []
    page = ann.http.get("/v1/media", params={"limit": 2, "owner": ann.sub})
    while True:
        assert page.status_code == 200, page.text
        seen += [item["id"] for item in page.json()["items"]]
        following = page.links.get("next")
        if following is None:
            break
        page = ann.http.get(following["url"])
    assert seen == made[::-1]
    assert page.json()["next_cursor"] is None


def test_a_media_is_changed_with_if_match_and_its_etag_moves(ann: Client) -> None:
    media = ann.uploaded(photo(seed=7))
    url = f"/v1/media/{media['public_id']}"
    tag = ann.http.get(url).headers["etag"]
    assert ann.http.get(url, headers={"If-None-Match": tag}).status_code == 304
    change = {"description": "new", "tags": ["a", "b"], "metadata": {"k": {"n": 1}}, "is_public": True}
    changed = ann.http.patch(url, json=change, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in change} == change
    assert ann.http.patch(url, json={"caption": "late"}, headers={"If-Match": tag}).status_code == 412
    merged = ann.http.patch(url, json={"metadata": {"k": {"m": 2}, "x": None}}).json()
    assert merged["metadata"] == {"k": {"n": 1, "m": 2}}


def test_a_signed_link_opens_one_private_file_without_a_header(ann: Client, nobody: httpx.Client) -> None:
    data = photo(seed=8)
    media = ann.uploaded(data)
    assert nobody.get(media["download_url"]).status_code in {401, 404}
    link = ann.http.post(f"/v1/media/{media['id']}/links", json={})
    assert link.status_code in {200, 201}, link.text
    url = link.json()["url"]
    assert nobody.get(url).content == data
    assert nobody.get(url.replace("signature=", "signature=0")).status_code == 403
    assert nobody.get(url.replace("/download", "/variants/small")).status_code == 403


def test_invariant_6_after_a_delete_no_byte_and_no_variant_remain(ann: Client, system: System) -> None:
    media = ann.uploaded(photo(seed=9))

    def files() -> list[str]:
        return [name for name in system.objects() if media["id"] in name]

    assert len(files()) >= 2
    assert ann.http.delete(f"/v1/media/{media['id']}").status_code == 204
    assert ann.http.get(f"/v1/media/{media['id']}").status_code == 404
    assert ann.http.delete(f"/v1/media/{media['id']}").status_code == 404
    assert ann.http.get(media["download_url"]).status_code == 404
    eventually(lambda: not files(), "both erasers to be done")


def test_a_raw_body_is_an_upload_too(ann: Client) -> None:
    data = photo(seed=10)
    answer = ann.http.put("/v1/uploads/raw/holiday.jpg", content=data, params={"caption": "raw"})
    assert answer.status_code in {201, 202}, answer.text
    media = ann.final(answer.json()["id"])
    assert (media["status"], media["filename"], media["caption"]) == ("ready", "holiday.jpg", "raw")


def test_where_an_upload_stands_can_be_asked_by_its_owner_only(ann: Client, bob: Client) -> None:
    media = ann.uploaded(photo(seed=11))
    status = ann.http.get(f"/v1/uploads/{media['id']}")
    assert status.status_code == 200
    assert status.json()["status"] == "ready"
    assert bob.http.get(f"/v1/uploads/{media['id']}").status_code == 404
