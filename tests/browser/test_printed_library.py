"""The JavaScript that the library's document prints, run as printed by a browser on a page of another origin, without a
token; its React and Vue examples send the same requests (tests/e2e/dialects/test_library_walk.py).

Its addresses are filled in, and what it tells in the console is kept.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from selenium.webdriver.common.by import By

from tests.browser.conftest import Browser
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.printed import printed
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

GIVEN = """
document.body.innerHTML = '<input type="file"><img>';
window.told = [];
console.log = (said, data) => { window.told.push([said, data]); };
"""
OPENED = "window.opened = () => ws.readyState === WebSocket.OPEN;"
PNG = encoded(picture(90, 70, seed=193), "PNG")


def hearing(browser: Browser) -> Callable[[str, Callable[[Any], bool]], Any]:
    def until(what: str, fits: Callable[[Any], bool]) -> Any:
        def look() -> list[Any] | None:
            lines: list[tuple[str, Any]] = browser.driver.execute_script("return window.told")
            return [data for said, data in lines if said == what and fits(data)] or None

        return eventually(look, f"{what!r} to be said", 60)[0]

    return until


def test_the_printed_page_uploads_and_hears_what_becomes_of_the_file(
    other_origin: Browser, system: System, tmp_path: Path
) -> None:
    file = tmp_path / "holiday.png"
    file.write_bytes(PNG)
    there = system.origin_url
    socket = printed("001", "javascript", "new WebSocket")
    upload = printed("001", "javascript", "async function uploadFile")
    example = socket.replace("ws://localhost:8000", there.replace("http", "ws", 1))
    example += upload.replace("http://localhost:8000", there)
    other_origin.driver.execute_script(GIVEN + example + OPENED)
    eventually(lambda: other_origin.driver.execute_script("return window.opened()"), "the socket")
    other_origin.driver.find_element(By.CSS_SELECTOR, 'input[type="file"]').send_keys(str(file))
    heard = hearing(other_origin)

    made = heard("Uploaded:", lambda _data: True)
    assert made["message"] == "File uploaded successfully"
    number = made["id"]
    created = heard("New file uploaded:", lambda data: data["id"] == number)
    assert (created["filename"], created["description"], created["is_public"]) == (
        "holiday.png",
        "My file",
        True,
    )
    image = "const image = document.querySelector('img'); image.src = arguments[0]; return image.decode()"
    other_origin.driver.execute_script(image, made["url"])

    with httpx.Client(base_url=there, timeout=30) as http:
        assert http.patch(f"/media/{number}", json={"alt_text": "Lake"}).is_success
        heard("File metadata updated:", lambda data: (data["id"], data["alt_text"]) == (number, "Lake"))
        assert http.delete(f"/media/{number}").is_success
    heard("File deleted:", lambda data: data == number)
    assert other_origin.console() == []
