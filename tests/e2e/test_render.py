"""Pictures on request, as clients see them."""

import io
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from PIL import Image

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, photo, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually


def link(client: Client, media_id: str, **render: Any) -> str:
    answer = client.http.post(f"/v1/media/{media_id}/links", json={"render": render})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json()["url"]
    parts = urlsplit(answer.json()["url"])
    return f"{parts.path}?{parts.query}"


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_a_signed_link_shows_any_size_of_a_private_picture_without_a_token(
    ann: Client, nobody: httpx.Client, system: System
) -> None:
    media = ann.uploaded(photo(800, 600, seed=31))
    url = link(ann, media["id"], w=300, h=100, fit="cover", q=70)
    first = nobody.get(url, headers={"Accept": "image/avif,image/webp,*/*"})
    with opened(first) as made:
        assert (made.format, made.size) == ("WEBP", (300, 100))
        assert not made.getexif()
    assert first.headers["content-type"] == "image/webp"
    assert first.headers["vary"] == "Accept"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert first.headers["cache-control"].startswith("private, max-age=")
    assert first.headers["content-disposition"].startswith("inline; ")
    with opened(nobody.get(url, headers={"Accept": "image/png,*/*"})) as plain:
        assert (plain.format, plain.size) == ("JPEG", (300, 100))
    made_twice = [key for key in system.objects() if media["id"] in key and "/render-" in key]
    assert sorted(key.rsplit(".", 1)[1] for key in made_twice) == ["jpg", "webp"]


def test_a_rendering_is_delivered_as_variants_are(ann: Client, nobody: httpx.Client) -> None:
    media = ann.uploaded(photo(400, 300, seed=32))
    url = link(ann, media["id"], w=200, format="png")
    whole = nobody.get(url)
    assert "vary" not in whole.headers
    etag = whole.headers["etag"]
    head = nobody.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    part = nobody.get(url, headers={"Range": "bytes=4-9", "If-Range": etag})
    assert (part.status_code, part.content) == (206, whole.content[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(whole.content)}"
    assert nobody.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert nobody.get(url, headers={"If-Match": '"x"'}).status_code == 412
    assert nobody.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_whatever_is_changed_in_a_signed_link_it_is_refused(ann: Client, nobody: httpx.Client) -> None:
    media, other = ann.uploaded(photo(400, 300, seed=33)), ann.uploaded(photo(400, 300, seed=34))
    path, _, query = link(ann, media["id"], w=200, fit="square").partition("?")
    asked = dict(parse_qsl(query))
    changes = (
        {"w": "201"},
        {"fit": "inside"},
        {"q": "1"},
        {"h": "200"},
        {"format": "png"},
        {"preset": "small"},
    )
    for change in (
        *changes,
        {"expires": "9999999999"},
        {"signature": "0" * 64},
        {"disposition": "attachment"},
    ):
        answer = nobody.get(f"{path}?{urlencode(asked | change)}")
        assert answer.status_code == 403, (change, answer.text)
    without = {name: value for name, value in asked.items() if name != "fit"}
    assert nobody.get(f"{path}?{urlencode(without)}").status_code == 403
    assert nobody.get(f"/v1/media/{other['id']}/render?{query}").status_code == 403
    assert nobody.get(f"/v1/media/{media['id']}/download?{query}").status_code == 403
    assert nobody.get(f"{path}?{query}").status_code == 200
    assert nobody.get(f"/v1/media/{media['public_id']}/render?{query}").status_code == 200


def test_a_preset_needs_a_token_of_somebody_who_may_read_and_free_sizes_a_signature(
    ann: Client, bob: Client, nobody: httpx.Client, system: System
) -> None:
    media = ann.uploaded(photo(400, 300, seed=35))
    path = f"/v1/media/{media['id']}/render"
    for caller in (bob.http, nobody):
        for query in ("preset=small", "w=200"):
            refused = caller.get(f"{path}?{query}")
            assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
        assert caller.post(f"/v1/media/{media['id']}/links", json={"render": {"w": 9}}).status_code in {
            401,
            404,
        }
    assert ann.http.get(f"{path}?w=200").status_code == 403
    assert not [key for key in system.objects() if media["id"] in key and "/render-" in key]
    with opened(ann.http.get(f"{path}?preset=thumb")) as made:
        assert made.size == (150, 150)
    ann.http.patch(f"/v1/media/{media['id']}", json={"is_public": True}).raise_for_status()
    assert nobody.get(f"{path}?preset=thumb").status_code == 401
    with opened(bob.http.get(f"{path}?preset=card")) as made:
        assert made.size == (400, 267)
    assert (
        "thumb" in bob.http.post(f"/v1/media/{media['id']}/links", json={"render": {"w": 9}}).json()["detail"]
    )
    shown = nobody.get(link(bob, media["id"], preset="small"))
    assert shown.headers["cache-control"].startswith("public, max-age=")


OUT_OF_BOUNDS = (
    ("w=0", "w is '0'; allowed is a whole number from 1 to 4096"),
    ("w=4097", "w is '4097'; allowed is a whole number from 1 to 4096"),
    ("w=x", "w is 'x'; allowed"),
    ("h=-1&w=5", "h is '-1'; allowed"),
    ("w=5&q=0", "q is '0'; allowed is a whole number from 1 to 100"),
    ("w=5&q=101", "q is '101'; allowed"),
    ("w=5&fit=stretch", "fit is 'stretch'; allowed is inside, cover or square"),
    ("w=5&format=gif", "format is 'gif'; allowed is auto, jpeg, png, webp, avif or source"),
    ("preset=", "preset is ''; allowed"),
    ("w=5&disposition=x", "'disposition'"),
    ("preset=huge", "preset 'huge'"),
    ("preset=small&w=5", "stands alone"),
    ("w=5&fit=cover", "h is not given"),
    ("", "Neither w nor h"),
)


def test_what_is_out_of_bounds_is_refused_by_name(ann: Client) -> None:
    media_id = ann.upload(encoded(picture(40, 30)), "small.jpg").json()["id"]
    for query, said in OUT_OF_BOUNDS:
        answer = ann.http.get(f"/v1/media/{media_id}/render?{query}")
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text


def test_of_what_is_no_picture_or_has_failed_nothing_is_made(ann: Client) -> None:
    text = ann.uploaded(b"just some text, nothing more\n", "note.txt")
    answer = ann.http.get(f"/v1/media/{text['id']}/render?preset=small")
    assert (answer.status_code, "text/plain" in answer.json()["detail"]) == (422, True)
    broken = ann.uploaded(photo(900, 700, seed=36)[:9000])
    assert broken["status"] == "failed"
    answer = ann.http.get(f"/v1/media/{broken['id']}/render?preset=small")
    assert (answer.status_code, answer.json()["reason"]) == (409, broken["error"]["code"])
    assert broken["error"]["detail"] in answer.json()["detail"]


def test_with_its_media_every_rendering_goes(ann: Client, nobody: httpx.Client, system: System) -> None:
    media = ann.uploaded(photo(400, 300, seed=37))
    url = link(ann, media["id"], w=100)
    assert nobody.get(url).status_code == 200
    assert any("/render-" in key for key in system.objects() if media["id"] in key)
    ann.http.delete(f"/v1/media/{media['id']}").raise_for_status()
    assert nobody.get(url).status_code == 404
    eventually(lambda: not any(media["id"] in key for key in system.objects()), "all objects to go", 20)
