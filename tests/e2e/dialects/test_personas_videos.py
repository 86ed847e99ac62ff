"""Videos by the personas API, over HTTP only: every listed format, where they lie, counts, refusals, deletion."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.personas_owners import (
    RECORD,
    SMALL,
    VIDEOS,
    Owner,
    new_owner,
    refusal,
)
from tests.fixtures.system import System
from tests.fixtures.videos import play, same_picture, video
from tests.fixtures.waiting import eventually

# As the document lists them: name, declared type, how the video is made. Those that this document alone has:
OWN = [("a.wmv", "video/wmv", "wmv"), ("a.flv", "video/flv", "flv-h264"), ("a.3gp", "video/3gp", "3gp")]
OTHERS = [
    ("a.mp4", "video/mp4", "mp4"), ("a.avi", "video/avi", "avi"), ("a.mov", "video/mov", "mov"),
    ("a.webm", "video/webm", "webm-vp8"), ("a.mkv", "video/mkv", "mkv"),
]  # fmt: skip
CLIP = video("3gp", width=64, height=48, rate=8).data


@pytest.fixture
def owner(caller: Caller, service: httpx.Client, new_number: Callable[[], int]) -> Owner:
    """A user of this test alone, with a persona of their own number."""
    return new_owner(caller, service, new_number)


def ours(owner: Owner) -> dict[int, dict[str, Any]]:
    """What our own API knows of their files, by number."""
    found = owner.http.get("/v1/media", params={"owner": str(owner.number), "limit": 200}).json()["items"]
    return {media["number"]: media for media in found}


@pytest.mark.parametrize("formats", [OWN, pytest.param([*OWN, *OTHERS], marks=pytest.mark.long)])
def test_every_listed_video_format_is_taken_stored_counted_and_becomes_a_film(
    owner: Owner, system: System, formats: list[tuple[str, str, str]]
) -> None:
    sent, videos = {}, len(formats)
    for name, declared, kind in formats:
        made = video(kind, width=64, height=48, seconds=0.5, rate=8)
        file = owner.upload(owner.number, made.data, name, declared, description=name)
        assert set(file) == RECORD
        assert (file["media_type"], file["mime_type"]) == ("video", made.mime_type)
        assert (file["original_filename"], file["file_size"]) == (name, len(made.data))
        where = f"videos/{owner.number}/{owner.number}/{file['filename']}"
        assert file["filename"].endswith(name[1:])
        assert any(path.endswith(where) for path in system.objects())
        assert owner.http.get(f"/media/download/{file['id']}").content == made.data
        sent[file["id"]] = len(made.data)
    picture = owner.upload(owner.number)

    stats = owner.get("/media/stats")
    assert (stats["total_files"], stats["total_images"], stats["total_videos"]) == (videos + 1, 1, videos)
    assert stats["total_size_bytes"] == sum(sent.values()) + len(SMALL)
    assert stats["files_per_persona"] == {str(owner.number): videos + 1}
    assert {file["id"] for file in owner.get("/media/files", media_type="video")} == set(sent)
    assert [file["id"] for file in owner.get("/media/files", media_type="image")] == [picture["id"]]

    def done() -> bool:
        return all(media["status"] != "processing" for media in ours(owner).values())

    eventually(done, "the videos to be processed", 90)
    for number, media in ours(owner).items():
        assert (media["status"], media["width"], media["height"]) == ("ready", 64, 48), media
        if number != picture["id"]:
            film = next(variant["url"] for variant in media["variants"] if variant["name"] == "mp4")
            played = play(owner.http.get(film).content)
            assert (played.codec, played.frames, played.audio_codec) == ("h264", 4, "aac")
            assert media["thumbnail_url"]


@pytest.mark.parametrize(
    ("name", "declared", "data", "said"),
    [
        ("a.ogv", "video/ogg", b"OggS" + bytes(24) + b"\x80theora", VIDEOS),
        ("a.mp4", "video/mp4", SMALL, VIDEOS),
        ("a.mkv", "video/mkv", CLIP, VIDEOS),
        ("a.mp4", "video/mp4", b"no video at all", VIDEOS),
        ("a.png", "video/mp4", CLIP, VIDEOS),
        ("a.mp3", "audio/mpeg", b"ID3\4\0\0\0\0\0\0", "file type. Allowed types: image/jpeg"),
    ],
)
def test_what_is_none_of_the_listed_videos_is_refused_with_those_that_are(
    owner: Owner, name: str, declared: str, data: bytes, said: str
) -> None:
    status, detail = refusal(
        owner.http.post(f"/media/upload/{owner.number}", files={"file": (name, data, declared)})
    )
    assert (status, detail[: len(said) + 8]) == (400, f"Invalid {said}")
    assert owner.get("/media/files") == []


def test_a_video_of_more_than_a_hundred_megabytes_is_refused_before_it_is_sent(owner: Owner) -> None:
    begin = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.3gp"\r\n\r\n' + CLIP
    where = owner.http.base_url
    line = http.client.HTTPConnection(where.host, where.port or 80, timeout=20)
    line.putrequest("POST", f"/media/upload/{owner.number}")
    line.putheader("Authorization", f"Bearer {owner.token}")
    line.putheader("Content-Type", "multipart/form-data; boundary=x")
    line.putheader("Content-Length", str(102 * 2**20))
    line.endheaders(begin)
    answer = line.getresponse()
    detail = json.loads(answer.read())["detail"]
    assert (answer.status, detail) == (413, "File too large. Maximum size is 100MB")
    line.close()


@pytest.mark.long
def test_a_video_has_a_hundred_megabytes_and_not_a_byte_more(owner: Owner) -> None:
    padding = 100 * 2**20 - len(CLIP)
    free = padding.to_bytes(4) + b"free" + bytes(padding - 8)
    file = owner.upload(owner.number, CLIP + free, "a.3gp")
    assert file["file_size"] == 100 * 2**20
    files = {"file": ("a.3gp", CLIP + free + b"\0")}
    answer = owner.http.post(f"/media/upload/{owner.number}", files=files)
    assert refusal(answer) == (413, "Video file too large. Maximum size is 100MB")
    assert len(owner.get("/media/files")) == 1


def test_a_video_is_its_owners_alone_and_goes_while_it_is_processed(
    owner: Owner, caller: Caller, service: httpx.Client, new_number: Callable[[], int], system: System
) -> None:
    data = same_picture(100, width=640, height=480).data
    file = owner.upload(owner.number, data, "long.avi", "video/avi")
    media_id, path = ours(owner)[file["id"]]["id"], f"/media/files/{file['id']}"
    other = new_owner(caller, service, new_number)
    none = (404, f"Media file {file['id']} not found")
    for method, address in (("GET", path), ("GET", f"/media/download/{file['id']}"), ("DELETE", path)):
        assert refusal(other.http.request(method, address)) == none
    taken = other.http.post(f"/media/upload/{owner.number}", files={"file": ("a.3gp", CLIP)})
    assert refusal(taken) == (404, f"Persona {owner.number} not found")

    part = owner.http.get(f"/media/download/{file['id']}", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, data[100:200])
    changed = owner.http.put(path, data={"description": "A standing picture"}).json()
    assert (changed["description"], changed["media_type"]) == ("A standing picture", "video")
    assert owner.http.delete(path).json() == {"message": "Media file deleted successfully"}
    assert refusal(owner.http.get(path)) == none
    assert owner.get("/media/stats")["total_videos"] == 0
    left = (f"videos/{owner.number}/", media_id)
    eventually(
        lambda: not [name for name in system.objects() if any(each in name for each in left)],
        "its files to be erased",
    )


def test_a_video_that_cannot_be_played_stays_as_it_was_uploaded(owner: Owner) -> None:
    broken = CLIP[:3000]
    file = owner.upload(owner.number, broken, "a.3gp", "video/3gp")
    eventually(lambda: ours(owner)[file["id"]]["status"] == "failed", "it to be given up")
    assert owner.get(f"/media/files/{file['id']}")["media_type"] == "video"
    assert owner.http.get(f"/media/download/{file['id']}").content == broken
