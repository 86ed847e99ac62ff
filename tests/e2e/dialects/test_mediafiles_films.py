"""Videos and sound of the mediafiles API, from the upload to the last byte that is played, and who may play it."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image, ImageStat

from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.mediafiles_user import MEDIA, MISSING, RECORD, URLS, User, new_user, refusal
from tests.fixtures.sounds import hear, sound
from tests.fixtures.system import System
from tests.fixtures.videos import play, same_picture, video
from tests.fixtures.waiting import eventually

WIDE = video("avi-mjpeg", width=1940, height=160, seconds=1, rate=5)
"""Larger than what is promised, in another format, and white in its middle."""
TONE = sound("wav", seconds=0.5, rate=48_000, metadata={"title": "Morning"})


@pytest.fixture(scope="module")
def ann(caller: Caller, new_number: Callable[[], int]) -> User:
    return new_user(caller, new_number)


@pytest.fixture(scope="module")
def bob(caller: Caller, new_number: Callable[[], int]) -> User:
    return new_user(caller, new_number)


@pytest.fixture(scope="module")
def uploads(ann: User) -> dict[str, dict[str, Any]]:
    """What is said of a private video and of a sound the moment that they are there."""
    return {
        "video": ann.upload(WIDE.data, "My clip.avi", is_public="false"),
        "audio": ann.upload(TONE.data, "Song.wav"),
    }


@pytest.fixture(scope="module")
def film(ann: User, uploads: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return ann.final(uploads["video"]["id"])


@pytest.fixture(scope="module")
def song(ann: User, uploads: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return ann.final(uploads["audio"]["id"])


def addresses(made: dict[str, Any]) -> dict[str, str]:
    """Those that lead anywhere."""
    return {name: url for name, url in made["urls"].items() if url is not None}


def test_a_video_begins_as_its_original_alone(ann: User, uploads: dict[str, dict[str, Any]]) -> None:
    for kind, made in uploads.items():
        assert tuple(made) == RECORD
        assert tuple(made["urls"]) == (*URLS, "transcoded")
        assert (made["file_type"], made["status"]) == (kind, "processing")
        original = made["urls"]["original"]
        assert original.startswith(f"{ann.origin}/media/user_{ann.number}/{kind}/{made['id']}_")
        assert (made["display_url"], made["thumbnail_url"]) == (original, None)
        assert list(addresses(made)) == ["original"]
        known = {made[name] for name in ("width", "height", "duration", "bitrate")}
        assert (known, made["metadata"]) == ({None}, {})


def test_a_video_ends_as_an_mp4_within_1920_x_1080_and_a_picture_of_it(
    ann: User, film: dict[str, Any]
) -> None:
    number = film["id"]
    assert (film["status"], film["mime_type"], film["file_size"]) == (
        "ready", "video/x-msvideo", len(WIDE.data),
    )  # fmt: skip
    assert (film["width"], film["height"]) == (1940, 160)
    assert film["duration"] == pytest.approx(1, abs=0.05)
    assert film["bitrate"] > 1000
    assert (film["metadata"]["video_codec"], film["metadata"]["frame_rate"]) == ("mjpeg", 5)
    assert addresses(film) == {
        "thumbnail": f"{ann.origin}/media/thumbnails/{number}_my-clip_thumbnail.jpg",
        "transcoded": f"{ann.origin}/media/transcoded/{number}_my-clip_transcoded.mp4",
        "original": f"{ann.origin}/media/user_{ann.number}/video/{number}_my-clip.avi",
    }
    assert film["display_url"] == film["urls"]["transcoded"]
    assert film["thumbnail_url"] == film["urls"]["thumbnail"]

    answer = ann.http.get(film["display_url"])
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("inline")
    played = play(answer.content)
    assert (played.codec, played.audio_codec, played.width, played.height) == ("h264", "aac", 1920, 158)
    with Image.open(io.BytesIO(ann.http.get(film["thumbnail_url"]).content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (150, 150))
        assert ImageStat.Stat(picture.convert("L")).mean[0] > 225  # of the middle, as it is shorter than 2 s
    assert ann.http.get(film["urls"]["original"]).content == WIDE.data


def test_a_sound_ends_as_an_mp3_of_128_kbits_at_44_1_khz(
    ann: User, nobody: httpx.Client, song: dict[str, Any]
) -> None:
    assert (song["status"], song["mime_type"]) == ("ready", "audio/wav")
    assert (song["width"], song["height"], song["thumbnail_url"]) == (None, None, None)
    assert song["duration"] == pytest.approx(0.5, abs=0.05)
    assert song["metadata"]["title"] == "Morning"
    transcoded = f"{ann.origin}/media/transcoded/{song['id']}_song_transcoded.mp3"
    assert addresses(song) == {
        "original": f"{ann.origin}/media/user_{ann.number}/audio/{song['id']}_song.wav",
        "transcoded": transcoded,
    }
    assert song["display_url"] == transcoded
    answer = nobody.get(transcoded)
    assert answer.headers["content-type"] == "audio/mpeg"
    heard = hear(answer.content)
    assert (heard.codec, heard.rate, heard.bit_rate) == ("mp3", 44_100, 128_000)
    assert heard.seconds == pytest.approx(0.5, abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "name", "mime_type"),
    [
        ("m4v", "a.mp4", "video/mp4"),
        ("mov", "a.mov", "video/quicktime"),
        ("avi-mjpeg", "a.avi", "video/x-msvideo"),
        ("mkv", "a.mkv", "video/x-matroska"),
        ("webm", "a.webm", "video/webm"),
    ],
)
def test_every_listed_video_becomes_such_an_mp4_with_the_picture_of_its_first_second(
    ann: User, nobody: httpx.Client, kind: str, name: str, mime_type: str
) -> None:
    made = ann.ready(video(kind, width=320, height=180, seconds=2.1, rate=10).data, name)  # white at 1 s
    assert (made["file_type"], made["mime_type"]) == ("video", mime_type)
    film = nobody.get(made["display_url"])
    played = play(film.content)
    assert (played.codec, played.audio_codec, played.width, played.height) == ("h264", "aac", 320, 180)
    assert played.duration == pytest.approx(made["duration"], abs=0.05)
    if kind != "mkv":  # which is H.264 already and so is copied
        assert b"crf=23.0" in film.content  # as x264 writes down how it was asked
    with Image.open(io.BytesIO(nobody.get(made["thumbnail_url"]).content)) as picture:
        assert picture.size == (150, 150)
        assert ImageStat.Stat(picture.convert("L")).mean[0] > 225


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "name", "mime_type"),
    [
        ("mp3", "a.mp3", "audio/mpeg"),
        ("wav", "a.wav", "audio/wav"),
        ("ogg", "a.ogg", "audio/ogg"),
        ("aac", "a.aac", "audio/aac"),
        ("m4a", "a.m4a", "audio/mp4"),
    ],
)
def test_every_other_listed_sound_becomes_such_an_mp3(
    ann: User, nobody: httpx.Client, kind: str, name: str, mime_type: str
) -> None:
    made = ann.ready(sound(kind, seconds=1.2).data, name)
    assert (made["file_type"], made["mime_type"]) == ("audio", mime_type)
    heard = hear(nobody.get(made["display_url"]).content)
    assert (heard.codec, heard.rate, heard.bit_rate) == ("mp3", 44_100, 128_000)
    assert heard.seconds == pytest.approx(made["duration"], abs=0.05)


def test_a_film_is_loaded_in_parts(ann: User, film: dict[str, Any]) -> None:
    url = film["display_url"]
    whole = ann.http.get(url)
    head = ann.http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    size = len(whole.content)
    assert (head.headers["content-length"], head.headers["accept-ranges"]) == (str(size), "bytes")
    for asked, said, part in (
        ("bytes=0-99", f"bytes 0-99/{size}", whole.content[:100]),
        ("bytes=-7", f"bytes {size - 7}-{size - 1}/{size}", whole.content[-7:]),
    ):
        answer = ann.http.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.headers["content-range"], answer.content) == (206, said, part)
    beyond = ann.http.get(url, headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert ann.http.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_film_and_picture_of_a_private_video_are_its_owners_alone(
    ann: User, bob: User, nobody: httpx.Client, film: dict[str, Any]
) -> None:
    for url in addresses(film).values():
        for method in ("GET", "HEAD"):
            assert ann.http.request(method, url).status_code == 200
            assert bob.http.request(method, url).status_code == nobody.request(method, url).status_code == 404
        assert refusal(nobody.get(url)) == refusal(bob.http.get(url)) == MISSING
        assert refusal(nobody.get(url, headers={"Range": "bytes=0-1"})) == MISSING
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "reprocess/")):
        assert refusal(bob.http.request(method, f"{MEDIA}{film['id']}/{path}")) == MISSING
    assert ann.get(f"{film['id']}/") == film


def test_no_other_address_leads_to_a_film(ann: User, film: dict[str, Any], song: dict[str, Any]) -> None:
    path = film["display_url"]
    for wrong in (
        path.replace(".mp4", ".mp3"),
        path.replace(".mp4", ".jpg"),
        path.replace("/transcoded/", "/thumbnails/"),
        path.replace("_transcoded.", "_mp4."),
        path.replace("my-clip", "other"),
        path.replace(f"/{film['id']}_", f"/{song['id']}_"),
        path.replace("/transcoded/", f"/user_{ann.number}/video/"),
        path.replace("_transcoded.mp4", "_poster.jpg"),
    ):
        assert refusal(ann.http.get(wrong)) == MISSING, wrong
    for size in ("small", "medium", "large"):
        assert ann.http.get(f"/media/{size}/{film['id']}_my-clip_{size}.jpg").status_code == 404


def test_a_ready_video_that_is_processed_again_plays_meanwhile(ann: User, film: dict[str, Any]) -> None:
    answer = ann.http.post(f"{MEDIA}{film['id']}/reprocess/")
    assert answer.status_code == 202
    again = answer.json()
    assert (again["status"], again["urls"], again["display_url"]) == (
        "processing", film["urls"], film["display_url"],
    )  # fmt: skip
    assert ann.http.get(film["display_url"], headers={"Range": "bytes=0-9"}).status_code == 206
    assert ann.final(film["id"]) == film | {"updated_at": ann.get(f"{film['id']}/")["updated_at"]}


def test_a_video_that_cannot_be_read_fails_and_is_counted(
    caller: Caller, new_number: Callable[[], int]
) -> None:
    dora = new_user(caller, new_number)
    broken = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(400)
    made = dora.final(dora.upload(broken, "broken.mp4")["id"])
    assert (made["status"], made["file_type"], made["thumbnail_url"]) == ("failed", "video", None)
    assert made["display_url"] == made["urls"]["original"]
    assert list(addresses(made)) == ["original"]
    assert dora.http.get(made["display_url"]).content == broken
    assert dora.http.get(f"/media/transcoded/{made['id']}_broken_transcoded.mp4").status_code == 404
    assert dora.get("stats/") == {
        "total": 1,
        "by_type": {"image": 0, "video": 1, "audio": 0},
        "by_status": {"ready": 0, "processing": 0, "failed": 1, "uploading": 0},
        "total_size": len(broken),
    }
    assert dora.get("", type="video", status="failed")["results"] == [made]
    assert dora.get("", type="audio")["count"] == 0
    assert dora.http.post(f"{MEDIA}{made['id']}/reprocess/").json()["status"] == "processing"
    assert dora.final(made["id"])["status"] == "failed"


def test_a_video_that_is_deleted_while_it_is_transcoded_leaves_nothing(ann: User, system: System) -> None:
    made = ann.upload(same_picture(100, width=640, height=480).data, "unwanted.avi")
    eventually(lambda: ann.http.get(f"{MEDIA}{made['id']}/").is_success, "the media to be known")
    assert ann.get("", status="processing")["results"][0]["id"] == made["id"]
    assert ann.get("stats/")["by_status"]["processing"] == 1
    media = ann.http.get("/v1/media", params={"owner": str(ann.number)}).json()["items"]
    media_id = next(one["id"] for one in media if one["number"] == made["id"])
    assert ann.http.delete(f"{MEDIA}{made['id']}/").status_code == 204
    assert refusal(ann.http.get(f"{MEDIA}{made['id']}/")) == MISSING
    assert refusal(ann.http.get(made["urls"]["original"])) == MISSING
    eventually(
        lambda: not any("unwanted" in key or media_id in key for key in system.objects()), "no byte left"
    )
