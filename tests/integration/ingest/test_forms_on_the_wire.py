"""Multipart forms that no HTTP client would send, byte by byte over a real socket: what is taken and what is refused,
and that a refusal leaves nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.ingest import limits
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.small import Small, detail, form_head, head, running, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = encoded(picture(64, 48))
END = b"--b--\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small() -> AsyncIterator[Small]:
    async with running() as made:
        yield made


def part(*headers: str, body: bytes = b"x") -> bytes:
    return b"--b\r\n" + "".join(f"{line}\r\n" for line in headers).encode() + b"\r\n" + body + b"\r\n"


def named(name: str, **more: str) -> str:
    return "; ".join(
        [f'Content-Disposition: form-data; name="{name}"', *(f"{k}={v}" for k, v in more.items())]
    )


FILE = part(named("file", filename='"a.jpg"'), body=JPEG)
NOTE = part(named("caption"), body=b"hello")

TAKEN: dict[str, tuple[bytes, str]] = {
    "a file alone": (FILE + END, "a.jpg"),
    "a preamble": (b"This is a form in MIME.\r\n" + FILE + END, "a.jpg"),
    "an epilogue": (FILE + END + b"and so it ends\r\n" * 1000, "a.jpg"),
    "no line break behind the last boundary": (FILE + b"--b--", "a.jpg"),
    "fields around it": (NOTE + FILE + part(named("tags"), body=b"t") + END, "a.jpg"),
    "no filename": (part(named("file"), body=JPEG) + END, "file"),
    "an empty filename": (part(named("file", filename='""'), body=JPEG) + END, "file"),
    "a bare filename": (part(named("file", filename="a.jpg"), body=JPEG) + END, "a.jpg"),
    "an escaped quote": (part(named("file", filename=r'"a\"b.jpg"'), body=JPEG) + END, 'a"b.jpg'),
    "a percent-encoded quote": (part(named("file", filename='"a%22b.jpg"'), body=JPEG) + END, 'a"b.jpg'),
    "a semicolon in the name": (part(named("file", filename='"a; b=c.jpg"'), body=JPEG) + END, "a; b=c.jpg"),
    "only an extended name": (
        part('Content-Disposition: form-data; name="file"; filename*=UTF-8\'\'K%C3%B6ln.jpg', body=JPEG) + END,
        "Köln.jpg",
    ),
    "both kinds of name": (
        part(
            'Content-Disposition: form-data; name="file"; filename="b.jpg"; filename*=UTF-8\'\'c.jpg', body=JPEG
        )
        + END,
        "b.jpg",
    ),
    "an extended name in another charset": (
        part('Content-Disposition: form-data; name="file"; filename*=iso-8859-1\'\'K%F6ln.jpg', body=JPEG) + END,
        "file",
    ),
    "a path as the name": (part(named("file", filename=r'"C:\\temp\\a.jpg"'), body=JPEG) + END, "a.jpg"),
    "a name of 10 kB": (
        part(named("file", filename='"' + "n" * 10_000 + '.jpg"'), body=JPEG) + END, "n" * 251 + ".jpg",
    ),
    "header names in capitals": (
        part('CONTENT-DISPOSITION: form-data; NAME="file"; FILENAME="a.jpg"', body=JPEG) + END,
        "a.jpg",
    ),
    "a folded header": (
        part("Content-Disposition: form-data;", ' name="file"; filename="a.jpg"', body=JPEG) + END,
        "a.jpg",
    ),
    "no type": (part(named("file", filename='"a"'), body=JPEG) + END, "a"),
    "a type that claims nothing": (
        part(named("file", filename='"a"'), "Content-Type: application/octet-stream", body=JPEG) + END,
        "a",
    ),
    "a part's own length": (
        part(named("file", filename='"a.jpg"'), f"Content-Length: {len(JPEG)}", body=JPEG) + END,
        "a.jpg",
    ),
    "bytes as they are": (
        part(named("file", filename='"a.jpg"'), "Content-Transfer-Encoding: binary", body=JPEG) + END,
        "a.jpg",
    ),
    "a field in Latin-1": (
        part(named("caption"), "Content-Type: text/plain; charset=ISO-8859-1", body=b"K\xf6ln") + FILE + END,
        "a.jpg",
    ),
    "a boundary that almost comes": (part(named("file", filename='"a.jpg"'), body=JPEG + b"\r\n--") + END, "a.jpg"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
async def test_a_form_that_can_be_read_is_taken(small: Small, case: str) -> None:
    body, filename = TAKEN[case]
    await small.forget()
    assert statuses(await small.said(form_head(len(body)) + body)) == [202]
    (stored,) = small.blobs.objects.values()
    assert stored.body.removesuffix(b"\r\n--") == JPEG
    assert (await small.uploaded())[-1].filename == filename


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "empty"),
    "only the end": (END, 400, "no parts"),
    "a second file of which the length speaks": (
        FILE + part(named("file", filename='"b.jpg"'), body=JPEG + bytes(1_000_000)) + END, 422, "more than one",
    ),
    "more behind the file than fields can be": (FILE + END + b"x" * 1_000_000, 400, "come after the file"),
    "no end": (FILE, 400, "closing boundary"),
    "an end that is cut": (FILE + b"--b-", 400, "closing boundary"),
    "a file that is cut": (FILE[:-200], 400, "closing boundary"),
    "line feeds only": ((NOTE + FILE + END).replace(b"\r\n", b"\n"), 400, "line break"),
    "line feeds in a part's headers": (FILE.replace(b"\r\n\r\n", b"\n\n", 1) + END, 400, "cannot be read"),
    "another boundary": (FILE.replace(b"--b", b"--c") + b"--c--", 400, "'b'"),
    "an endless preamble": (b"x" * (limits.PREAMBLE_BYTES + 300_000) + FILE + END, 400, "'b'"),
    "bytes behind a boundary": (FILE.replace(b"--b\r\n", b"--bogus\r\n") + END, 400, "cannot be read"),
    "two files": (FILE + FILE + END, 422, "more than one"),
    "two files, the first empty": (part(named("file", filename='"a.jpg"'), body=b"") + FILE + END, 422, "empty"),
    "no file": (NOTE + END, 400, "'caption'"),
    "a file under another name": (part(named("photo", filename='"a.jpg"'), body=JPEG) + END, 422, "'photo'"),
    "a part without a name": (part("Content-Disposition: form-data", body=b"x") + FILE + END, 400, "no name"),
    "a file without a name": (
        part('Content-Disposition: form-data; filename="a.jpg"', body=JPEG) + END, 400, "no name",
    ),
    "no disposition": (part("Content-Type: image/jpeg", body=JPEG) + END, 400, "Content-Disposition"),
    "two dispositions": (
        part(named("caption"), named("file", filename='"a.jpg"'), body=JPEG) + END, 400, "more than one",
    ),
    "another disposition": (part('Content-Disposition: attachment; name="file"', body=JPEG) + END, 400, "Wrong type"),
    "a form in the form": (
        part(
            named("file"),
            "Content-Type: multipart/mixed; boundary=c",
            body=b'--c\r\nContent-Disposition: file; filename="a.jpg"\r\n\r\n' + JPEG + b"\r\n--c--",
        ) + END, 400, "multipart/mixed",
    ),
    "base64": (
        part(named("file", filename='"a.jpg"'), "Content-Transfer-Encoding: base64", body=b"/9j/") + END,
        400, "base64",
    ),
    "an unknown charset": (
        part(named("caption"), "Content-Type: text/plain; charset=utf-7", body=b"+AGE-") + FILE + END, 400, "utf-7",
    ),
    "a field that is not UTF-8": (part(named("caption"), body=b"K\xf6ln") + FILE + END, 400, "byte 1"),
    "a name that is not UTF-8": (FILE.replace(b"a.jpg", b"\xf6.jpg") + END, 400, "cannot be read"),
    "a header without a colon": (part(named("file"), "nonsense", body=JPEG) + END, 400, "cannot be read"),
    "a header of a megabyte": (part(named("file"), "X-A: " + "a" * 1_000_000, body=JPEG) + END, 400, "16384"),
    "a name of 17 kB": (part(named("file", filename='"' + "n" * 17_000 + '"'), body=JPEG) + END, 400, "16384"),
    "a header that never ends": (b"--b\r\nX-A: " + b"a" * 1_000_000, 400, "16384"),
    "too many headers": (part(named("file"), *["X-A: b"] * limits.PART_HEADERS, body=JPEG) + END, 400, "8 headers"),
    "too many parts": (part(named("tags")) * limits.FORM_PARTS + FILE + END, 400, "100 parts"),
    "a field that is too long": (part(named("caption"), body=b"x" * 70_000) + FILE + END, 413, "65536"),
    "fields that are too long": (part(named("tags"), body=b"x" * 60_000) * 5 + FILE + END, 413, "262144"),
    "a part shorter than it says": (
        part(named("file", filename='"a.jpg"'), f"Content-Length: {len(JPEG) + 1}", body=JPEG) + END,
        400, "Content-Length",
    ),
    "a part longer than it says": (
        part(named("file", filename='"a.jpg"'), "Content-Length: 10", body=JPEG) + END, 400, "Content-Length",
    ),
    "an empty file": (part(named("file", filename='"a.jpg"'), body=b"") + END, 422, "empty"),
    "an empty file without a name": (part(named("file", filename='""'), body=b"") + END, 422, "empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_form_that_cannot_be_read_is_refused_and_leaves_nothing(small: Small, case: str) -> None:
    body, status, word = REFUSED[case]
    await small.forget()
    answer = await small.said(form_head(len(body)) + body)
    assert statuses(answer) == [status], answer
    assert word in detail(answer)
    await small.nothing_is_left()


KINDS: dict[str, tuple[str, int, str]] = {
    "a boundary of 71 characters": (f"multipart/form-data; boundary={'b' * 71}", 400, "RFC 2046"),
    "a boundary that ends in a space": ('multipart/form-data; boundary="b "', 400, "RFC 2046"),
    "an empty boundary": ('multipart/form-data; boundary=""', 400, "no boundary"),
    "no boundary": ("multipart/form-data", 400, "no boundary"),
    "another multipart": ("multipart/mixed; boundary=b", 415, "multipart/mixed"),
    "a urlencoded form": ("application/x-www-form-urlencoded", 415, "x-www-form-urlencoded"),
    "no type at all": ("", 415, "multipart/form-data"),
}


@pytest.mark.parametrize("case", KINDS)
async def test_a_type_that_is_no_form_is_refused_before_the_body(small: Small, case: str) -> None:
    kind, status, word = KINDS[case]
    lines = ["Content-Length: 5000000", *([f"Content-Type: {kind}"] if kind else [])]
    await small.forget()
    async with small.connected() as client:
        await client.send(head("POST", "/v1/uploads", *lines))
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert word in detail(answer)
    await small.nothing_is_left()


async def test_the_longest_boundary_is_taken(small: Small) -> None:
    boundary = "'()+_,-./:=?" + "b" * 58
    body = (FILE + END).replace(b"--b", b"--" + boundary.encode())
    await small.forget()
    assert statuses(await small.said(form_head(len(body), f'"{boundary}"') + body)) == [202]
