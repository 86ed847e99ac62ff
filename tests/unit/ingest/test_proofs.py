"""What a head could only promise: held against all bytes, in whatever pieces they come."""

from collections.abc import AsyncIterator

import pytest

from services.ingest.claims import recognise
from services.ingest.proofs import proved
from services.ingest.sniff import HEAD_BYTES, sniff
from shared.errors import UnsupportedType
from shared.formats import BY_EXTENSION, BY_MIME, OCTETS
from tests.fixtures.hand_made import ole, zipped

LONG = bytes(range(256)) * 400  # longer than the head
CT = "[Content_Types].xml"
LATE_DOCX = zipped("word/media/photo.png", CT, "word/document.xml", first=LONG)
LATE_XLSX = zipped("unheard-of", CT, "xl/workbook.xml", first=LONG)
LATE_ZIP = zipped("word/media/photo.png", "word/document.xml", first=LONG)
NESTED = zipped("report.docx", "a.txt", first=zipped(CT, "word/document.xml") + LONG)
LATE_DOC = ole("1Table", "WordDocument", before=300)
LOCKED = ole("EncryptionInfo", "EncryptedPackage")
LATE_LOCKED = ole("EncryptionInfo", "EncryptedPackage", before=300)
LATE_MSI = ole("AdminExecuteSequence", before=300)


async def stream(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def taken(body: bytes, name: str, size: int = 4096) -> str:
    """The MIME type as which a file is taken, all of it."""
    head = body[:HEAD_BYTES]
    found = recognise(head, whole=len(body) <= HEAD_BYTES, filename=name, declared="")
    flowed = [piece async for piece in proved(found, head, stream(body, size))]
    assert b"".join(flowed) == body
    return found.mime


@pytest.mark.parametrize("size", [127, 4096, 65_536, 1_000_000])
@pytest.mark.parametrize(("body", "extension"), [(LATE_DOCX, "docx"), (LATE_XLSX, "xlsx"), (LATE_DOC, "doc")])
async def test_a_document_whose_parts_come_late_is_what_it_claims(
    body: bytes, extension: str, size: int
) -> None:
    document = BY_EXTENSION[extension][0].mime
    assert sniff(body[:HEAD_BYTES]).mime in {"application/zip", OCTETS}
    assert await taken(body, f"a.{extension}", size) == document


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (LATE_DOCX, "a.pptx"),
        (LATE_XLSX, "a.docx"),
        (LATE_ZIP, "a.docx"),
        (NESTED, "a.docx"),
        (LATE_DOCX[:-30], "a.docx"),
        (LATE_DOC, "a.xls"),
        (LATE_DOC, "a.docx"),
        (LATE_MSI, "a.docx"),
        (ole("AdminExecuteSequence"), "a.docx"),
        (LATE_LOCKED, "a.doc"),
        (LATE_MSI, "a.doc"),
        (zipped("a.txt"), "a.docx"),
        (ole("AdminExecuteSequence"), "a.ppt"),
        (b"PK\x03\x04" + bytes(26), "a.docx"),
        (b"PK\x03\x04" + b"\xff" * 100_000, "a.docx"),
        (b"PK\x03\x04" + bytes(100_000) + b"PK\x05\x06" + b"\xff" * 18, "a.docx"),
        (b"PK\x03\x04" + bytes(100_000) + b"PK\x05\x06" + bytes(18), "a.docx"),
    ],
)
async def test_a_file_without_the_parts_of_what_it_claims_is_refused(body: bytes, name: str) -> None:
    with pytest.raises(UnsupportedType) as refusal:
        await taken(body, name)
    assert BY_EXTENSION[name[2:]][0].mime in refusal.value.detail


@pytest.mark.parametrize("body", [LOCKED, LATE_LOCKED])
@pytest.mark.parametrize("extension", ["docx", "xlsx", "pptx"])
async def test_a_document_with_a_password_is_what_it_claims_since_nobody_can_look(
    body: bytes, extension: str
) -> None:
    assert await taken(body, f"a.{extension}", 127) == BY_EXTENSION[extension][0].mime


@pytest.mark.parametrize("name", ["a.zip", "a", "a.bin"])
async def test_what_is_claimed_by_nobody_is_what_its_head_shows(name: str) -> None:
    assert await taken(LATE_DOCX, name) == "application/zip"
    assert await taken(NESTED, name) == "application/zip"
    if name != "a.zip":
        assert await taken(LATE_DOC, name) == OCTETS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("size", [1, 3, 4096])
async def test_text_is_text_in_pieces_of_any_size(encoding: str, size: int) -> None:
    body = ("Grüße, 世界 🌍\n" * 500).encode(encoding)
    assert await taken(body, "a.txt", size) == "text/plain"


@pytest.mark.parametrize("encoding", ["cp1252", "iso-8859-15", "koi8-r", "shift_jis", "gb18030"])
@pytest.mark.parametrize("size", [1, 3, 4096])
async def test_text_of_older_encodings_is_text(encoding: str, size: int) -> None:
    words = {"koi8-r": "Привет, мир\n", "shift_jis": "こんにちは\n", "gb18030": "你好世界\n"}
    body = (words.get(encoding, "Größe;Käse\r\n\tß") * 500).encode(encoding)
    assert await taken(body, "a.csv", size) == "text/csv"


@pytest.mark.parametrize(
    ("encoding", "tail"),
    [("utf-8", b"\0"), ("utf-8", b"\xdf\x01"), ("cp1252", b"\0"), ("utf-16", b"\0\0"), ("utf-16", b"\0")],
)
async def test_text_is_refused_for_what_its_last_byte_says(encoding: str, tail: bytes) -> None:
    text = ("words " * 20_000 + "Käse ").encode(encoding)
    with pytest.raises(UnsupportedType, match=str(len(text) + len(tail))):
        await taken(text + tail, "a.txt")


@pytest.mark.parametrize("size", [1, 100_001])
async def test_text_whose_last_character_is_cut_off_is_refused_for_that(size: int) -> None:
    with pytest.raises(UnsupportedType, match="last character is cut off"):
        await taken(b"\xff\xfe" + b"a\0" * size + b"a", "a.txt")


@pytest.mark.parametrize("size", [1, 7, 4096, 200_000])
async def test_text_of_old_programs_is_text_wherever_its_first_letter_beyond_ascii_stands(size: int) -> None:
    for before in (0, 100, 150_000):
        body = b"a;b\r\n" * (before // 5) + "Käse;12 €\r\nGrüße „an“ Zoë\t\f".encode("cp1252")
        assert await taken(body, "a.csv", size) == "text/csv"


@pytest.mark.parametrize("wrong", [b"\0", b"\1", b"\x1b", b"\x7f"])
async def test_bytes_that_no_text_has_are_refused_before_and_after_an_old_letter(wrong: bytes) -> None:
    for body in (wrong + b" words gr\xfcn", b"gr\xfcn words" + wrong, b"gr\xfcn" + bytes(100_000) + wrong):
        for size in (1, 4096):
            with pytest.raises(UnsupportedType, match="text/plain"):
                await taken(body, "a.txt", size)


async def test_what_has_magic_bytes_is_not_looked_at_again() -> None:
    pieces = stream(b"anything", 4)
    assert proved(BY_MIME["image/jpeg"], b"\xff\xd8\xff", pieces) is pieces
    docx = zipped(CT, "word/document.xml")
    assert proved(sniff(docx), docx, pieces) is pieces
