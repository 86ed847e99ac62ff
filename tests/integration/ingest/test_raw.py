"""PUT: the body is the file, everything else is in the address."""

import hashlib

from shared.events.messages import MediaUploaded
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import Gateway, Wire, eventually, request_head

JPEG = encoded(picture(64, 48))
PNG = encoded(picture(30, 20), "PNG")


async def test_a_body_becomes_a_media_with_what_its_query_says(gateway: Gateway) -> None:
    answer = await gateway.http.put(
        "/v1/uploads/raw/K%C3%B6ln.jpg",
        content=JPEG,
        params=[("caption", "raw"), ("tags", "a"), ("tags", "b"), ("metadata", '{"a": 1}')],
    )
    assert answer.status_code == 202, answer.text
    media = answer.json()
    assert (media["filename"], media["caption"], media["tags"]) == ("Köln.jpg", "raw", ["a", "b"])
    assert media["metadata"] == {"a": 1}
    assert (media["size"], media["sha256"]) == (len(JPEG), hashlib.sha256(JPEG).hexdigest())
    (file,) = gateway.files()
    assert file.read_bytes() == JPEG


async def test_a_body_of_unknown_length_is_taken_too(gateway: Gateway) -> None:
    wire = Wire(gateway.port)
    await wire.send(request_head("/v1/uploads/raw/a.jpg", {"Transfer-Encoding": "chunked"}, "PUT"))
    for at in range(0, len(JPEG), 500):
        piece = JPEG[at : at + 500]
        await wire.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    await wire.send(b"0\r\n\r\n")
    assert await wire.status() == 202
    wire.close()
    (file,) = gateway.files()
    assert file.read_bytes() == JPEG


async def test_what_is_wrong_is_refused_and_leaves_nothing(gateway: Gateway) -> None:
    for path, body, status, word in (
        ("a.jpg", b"", 422, "empty"),
        ("a.jpg", b"text", 415, "image/jpeg"),
        ("a.jpg?colour=red", JPEG, 422, "colour"),
        ("a.jpg?file=x", JPEG, 422, "the file is the body"),
        ("a.html", JPEG, 415, "text/html"),
        ("%E2%80%AEgpj.exe", JPEG, 415, "gpj.exe"),
        ("a.jpg?profile=nope", JPEG, 422, "nope"),
        ("a.png?profile=tiny", PNG, 413, "700 bytes"),
        ("a.bin", bytes(12_000_001), 413, "12000000"),
    ):
        answer = await gateway.http.put(f"/v1/uploads/raw/{path}", content=body)
        assert answer.status_code == status, answer.text
        assert word in answer.json()["detail"]
        await eventually(gateway.nothing_is_left, "everything to be gone", 5)


async def test_naughty_names_are_stored_under_safe_keys(gateway: Gateway) -> None:
    names = ("..%5C..%5Cetc%5Cpasswd", "%2e%2e", ".hidden", "a%00b", "%E2%80%AEexe.jpg", "x" * 3000)
    for name in names:
        answer = await gateway.http.put(f"/v1/uploads/raw/{name}", content=JPEG)
        assert answer.status_code == 202, answer.text
    for event in await gateway.events():
        assert isinstance(event, MediaUploaded)
        assert len(event.filename.encode()) <= 255
        assert not set(event.filename) & set("/\\\0\u202e")
        assert not event.filename.startswith(".")
        assert event.key.replace("/", "").replace("_", "").replace("-", "").replace(".", "").isalnum()
        assert len(event.key) < 200
    assert len(gateway.files()) == len(names)
