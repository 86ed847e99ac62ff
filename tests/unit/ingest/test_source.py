"""What is known of a form's file when it begins: how long it is at the least."""

import pytest

from services.ingest.body import Read
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.source import from_form
from shared.errors import Invalid, Malformed

FIELD = b'--b\r\nContent-Disposition: form-data; name="caption"\r\n\r\nhello\r\n'
TAG = FIELD.replace(b"caption", b"tags")
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
END = b"\r\n--b--\r\n"
FILE = bytes(3 * 1024 * 1024)


def arriving(body: bytes, piece: int) -> Read:
    rest = [body[at : at + piece] for at in range(0, len(body), piece)]

    async def read() -> bytes:
        return rest.pop(0) if rest else b""

    return read


@pytest.mark.parametrize("piece", [1000, 65_536, 10**9])
@pytest.mark.parametrize("after", [b"", b"\r\n" + TAG + TAG.rstrip()])
async def test_a_file_is_never_shorter_than_its_form_lets_expect(piece: int, after: bytes) -> None:
    body = FIELD + HEAD + FILE + after + END
    source = await from_form(arriving(body, piece), "b", length=len(body))
    got = b"".join([chunk async for chunk in source.chunks])
    await source.finish()
    assert got == FILE
    room = FORM_OVERHEAD_BYTES + min(piece, len(body))
    assert max(0, len(FILE) - room) <= source.at_least <= len(FILE)


async def test_of_a_form_without_a_length_nothing_is_expected() -> None:
    source = await from_form(arriving(HEAD + FILE + END, 65_536), "b")
    assert source.at_least == 0


@pytest.mark.parametrize(
    ("after", "error", "word"),
    [
        (END + FILE, Malformed, "come after the file's 5 bytes"),
        (b"\r\n" + HEAD + FILE + END, Invalid, "more than one part named 'file'"),
        (b"\r\n" + FIELD * 100 + HEAD + FILE + END, Malformed, "goes beyond a limit"),
    ],
)
async def test_what_comes_in_the_place_of_a_file_is_refused_in_words(
    after: bytes, error: type[Exception], word: str
) -> None:
    body = HEAD + b"short" + after
    source = await from_form(arriving(body, 1000), "b", length=len(body))
    assert source.at_least > 5
    with pytest.raises(error, match=word):
        _ = [chunk async for chunk in source.chunks]
