"""Videos, sound and documents of the content service's API: they stay as they were uploaded, and are told of."""

import io
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.dialects import content_author
from tests.e2e.dialects.conftest import Caller
from tests.e2e.dialects.content_author import MEDIA, RESPONSE, SMALL, Author, refusal
from tests.fixtures.documents import pdf
from tests.fixtures.hand_made import ole, zipped
from tests.fixtures.sounds import sound
from tests.fixtures.system import System
from tests.fixtures.videos import video
from tests.fixtures.waiting import eventually

CLIP = video("mov", width=320, height=180, seconds=1.6, rate=5)
"""ProRes, which no browser plays: it stays what it is."""
BROKEN = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(400)
DOCX = zipped("[Content_Types].xml", "word/document.xml")
XLSX = zipped("[Content_Types].xml", "xl/workbook.xml")


@pytest.fixture(scope="module")
def ann(caller: Caller) -> Author:
    sub = str(uuid.uuid4())
    return Author(caller(sub), sub)


@pytest.fixture(scope="module")
def new_content(caller: Caller) -> Callable[..., str]:
    return partial(content_author.new_content, caller("backend", "service"))


@pytest.fixture(scope="module")
def clip(ann: Author) -> dict[str, Any]:
    return ann.processed(CLIP.data, "Our trip.mov", media_type="video", metadata='{"location": "Uganda"}')


