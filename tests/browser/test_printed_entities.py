"""The JavaScript that the entities document prints, run as printed by a browser on a page of another origin.

Its address is filled in; `files` and `token` are what it takes for given, and it ends in `console.log`.
"""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Browser
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.printed import printed
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

GIVEN = """
const [token, encoded] = arguments;
const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
const files = ['kitchen.png', 'garden.png'].map((name) => new File([bytes], name, {type: 'image/png'}));
console.log = (data) => { window.told = data; };
"""
PNG = encoded(picture(100, 80, seed=97), "PNG")


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
    other_origin: Browser, system: System, property_123: httpx.Client
) -> None:
    assert not other_origin.driver.current_url.startswith(system.origin_url)
    example = printed("004", "javascript", "batch/upload").replace("http://localhost:8000", system.origin_url)
    other_origin.driver.execute_script(GIVEN + example, system.token("1"), base64.b64encode(PNG).decode())
    answer: dict[str, Any] = eventually(
        lambda: other_origin.driver.execute_script("return window.told"), "the answer"
    )

    assert (answer["uploaded_count"], answer["failed_count"]) == (2, 0)
    assert answer["message"] == "Successfully uploaded 2 of 2 files"
    assert [media["filename"] for media in answer["uploaded"]] == ["kitchen.png", "garden.png"]
    listed = property_123.get("/v1/media/entity/property/123", params={"entity_field": "gallery"}).json()
    assert {media["id"] for media in answer["uploaded"]} <= {media["id"] for media in listed}
    assert other_origin.console() == []
