"""The form parser: every way of cutting a body gives the same, and each fault is told in words."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import limits
from services.ingest.body import Read
from services.ingest.form import FilePart, Form, boundary_of
from shared.errors import Invalid, Malformed, TooLarge, TripodError, UnsupportedType

BOUNDARY = "frontier"
FILE_BYTES = bytes(range(256)) * 3 + b"\r\n--front\r\n--frontie\r\n\r\n-"


def part(name: str, body: bytes, filename: str | None = None, declared: str | None = None) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if declared is not None:
        head += f"\r\nContent-Type: {declared}"
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + body + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
BODY = (
    part("caption", "Grüße".encode())
    + part("file", FILE_BYTES, "ö.bin", "application/octet-stream")
    + part("tags", b"a")
    + part("tags", b"b")
    + part("profile", b"")
    + END
)


def pieces(body: bytes, size: int) -> Read:
    rest = [body[at : at + size] for at in range(0, len(body), size)]
    return reading(rest)


def reading(rest: list[bytes]) -> Read:
    async def read() -> bytes:
        return rest.pop(0) if rest else b""

    return read


async def read_all(read: Read) -> tuple[FilePart, bytes, dict[str, list[str]]]:
    form = Form(read, BOUNDARY)
    file = await form.file()
    data = b"".join([piece async for piece in form.chunks()])
    await form.rest()
    return file, data, form.fields


EXPECTED = (
    FilePart(filename="ö.bin", declared="application/octet-stream"),
    FILE_BYTES,
    {"caption": ["Grüße"], "tags": ["a", "b"], "profile": [""]},
)


@pytest.mark.parametrize("size", [*range(1, 90), 127, 256, 1000, 10_000])
async def test_pieces_of_every_size_give_the_same_form(size: int) -> None:
    assert await read_all(pieces(BODY, size)) == EXPECTED


@given(st.lists(st.integers(0, len(BODY)), max_size=30).map(sorted))
async def test_cuts_at_any_places_give_the_same_form(cuts: list[int]) -> None:
    edges = [0, *cuts, len(BODY)]
    parts = [BODY[a:b] for a, b in itertools.pairwise(edges)]
    assert await read_all(reading([p for p in parts if p])) == EXPECTED


async def test_fields_before_the_file_are_known_when_it_starts_and_those_after_it_later() -> None:
    form = Form(pieces(BODY, 50), BOUNDARY)
    await form.file()
    assert form.fields == {"caption": ["Grüße"]}
    async for _ in form.chunks():
        assert "tags" not in form.fields
    await form.rest()
    assert form.fields["tags"] == ["a", "b"]


async def test_an_empty_file_part_has_no_bytes() -> None:
    file, data, fields = await read_all(pieces(part("file", b"", "a.txt") + part("x", b"1") + END, 7))
    assert (file.filename, data, fields) == ("a.txt", b"", {"x": ["1"]})


async def test_a_name_in_the_extended_form_only_is_understood() -> None:
    head = "Content-Disposition: form-data; name=file; filename*=UTF-8''K%C3%B6ln.jpg\r\n\r\n"
    body = f"--{BOUNDARY}\r\n{head}data\r\n--{BOUNDARY}--".encode()
    file, data, _ = await read_all(pieces(body, 11))
    assert (file.filename, data) == ("Köln.jpg", b"data")


FAULTS: list[tuple[str, bytes, type[TripodError], str]] = [
    ("empty body", b"", Malformed, "empty"),
    ("other boundary", BODY.replace(BOUNDARY.encode(), b"another"), Malformed, "boundary"),
    ("cut off in the file", BODY[:200], Malformed, "closing boundary"),
    ("cut off before the end", BODY[: -len(END)], Malformed, "closing boundary"),
    ("no file", part("caption", b"x") + END, Malformed, "'caption'"),
    ("no parts", END, Malformed, "no parts"),
    ("two files", part("file", b"1", "a") + part("file", b"2", "b") + END, Invalid, "more than one"),
    ("file under another name", part("photo", b"1", "a.jpg") + END, Invalid, "'photo'"),
    ("field too long", part("caption", b"x" * (limits.FORM_FIELD_BYTES + 1)) + END, TooLarge, "65536"),
    ("fields too long", part("a", b"x" * 60_000) * 5 + END, TooLarge, "262144"),
    ("too many parts", part("a", b"") * (limits.FORM_PARTS + 1) + END, Malformed, "100 parts"),
    ("name too long", part("file", b"x", "n" * 17_000) + END, Malformed, "16384"),
    ("field not UTF-8", part("caption", b"ab\xff") + END, Malformed, "byte 2"),
    ("no disposition", f"--{BOUNDARY}\r\nX-A: b\r\n\r\n".encode() + END, Malformed, "Content-Disposition"),
]


@pytest.mark.parametrize("size", [5, 61, 100_000])
@pytest.mark.parametrize(("body", "error", "word"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
async def test_what_is_wrong_with_a_form_is_told(
    body: bytes, error: type[TripodError], word: str, size: int
) -> None:
    with pytest.raises(error) as refusal:
        await read_all(pieces(body, size))
    assert word in refusal.value.detail


async def test_a_body_without_the_boundary_is_not_read_to_its_end() -> None:
    read_bytes = 0

    async def read() -> bytes:
        nonlocal read_bytes
        read_bytes += 65536
        return bytes(65536)

    with pytest.raises(Malformed, match="boundary"):
        await Form(read, BOUNDARY).file()
    assert read_bytes <= 3 * 65536


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b\'c"', "a b'c"),
        ("multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxk", "----WebKitFormBoundary7MA4YWxk"),
    ],
)
def test_the_boundary_is_found(content_type: str, boundary: str) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "error"),
    [
        ("multipart/form-data", Malformed),
        ("multipart/form-data; boundary=", Malformed),
        ("multipart/form-data; boundary=" + "x" * 71, Malformed),
        ("multipart/form-data; boundary=ä", Malformed),
        ("application/json", UnsupportedType),
        ("", UnsupportedType),
    ],
)
def test_a_request_that_is_no_form_is_refused(content_type: str, error: type[TripodError]) -> None:
    with pytest.raises(error, match=r"multipart/form-data|RFC 2046"):
        boundary_of(content_type)
