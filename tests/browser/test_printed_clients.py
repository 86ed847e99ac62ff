"""The client code that the documents of mediafiles and content print, run by a browser on a page of another origin.

As printed, with the origin filled in and without the types of TypeScript, which no browser knows. `token` is what they
take for given, and they tell what they do in the console.
"""

import base64
import itertools
import re
import uuid
from typing import Any

import httpx

from tests.browser.conftest import Browser
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.printed import printed
from tests.fixtures.sounds import sound
from tests.fixtures.system import System
from tests.fixtures.videos import video
from tests.fixtures.waiting import eventually

TIPS = """
<img id="list" src="{thumbnail}">
<img id="detail" src="{medium}">
<picture>
  <source srcset="{webp}" type="image/webp">
  <img id="picture" src="{medium}" alt="...">
</picture>
<img id="lazy" src="{thumbnail}" data-src="{large}" loading="lazy">
"""
GIVEN = """
const [token, encoded, contentId] = arguments;
const files = encoded.map(([name, bytes]) =>
  new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
window.told = [];
console.log = (said, data) => { window.told.push([said, data]); };
console.error = (said) => { window.told.push([said, null]); };
"""
TYPES = re.compile(r"\??: (File|string)\b")
SHOWN = """
return [...document.images].map((image) => [image.id, image.complete && image.naturalWidth, image.currentSrc]);
"""
PNG = encoded(picture(700, 500, seed=97), "PNG")
FILES = (
    ("photo.png", PNG),
    ("clip.avi", video("avi", width=64, height=48, seconds=0.4).data),
    ("song.wav", sound("wav", seconds=0.4).data),
)
_numbers = itertools.count(98_000)


def told(browser: Browser, what: str, number: int) -> list[Any]:
    """The data of so many lines that say this."""

    def look() -> list[Any] | None:
        lines: list[tuple[str, Any]] = browser.driver.execute_script("return window.told")
        found = [data for said, data in lines if said == what]
        return found if len(found) == number else None

    return eventually(look, f"{what!r} to be said {number} times", 60)


def packed(*files: tuple[str, bytes]) -> list[tuple[str, str]]:
    return [(name, base64.b64encode(data).decode()) for name, data in files]


def test_the_react_example_of_mediafiles_uploads_and_polls_each_type_until_it_is_ready(
    other_origin: Browser, system: System
) -> None:
    example = printed("003", "javascript", "uploadMedia")
    script = GIVEN + example.replace("http://localhost:8000", system.origin_url)
    other_origin.driver.execute_script(
        script + "files.forEach((file) => uploadMedia(file));",
        system.token(str(next(_numbers))),
        packed(*FILES),
    )
    uploaded = told(other_origin, "Media uploaded:", len(FILES))
    assert {media["status"] for media in uploaded} == {"processing"}
    ready = {media["file_type"]: media for media in told(other_origin, "Processing complete!", len(FILES))}
    assert set(ready) == {"image", "video", "audio"}
    assert ready["video"]["display_url"].endswith("_transcoded.mp4")
    assert ready["audio"]["display_url"].endswith("_transcoded.mp3")

    # The tips on performance, as they stand in a page.
    urls = ready["image"]["urls"]
    other_origin.driver.execute_script("document.body.innerHTML = arguments[0]", TIPS.format(**urls))
    widths = {"list": 150, "detail": 640, "picture": 640, "lazy": 150}

    def look() -> list[tuple[str, int, str]] | None:
        found: list[tuple[str, int, str]] = other_origin.driver.execute_script(SHOWN)
        return found if all(width for _, width, _ in found) else None

    shown = eventually(look, "the pictures to be there")
    assert {name: width for name, width, _ in shown} == widths
    assert next(address for name, _, address in shown if name == "picture") == urls["webp"]
    assert other_origin.console() == []


def test_the_typescript_example_of_content_uploads_and_lists(other_origin: Browser, system: System) -> None:
    about = str(uuid.uuid4())
    service = {"Authorization": f"Bearer {system.token('backend', 'service')}"}
    with httpx.Client(base_url=system.origin_url, headers=service, timeout=30) as http:
        assert http.put(f"/v1/entities/content/{about}", json={}).is_success
        path, nothing = f"/api/v1/media/content/{about}/upload", {"file": ("a.txt", b"x")}
        eventually(
            lambda: http.post(path, files=nothing, data={"media_type": "image"}).status_code == 400,
            "uploads to know the content",
        )
    calls = """
    uploadMedia(files[0], contentId)
      .then((media) => console.log('uploaded', media))
      .then(() => uploadMedia(files[0]))
      .then((media) => console.log('alone', media))
      .then(() => getContentMedia(contentId))
      .then((media) => console.log('listed', media));
    """
    example = TYPES.sub("", printed("002", "typescript", "uploadMedia"))
    script = GIVEN + example.replace("http://localhost:8002", system.origin_url) + calls
    other_origin.driver.execute_script(script, system.token(str(uuid.uuid4())), packed(FILES[0]), about)
    (listed,) = told(other_origin, "listed", 1)
    (made,) = told(other_origin, "uploaded", 1)
    (alone,) = told(other_origin, "alone", 1)
    assert (made["content_id"], alone["content_id"]) == (about, None)
    assert listed == [made]
    assert other_origin.console() == []
