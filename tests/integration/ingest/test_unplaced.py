"""A profile whose originals are stored without the place where they were taken."""

import base64
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from shared import profiles
from shared.env import Env
from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import GPS_INFO, photo
from tests.integration.ingest.conftest import Gateway, Start

OWN = """
[placeless]
recipe = "standard"
key = "placeless/{uuid}.{ext}"
max_bytes = { image = 5_000_000 }
types = ["image/jpeg"]
strip_gps = true
"""


@pytest.fixture
async def own(start: Start, tmp_path: Path) -> AsyncIterator[Gateway]:
    file = tmp_path / "profiles.toml"
    file.write_text(OWN)
    known = profiles.load(Env({"TRIPOD_PROFILES": str(file)}))
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(start(profiles=known))


async def test_an_original_is_stored_without_its_place_and_told_as_it_is_stored(own: Gateway) -> None:
    data = photo(1200, 900)
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    raw = await own.http.put(
        "/v1/uploads/raw/a.jpg",
        params={"profile": "placeless"},
        content=data,
        headers={"Repr-Digest": f"sha-256=:{digest}:"},  # of what is sent
    )
    form = await own.http.post(
        "/v1/uploads", data={"profile": "placeless"}, files={"file": ("b.jpg", photo(1200, 900, seed=2))}
    )
    assert (raw.status_code, form.status_code) == (202, 202), (raw.text, form.text)
    assert len(own.files()) == 2
    told = {event.sha256 for event in await own.events() if isinstance(event, MediaUploaded)}
    for stored in own.files():
        body = stored.read_bytes()
        assert hashlib.sha256(body).hexdigest() in told
        with Image.open(io.BytesIO(body)) as picture:
            assert not picture.getexif().get_ifd(GPS_INFO)
            assert picture.getexif()[0x010F] == "Tripod Works"
    assert {stored.size for stored in own.files()} == {len(data), len(photo(1200, 900, seed=2))}


async def test_a_profile_that_comes_too_late_for_that_is_refused_and_leaves_nothing(own: Gateway) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    rest = b'\r\n--x\r\nContent-Disposition: form-data; name="profile"\r\n\r\nplaceless\r\n--x--\r\n'
    answer = await own.http.post(
        "/v1/uploads",
        content=head + photo(320, 240) + rest,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 422, answer.text
    assert "`profile` before the file" in answer.json()["detail"]
    assert own.files() == []


async def test_another_profile_stores_what_it_is_sent(own: Gateway) -> None:
    data = photo(320, 240)
    answer = await own.http.put("/v1/uploads/raw/a.jpg", content=data)
    assert answer.status_code == 202, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()
