"""Every refusal says what is wrong and leaves nothing behind: no object, no intent, no record, no half transfer."""

import httpx
import pytest

from shared.entities import Entity
from shared.events.messages import MediaRejected, MediaUploaded
from tests.fixtures.pictures import bomb_png, encoded, picture
from tests.integration.ingest.conftest import Gateway, Wire, eventually, request_head

JPEG = encoded(picture(64, 48))
SMALL = encoded(picture(30, 20), "PNG")
FIRST, LAST = True, False


def problem(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for word in words:
        assert word in answer.json()["detail"], answer.text


async def nothing_left(gateway: Gateway) -> None:
    await eventually(gateway.nothing_is_left, "everything to be gone", 5)
    assert not [e for e in await gateway.events() if isinstance(e, MediaUploaded)]


def form(name: str, data: bytes, fields: dict[str, str], *, before: bool) -> httpx.Request:
    """A form whose fields stand before or after the file."""
    parts = [
        (f'--xx\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n').encode()
        for key, value in fields.items()
    ]
    head = f'--xx\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    file = [head.encode() + data + b"\r\n"]
    body = b"".join(parts + file if before else file + parts) + b"--xx--\r\n"
    return httpx.Request(
        "POST", "http://t", content=body, headers={"Content-Type": "multipart/form-data; boundary=xx"}
    )


async def send(gateway: Gateway, request: httpx.Request, **headers: str) -> httpx.Response:
    content_type = {"Content-Type": request.headers["content-type"]}
    return await gateway.http.post("/v1/uploads", content=request.read(), headers=content_type | headers)


REFUSALS: list[tuple[str, bytes, dict[str, str], int, list[str]]] = [
    ("photo.jpg", b"only text", {}, 415, ["image/jpeg", "plain text"]),
    ("a.jpg", SMALL, {}, 415, ["image/jpeg", "image/png"]),
    ("a.png", bomb_png(), {}, 422, ["60000 x 60000", "100000000"]),
    ("a.jpg", b"", {}, 422, ["empty"]),
    ("a.txt", b"text " * 150_000 + b"\0", {}, 415, ["text", "750001"]),
    ("a.csv", b"1,2\n" * 150_000 + b"\0", {}, 415, ["text", "600001"]),
    ("a.md", "# t\n".encode("utf-16") + "# t\n".encode("utf-16-le") * 75_000 + b"#", {}, 415, ["text", "600011"]),
    ("a.jpg", JPEG, {"profile": "nope"}, 422, ["'nope'", "default"]),
    ("a.jpg", JPEG, {"profile": "internal"}, 403, ["service role"]),
    ("a.txt", b"text", {"profile": "tiny"}, 415, ["'tiny'", "text/plain"]),
    ("a.png", SMALL, {"profile": "tiny"}, 413, ["700 bytes", "'tiny'"]),
    ("a.gif", encoded(picture(40, 30), "GIF")[:600], {"profile": "tiny"}, 422, ["40 x 30", "1000"]),
    ("a.jpg", JPEG, {"entity_type": "post", "entity_id": "absent"}, 404, ["'absent'"]),
    ("a.jpg", JPEG, {"entity_type": "post", "entity_id": "gone"}, 404, ["'gone'"]),
    ("a.jpg", JPEG, {"entity_type": "post", "entity_id": "bobs"}, 403, ["post 'bobs'"]),
    ("a.jpg", JPEG, {"entity_type": "post"}, 422, ["entity_id"]),
    ("a.jpg", JPEG, {"sort_order": "x", "entity_type": "a", "entity_id": "b"}, 422, ["sort_order"]),
    ("a.jpg", JPEG, {"colour": "red"}, 422, ["'colour'"]),
    ("a.jpg", JPEG, {"on_duplicate": "maybe"}, 422, ["'maybe'", "allow, reject, reuse"]),
    ("a.bin", JPEG + bytes(2_000_001 - len(JPEG)), {}, 413, ["2000000 bytes"]),
    ("a.bin", bytes(12_000_001), {}, 413, ["12000000 bytes"]),
    ("a.mp3", b"ID3" + bytes(1998), {}, 413, ["1000 bytes"]),
]  # fmt: skip


@pytest.mark.parametrize("before", [FIRST, LAST], ids=["fields first", "file first"])
async def test_a_refused_upload_leaves_nothing(gateway: Gateway, *, before: bool) -> None:
    await gateway.put_entity(Entity(type="post", id="bobs", owners=("bob",)))
    await gateway.put_entity(Entity(type="post", id="gone", owners=("ann",), deleted=True))
    for name, data, fields, status, words in REFUSALS:
        problem(await send(gateway, form(name, data, fields, before=before)), status, *words)
        await nothing_left(gateway)
        again = form(name, data, fields, before=before)
        problem(await send(gateway, again, **{"Idempotency-Key": "k"}), status)
        await nothing_left(gateway)


async def test_owners_admins_and_services_may_attach(gateway: Gateway) -> None:
    await gateway.put_entity(Entity(type="post", id="1", owners=("ann",), admins=("bob",)))
    for sub, roles in (("ann", ()), ("bob", ()), ("backend", ("service",))):
        async with gateway.client(sub, *roles) as http:
            answer = await http.post(
                "/v1/uploads",
                files={"file": ("a.jpg", JPEG)},
                data={"entity_type": "post", "entity_id": "1", "entity_field": "photos", "sort_order": "2"},
            )
        assert answer.status_code == 202, answer.text
        assert answer.json()["entity"] == {
            "type": "post", "id": "1", "field": "photos", "is_primary": False, "sort_order": 2,
        }  # fmt: skip


async def test_a_narrower_profile_named_after_the_file_rules(gateway: Gateway) -> None:
    tiny = encoded(picture(8, 8), "GIF")[:600]
    answer = await send(gateway, form("a.gif", tiny, {"profile": "tiny"}, before=False))
    assert answer.status_code == 202, answer.text
    assert answer.json()["is_public"] is True
    (event,) = await gateway.events()
    assert isinstance(event, MediaUploaded)
    assert event.profile == "tiny"
    assert not event.key.startswith("tiny/")

    answer = await send(gateway, form("a.gif", tiny, {"profile": "tiny", "is_public": "no"}, before=True))
    assert answer.json()["is_public"] is False
    event = (await gateway.events())[-1]
    assert isinstance(event, MediaUploaded)
    assert event.key == f"tiny/{event.id}.gif"


async def test_a_file_of_exactly_the_limit_is_taken(gateway: Gateway) -> None:
    answer = await gateway.upload(JPEG + bytes(2_000_000 - len(JPEG)), "a.bin")
    assert answer.status_code == 202, answer.text
    assert answer.json()["size"] == 2_000_000


async def test_a_refusal_after_bytes_had_flowed_is_told(gateway: Gateway) -> None:
    await gateway.upload(b"only text", "photo.jpg")
    await gateway.upload(JPEG, "photo.jpg", colour="red")
    await gateway.upload(JPEG + bytes(2_000_000), "large.jpg")
    found = [e for e in await gateway.events() if isinstance(e, MediaRejected)]
    assert [(e.code, e.media_type, e.owner) for e in found] == [
        ("unsupported_type", "other", "ann"),
        ("too_large", "image", "ann"),
    ]


async def test_a_body_that_is_no_form_is_refused(gateway: Gateway) -> None:
    for content_type, body, status, word in (
        ("multipart/form-data; boundary=xyz", b"", 400, "empty"),
        ("multipart/form-data; boundary=xyz", b"--abc\r\n\r\n--abc--", 400, "'xyz'"),
        ("multipart/form-data", b"--xyz--\r\n", 400, "no boundary"),
        ("multipart/form-data; boundary=xyz", b"--xyz--\r\n", 400, "'file'"),
        ("application/json", b"{}", 415, "multipart/form-data"),
    ):
        headers = {"Content-Type": content_type}
        problem(await gateway.http.post("/v1/uploads", content=body, headers=headers), status, word)
        await nothing_left(gateway)


async def test_no_token_is_401_before_anything_else(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}") as http:
        for method, path in (
            ("POST", "/v1/uploads"),
            ("PUT", "/v1/uploads/raw/a.jpg"),
            ("GET", "/v1/uploads/1"),
        ):
            answer = await http.request(method, path, headers={"Content-Type": "text/nonsense"})
            problem(answer, 401, "Bearer")
    wire = Wire(gateway.port)
    await wire.send(b"POST /v1/uploads HTTP/1.1\r\nHost: t\r\nContent-Length: 50000000\r\n\r\n")
    assert await wire.status() == 401
    wire.close()


async def test_a_length_that_is_over_every_limit_is_refused_before_the_body(gateway: Gateway) -> None:
    headers = {"Content-Length": "50000000", "Content-Type": "multipart/form-data; boundary=x"}
    for path, method in (("/v1/uploads", "POST"), ("/v1/uploads/raw/a.jpg", "PUT")):
        wire = Wire(gateway.port)
        await wire.send(request_head(path, headers, method))
        answer = await wire.answer()
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer
        assert b"12000000 bytes" in answer
        wire.close()
    await nothing_left(gateway)


async def test_who_asks_first_with_expect_is_refused_without_a_100(gateway: Gateway) -> None:
    wire = Wire(gateway.port)
    headers = {"Content-Length": "50000000", "Expect": "100-continue", "Content-Type": "image/jpeg"}
    await wire.send(request_head("/v1/uploads/raw/a.jpg", headers, "PUT"))
    assert (await wire.answer()).startswith(b"HTTP/1.1 413")
    wire.close()


async def test_a_client_that_sends_on_still_reads_its_refusal(gateway: Gateway) -> None:
    wire = Wire(gateway.port)
    length = 11_000_000
    headers = {"Content-Length": str(length), "Content-Type": "multipart/form-data; boundary=x"}
    await wire.send(request_head("/v1/uploads", headers) + b"no boundary at all " * 10_000)
    await wire.send(bytes(length - 190_000))
    assert await wire.status() == 400
    wire.close()
    await nothing_left(gateway)


@pytest.mark.parametrize("half", [500, 200_000, 9_000_000])
async def test_invariant_2_a_client_that_leaves_in_the_middle_leaves_nothing(
    gateway: Gateway, half: int
) -> None:
    wire = Wire(gateway.port)
    headers = {
        "Content-Length": "11000000",
        "Content-Type": "multipart/form-data; boundary=x",
        "Idempotency-Key": "left",
    }
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    await wire.send(request_head("/v1/uploads", headers) + part + bytes(half))
    if half > 100_000:
        await eventually(lambda: gateway.keys("intents"), "the intent")
    wire.close()
    await nothing_left(gateway)
    assert not await gateway.events()


async def test_a_client_that_falls_silent_is_given_up(gateway: Gateway) -> None:
    wire = Wire(gateway.port)
    await wire.send(
        request_head("/v1/uploads/raw/a.bin", {"Content-Length": "100000"}, "PUT") + bytes(70_000)
    )
    assert await wire.status() == 408
    wire.close()
    await nothing_left(gateway)