def test_a_video_stays_as_it_was_and_is_answered_with_its_length_and_a_picture(
    ann: Author, nobody: httpx.Client, clip: dict[str, Any]
) -> None:
    assert tuple(clip) == RESPONSE
    assert (clip["media_type"], clip["mime_type"], clip["file_size"]) == (
        "video", "video/quicktime", len(CLIP.data),
    )  # fmt: skip
    assert (clip["width"], clip["height"]) == (320, 180)
    assert (clip["duration"], type(clip["duration"])) == (2, int)  # of 1.6 seconds
    assert clip["metadata"] == {"location": "Uganda"}
    for path in (clip["url"], f"{MEDIA}/{clip['id']}/download"):
        file = nobody.get(path)
        assert (file.content, file.headers["content-type"]) == (CLIP.data, "video/quicktime")
    assert clip["thumbnail_url"] == clip["url"].replace(".mov", "_thumb.jpg")
    with Image.open(io.BytesIO(nobody.get(clip["thumbnail_url"]).content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (300, 169))
    own = ann.http.get(f"/v1/media/{clip['id']}").json()
    assert [variant["name"] for variant in own["variants"]] == ["thumbnail"]  # no film, no storyboard


def test_a_video_is_loaded_in_parts(nobody: httpx.Client, clip: dict[str, Any]) -> None:
    size = len(CLIP.data)
    for path in (clip["url"], f"{MEDIA}/{clip['id']}/download"):
        part = nobody.get(path, headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, CLIP.data[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{size}"
        assert nobody.get(path, headers={"Range": f"bytes={size}-"}).status_code == 416
        head = nobody.head(path)
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


def test_a_sound_has_its_length_and_its_cover(ann: Author, nobody: httpx.Client) -> None:
    plain, covered = sound("ogg", seconds=0.6).data, sound("mp3", seconds=0.6, cover=SMALL).data
    made = ann.processed(plain, "a.ogg", media_type="audio")
    assert (made["media_type"], made["mime_type"], made["duration"]) == ("audio", "audio/ogg", 1)
    assert (made["width"], made["height"], made["thumbnail_url"]) == (None, None, None)
    assert nobody.get(made["url"]).content == plain
    with_cover = ann.processed(covered, "b.mp3", media_type="audio")
    assert nobody.get(with_cover["url"]).content == covered
    with Image.open(io.BytesIO(nobody.get(with_cover["thumbnail_url"]).content)) as picture:
        assert picture.size == (64, 48)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "name", "mime_type"),
    [
        ("mp4", "a.mp4", "video/mp4"),
        ("mpg", "a.mpeg", "video/mpeg"),
        ("avi", "a.avi", "video/x-msvideo"),
        ("webm", "a.webm", "video/webm"),
        ("mp3", "a.mp3", "audio/mpeg"),
        ("wav", "a.wav", "audio/wav"),
        ("aac", "a.aac", "audio/aac"),
        ("webm-vorbis", "a.webm", "audio/webm"),
    ],
)
def test_every_other_listed_type_is_read_and_stays_as_it_was(
    ann: Author, nobody: httpx.Client, kind: str, name: str, mime_type: str
) -> None:
    said = mime_type.partition("/")[0]
    data = video(kind, seconds=1.2).data if said == "video" else sound(kind, seconds=1.2).data
    made = ann.processed(data, name, media_type=said)
    assert (made["mime_type"], made["duration"]) == (mime_type, 1)
    assert (made["thumbnail_url"] is not None) is (said == "video")
    assert nobody.get(made["url"]).content == data


@pytest.mark.parametrize(
    ("name", "data", "kind", "mime_type"),
    [
        ("a.docx", DOCX, "document", "wordprocessingml.document"),
        ("a.doc", ole("WordDocument"), "document", "application/msword"),
        ("a.xlsx", XLSX, "document", "spreadsheetml.sheet"),
        ("a.xls", ole("Workbook"), "document", "application/vnd.ms-excel"),
        ("a.txt", "Grüße".encode("utf-16"), "document", "text/plain"),
        pytest.param("a.webm", sound("webm").data, "audio", "audio/webm", id="webm"),
    ],
)
def test_documents_and_sound_are_known_and_come_back_as_they_were(
    ann: Author, nobody: httpx.Client, *, name: str, data: bytes, kind: str, mime_type: str
) -> None:
    made = ann.upload(data, name, media_type=kind)
    assert made["mime_type"].endswith(mime_type)
    file = nobody.get(made["url"])
    assert (file.content, made["thumbnail_url"]) == (data, None)
    if kind == "document":  # nothing of a stranger's acts in a browser
        assert file.headers["content-disposition"].startswith("attachment")
    assert ann.post(zipped("a.txt"), "a.docx", media_type="document").status_code == 400


def test_a_content_is_shown_with_all_its_media_and_their_pictures(
    ann: Author, nobody: httpx.Client, new_content: Callable[..., str]
) -> None:
    about = new_content()
    files = {
        "image": ("a.png", SMALL),
        "video": ("a.mov", CLIP.data),
        "audio": ("a.wav", sound("wav", seconds=0.5).data),
        "document": ("a.pdf", pdf("Words of a document")),
    }
    made = {
        kind: ann.processed(data, name, media_type=kind, content_id=about)
        for kind, (name, data) in files.items()
    }
    listed = nobody.get(f"{MEDIA}/content/{about}/media").json()
    assert listed == list(made.values())
    looked_up = nobody.post("/v1/media/lookup", json={"type": "content", "ids": [about]}).json()["items"]
    ours = {one["id"]: one for one in looked_up[about]}
    for kind, one in made.items():
        assert nobody.get(f"{MEDIA}/content/{about}/media", params={"media_type": kind}).json() == [one]
        pictures = (one["thumbnail_url"], ours[one["id"]]["thumbnail_url"])
        if kind == "audio":
            assert pictures == (None, None)
            continue
        for url in pictures:
            assert nobody.get(url).headers["content-type"].startswith("image/"), (kind, url)


def test_a_video_that_cannot_be_read_is_kept_without_a_picture(ann: Author, nobody: httpx.Client) -> None:
    made = ann.processed(BROKEN, "odd.mp4", media_type="video")
    assert (made["thumbnail_url"], made["duration"], made["file_size"]) == (None, None, len(BROKEN))
    own = ann.http.get(f"/v1/media/{made['id']}").json()
    assert (own["status"], own["error"]["code"] in {"corrupt", "truncated"}) == ("failed", True)
    assert ann.get(f"/{made['id']}") == made
    assert nobody.get(made["url"]).content == nobody.get(f"{MEDIA}/{made['id']}/download").content == BROKEN
    changed = ann.http.put(f"{MEDIA}/{made['id']}", json={"metadata": {"a": 1}})
    assert changed.json()["metadata"] == {"a": 1}
    assert ann.http.delete(f"{MEDIA}/{made['id']}").status_code == 200
    assert refusal(nobody.get(made["url"])) == (404, "File not found")


def test_what_is_no_such_type_is_refused(ann: Author) -> None:
    for name, data, said in (
        ("a.mov", CLIP.data, "audio"),
        ("a.webm", sound("webm").data, "video"),
        ("a.flac", sound("flac").data, "audio"),
        ("a.avi", CLIP.data, "video"),
        ("a.pdf", pdf("x"), "image"),
    ):
        status, detail = refusal(ann.post(data, name, media_type=said))
        assert (status, detail.startswith("Invalid file type")) == (400, True), (name, said, detail)


def test_a_closed_video_has_no_picture_for_others_and_a_deleted_one_for_nobody(
    ann: Author, nobody: httpx.Client, system: System
) -> None:
    made = ann.processed(video("webm", seconds=0.4).data, "gone.webm", media_type="video")
    path, urls = f"{MEDIA}/{made['id']}", (made["url"], made["thumbnail_url"])
    assert ann.http.patch(f"/v1/media/{made['id']}", json={"is_public": False}).is_success
    for url in urls:
        assert refusal(nobody.get(url)) == (404, "File not found")
        assert nobody.head(url).status_code == 404
        assert ann.http.get(url).status_code == 200
    assert refusal(nobody.get(path)) == refusal(nobody.get(f"{path}/download")) == (404, "Media not found")
    assert ann.http.delete(path).status_code == 200
    for url in urls:
        assert ann.http.get(url).status_code == 404
    known = (made["id"], made["storage_path"])
    eventually(lambda: not any(part in key for key in system.objects() for part in known), "no byte left")
