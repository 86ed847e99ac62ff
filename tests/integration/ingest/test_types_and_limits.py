"""An operator's own file of profiles, with small limits for each type: held to the byte, whatever way a file comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from shared import profiles
from shared.env import Env
from shared.events.messages import MediaUploaded, PictureLimits
from tests.fixtures.hand_made import mp4, ole, zipped
from tests.fixtures.pictures import encoded, late_jpeg, picture
from tests.integration.ingest.conftest import Gateway, Start, eventually

CT = "[Content_Types].xml"
OWN = """
[small]
recipe = "standard"
key = "small/{uuid}.{ext}"
max_bytes = { image = 2000, video = 3000, audio = 4000, document = 5000, other = 70000 }
min_bytes = { image = 500, video = 600, audio = 700, document = 800, other = 900 }
min_side = 10
max_side = 60

[office]
recipe = "standard"
key = "office/{uuid}.{ext}"
max_bytes = { document = 1_000_000, image = 1_000_000 }
types = [
    "text/plain", "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "image/jpeg",
]
min_side = 100
max_side = 300
"""
# Of each type what it is named, how it begins, and the least and the most bytes of it.
TYPES = {
    "image": ("a.gif", encoded(picture(40, 30).quantize(4), "GIF"), 500, 2000),
    "video": ("a.mp4", mp4("vide", "soun"), 600, 3000),
    "audio": ("a.mp3", b"ID3\x04\0\0\0\0\0\0", 700, 4000),
    "document": ("a.txt", b"words ", 800, 5000),
    "other": ("a.dat", b"\0\1\2\3", 900, 70_000),
}


def filled(media_type: str, size: int) -> bytes:
    _, begin, _, _ = TYPES[media_type]
    assert len(begin) <= size
    return begin + b"x" * (size - len(begin))


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """First one that ends in the head."""
    for at, end in ((0, 60_000), (60_000, 70_000), (70_000, len(data))):
        yield data[at:end]
        await asyncio.sleep(0)


@pytest.fixture
async def own(start: Start, tmp_path: Path) -> AsyncIterator[Gateway]:
    """An ingest whose operator has profiles in a file, beside the shipped ones."""
    file = tmp_path / "profiles.toml"
    file.write_text(OWN)
    known = profiles.load(Env({"TRIPOD_PROFILES": str(file)}))
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(start(profiles=known))


async def send(gateway: Gateway, way: str, name: str, data: bytes, profile: str) -> httpx.Response:
    if way == "form":
        return await gateway.http.post("/v1/uploads", files={"file": (name, data)}, data={"profile": profile})
    if way == "fields last":
        part = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        rest = f'\r\n--x\r\nContent-Disposition: form-data; name="profile"\r\n\r\n{profile}\r\n--x--\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        return await gateway.http.post("/v1/uploads", content=part + data + rest.encode(), headers=headers)
    content = data if way == "known length" else pieces(data)
    return await gateway.http.put(
        f"/v1/uploads/raw/{name}", params={"profile": profile}, content=content, headers={"Content-Type": ""}
    )


def refused(answer: httpx.Response, status: int, *words: object) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for word in words:
        assert str(word) in answer.json()["detail"], answer.text


async def nothing_left(gateway: Gateway, known: int) -> None:
    """Whether there is no object but those so many that were taken, and nothing under way."""

    async def settled() -> bool:
        return len(gateway.files()) == known and not await gateway.keys("intents")

    await eventually(settled, f"{known} objects to be all that there is", 5)


async def test_limits_of_an_operators_profile_hold_to_the_byte_for_each_type_and_way(own: Gateway) -> None:
    taken = 0
    for media_type, (name, _, least, most) in TYPES.items():
        for way in ("form", "fields last", "known length", "unknown length"):
            for size in (least, most):
                answer = await send(own, way, name, filled(media_type, size), "small")
                assert answer.status_code == 202, (media_type, way, size, answer.text)
                assert (answer.json()["media_type"], answer.json()["size"]) == (media_type, size)
                taken += 1
            answer = await send(own, way, name, filled(media_type, most + 1), "small")
            refused(answer, 413, f"{most} bytes", media_type, "'small'")
            assert answer.json()["limit"] == most
            answer = await send(own, way, name, filled(media_type, least - 1), "small")
            refused(answer, 422, f"{least - 1} bytes", f"{least} bytes", media_type, "'small'")
    await nothing_left(own, taken)
    assert len(await own.events()) >= taken


async def test_a_known_length_is_named_with_the_limit_that_it_passes(own: Gateway) -> None:
    answer = await send(own, "known length", "a.txt", filled("document", 5001), "small")
    refused(answer, 413, "5001 bytes", "5000 bytes")


async def test_documents_are_proved_while_they_stream_and_nothing_is_left_of_others(own: Gateway) -> None:
    late = bytes(range(256)) * 400
    docx = zipped("word/media/a.png", CT, "word/document.xml", first=late)
    doc = ole("1Table", "WordDocument", before=300)
    utf_16 = ("words " * 20_000).encode("utf-16")
    old = ("Größe;Käse\r\n" * 20_000).encode("cp1252")
    for name, data in (("a.docx", docx), ("a.doc", doc), ("a.txt", utf_16), ("old.txt", old)):
        for way in ("form", "unknown length"):
            answer = await send(own, way, name, data, "office")
            assert answer.status_code == 202, answer.text
    for name, data, words in (
        ("a.docx", zipped("word/media/a.png", "a.txt", first=late), ["wordprocessingml"]),
        ("a.docx", zipped("a.txt"), ["wordprocessingml", "application/zip"]),
        ("a.doc", ole("AdminExecuteSequence", before=300), ["application/msword"]),
        ("a.txt", utf_16 + b"\0\0", ["text", str(len(utf_16) + 2)]),
        ("a.jpg", docx, ["image/jpeg"]),
        ("a.zip", docx, ["application/zip", "office"]),
    ):
        for way in ("form", "known length"):
            refused(await send(own, way, name, data, "office"), 415, *words)
    await nothing_left(own, 8)


async def test_sides_beyond_those_of_the_profile_are_refused_where_the_head_has_them(own: Gateway) -> None:
    for sides, orientation in (((400, 200), 1), ((200, 400), 6), ((200, 90), 1), ((90, 200), 8)):
        data = encoded(picture(*sides), exif=_turned(orientation))
        for way in ("form", "fields last"):
            answer = await send(own, way, "a.jpg", data, "office")
            refused(answer, 422, f"{sides[0]} x {sides[1]}", "100", "300", "'office'")
    await nothing_left(own, 0)


async def test_sides_that_are_not_in_the_head_go_to_the_processor_with_their_limits(own: Gateway) -> None:
    answer = await send(own, "unknown length", "a.jpg", late_jpeg(400, 200), "office")
    assert answer.status_code == 202, answer.text
    (event,) = await own.events()
    assert isinstance(event, MediaUploaded)
    assert event.limits == PictureLimits(min_side=100, max_side=300, max_pixels=100_000_000)
    await send(own, "form", "a.txt", b"words", "office")
    event = (await own.events())[-1]
    assert isinstance(event, MediaUploaded)
    assert event.limits is None


def _turned(orientation: int) -> bytes:
    exif = picture(1, 1).getexif()
    exif[0x0112] = orientation
    return exif.tobytes()
