"""The JavaScript that the entities document prints, run as printed by a browser on a page of another origin."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Browser
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

# With the origin filled in. `files` and `token` are what the example takes for given, and it ends in `console.log`.
PRINTED = """
const formData = new FormData();
formData.append('entity_type', 'property');
formData.append('entity_id', '123');
formData.append('entity_field', 'gallery');

// Add multiple files
files.forEach(file => {
  formData.append('files', file);
});

fetch('http://localhost:8000/v1/media/batch/upload', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${token}`
  },
  body: formData
})
.then(res => res.json())
.then(data => console.log(data));
"""
GIVEN = """
const [token, encoded] = arguments;
const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
const files = ['kitchen.png', 'garden.png'].map((name) => new File([bytes], name, {type: 'image/png'}));
console.log = (data) => { window.told = data; };
"""
PNG = encoded(picture(100, 80, seed=97), "PNG")


class Shop(BaseHTTPRequestHandler):
    """Somebody's web site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>A shop</title>")

    def log_message(self, *_said: object) -> None:
        """Nothing."""


@pytest.fixture
def shop() -> Iterator[str]:
    """Its origin. Of this machine, too, or the browser would not let it ask for anything here."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def property_123(system: System) -> Iterator[httpx.Client]:
    """User 1, to whom the property belongs."""
    service = {"Authorization": f"Bearer {system.token('backend', 'service')}"}
    mine = {"Authorization": f"Bearer {system.token('1')}"}
    with httpx.Client(base_url=system.origin_url, headers=mine, timeout=30) as one:
        said = one.put("/v1/entities/property/123", json={"admins": ["1"]}, headers=service)
        assert said.status_code == 200
        slot, nothing = "/v1/media/properties/123/photos", {"file": ("a.png", b"x")}
        eventually(lambda: one.post(slot, files=nothing).status_code == 400, "the property")
        yield one


def test_the_printed_batch_upload_runs_on_a_page_of_another_origin(
    browser: Browser, system: System, shop: str, property_123: httpx.Client
) -> None:
    browser.driver.get(shop)
    assert not system.origin_url.startswith(shop)
    printed = PRINTED.replace("http://localhost:8000", system.origin_url)
    browser.driver.execute_script(GIVEN + printed, system.token("1"), base64.b64encode(PNG).decode())
    answer: dict[str, Any] = eventually(
        lambda: browser.driver.execute_script("return window.told"), "the answer"
    )

    assert (answer["uploaded_count"], answer["failed_count"]) == (2, 0)
    assert answer["message"] == "Successfully uploaded 2 of 2 files"
    assert [media["filename"] for media in answer["uploaded"]] == ["kitchen.png", "garden.png"]
    listed = property_123.get("/v1/media/entity/property/123", params={"entity_field": "gallery"}).json()
    assert {media["id"] for media in answer["uploaded"]} <= {media["id"] for media in listed}
    assert browser.console() == []
