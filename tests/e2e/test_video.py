"""A video goes in; what comes out plays, is found again, and can be stopped."""

import time

import httpx

from tests.e2e.conftest import Client
from tests.fixtures.system import System
from tests.fixtures.videos import play, same_picture, video
from tests.fixtures.waiting import eventually


def test_a_video_becomes_a_film_that_can_be_loaded_in_parts_and_is_found_by_its_like(ann: Client) -> None:
    made = video("mov", width=96, height=72, seconds=2, rate=12, seed=7)
    media = ann.uploaded(made.data, "Film.mov")
    assert media["status"] == "ready", media
    assert (media["media_type"], media["mime_type"]) == ("video", "video/quicktime")
    assert (media["width"], media["height"]) == (96, 72)
    assert abs(media["duration"] - 2) < 0.05
    assert media["bitrate"] > 1000
    assert media["exif"]["video_codec"] == "prores"
    variants = {variant["name"]: variant for variant in media["variants"]}
    assert set(variants) == {"mp4", "poster", "thumbnail", "storyboard", "storyboard_vtt"}
    assert media["thumbnail_url"] == variants["thumbnail"]["url"]

    film = ann.http.get(variants["mp4"]["url"])
    assert film.headers["content-type"] == "video/mp4"
    assert len(film.content) == variants["mp4"]["size"]
    assert play(film.content).frames == 24
    part = ann.http.get(variants["mp4"]["url"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, film.content[100:200])

    words = ann.http.get(variants["storyboard_vtt"]["url"])
    assert words.headers["content-type"].startswith("text/vtt")
    named = words.text.split("\n")[3].partition("#")[0]
    sheet = ann.http.get(httpx.URL(variants["storyboard_vtt"]["url"]).join(named))
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "image/jpeg")

    again = video("avi", width=64, height=48, seconds=2, seed=7)
    other = ann.uploaded(again.data, "Film.avi")
    near = ann.http.get(f"/v1/media/{other['id']}/similar").json()["items"]
    assert [neighbour["media"]["id"] for neighbour in near] == [media["id"]]


def test_a_video_that_is_stopped_fails_within_two_seconds(ann: Client, system: System) -> None:
    answer = ann.upload(same_picture(100, width=640, height=480).data, "long.avi")
    media_id = answer.json()["id"]
    eventually(lambda: ann.http.get(f"/v1/media/{media_id}").status_code == 200, "the media to be known")
    begun = time.monotonic()
    assert ann.http.post(f"/v1/media/{media_id}/cancel").status_code == 202
    media = ann.final(media_id, 5)
    assert media["status"] == "failed"
    assert media["error"]["code"] == "cancelled"
    assert time.monotonic() - begun < 2.5
    assert ann.http.post(f"/v1/media/{media_id}/cancel").status_code == 409
    with httpx.Client(base_url=system.origin_url) as nobody:
        assert nobody.post(f"/v1/media/{media_id}/cancel").status_code == 401
