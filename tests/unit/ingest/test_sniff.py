"""What the bytes are, and what becomes of a file that claims to be something else."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.claims import recognise
from services.ingest.rules import sides
from services.ingest.sniff import HEAD_BYTES, MAGIC, sniff
from services.ingest.text import is_text
from shared.errors import UnsupportedType
from shared.formats import BY_MIME, FORMATS, OCTETS
from tests.fixtures.hand_made import asf, iso, matroska, mp4, ole, transport, zipped

BMP = (
    b"BM" + (1000).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
)
OPENXML = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."
CT, RELS = "[Content_Types].xml", "_rels/.rels"
MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)

KNOWN: list[tuple[str, bytes, str]] = [
    ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF", "jpg"),
    ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "png"),
    ("image/gif", b"GIF89a\1\0\1\0", "gif"),
    ("image/gif", b"GIF87a\1\0\1\0", "gif"),
    ("image/webp", b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
    ("image/tiff", b"II*\0\x08\0\0\0", "tif"),
    ("image/tiff", b"MM\0*\0\0\0\x08", "tif"),
    ("image/bmp", BMP, "bmp"),
    ("image/avif", iso(b"avif", b"mif1", b"miaf"), "avif"),
    ("image/avif", iso(b"mif1", b"avif"), "avif"),
    ("image/heic", iso(b"heic", b"mif1"), "heic"),
    ("image/heic", iso(b"mif1", b"heic"), "heic"),
    ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "svg"),
    ("image/svg+xml", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- made by hand --><!DOCTYPE svg><svg>', "svg"),
    ("video/mp4", iso(b"isom", b"iso2", b"avc1", b"mp41"), "mp4"),
    ("video/mp4", iso(b"M4V ", b"mp42"), "mp4"),
    ("video/quicktime", iso(b"qt  "), "mov"),
    ("video/quicktime", b"\0\x01\0\0moov\0\0", "mov"),
    ("video/3gpp", iso(b"3gp4", b"3gp4"), "3gp"),
    ("audio/mp4", iso(b"M4A ", b"mp42"), "m4a"),
    ("audio/mp4", mp4("soun"), "m4a"),
    ("video/mp4", mp4("soun", "vide"), "mp4"),
    ("video/webm", matroska("webm"), "webm"),
    ("video/webm", matroska("webm", 2, 1), "webm"),
    ("audio/webm", matroska("webm", 2), "weba"),
    ("video/x-matroska", matroska("matroska", 1), "mkv"),
    ("audio/x-matroska", matroska("matroska", 2, 2), "mka"),
    ("video/x-msvideo", b"RIFF\x10\0\0\0AVI LIST", "avi"),
    ("video/x-flv", b"FLV\x01\x05", "flv"),
    ("video/x-ms-wmv", asf("video", "audio"), "wmv"),
    ("audio/x-ms-wma", asf("audio"), "wma"),
    ("video/mpeg", b"\0\0\x01\xba\x44\0", "mpg"),
    ("video/mp2t", transport(188), "ts"),
    ("video/mp2t", bytes(4) + transport(192), "ts"),
    ("video/ogg", b"OggS" + bytes(24) + b"\x80theora", "ogv"),
    ("audio/ogg", b"OggS" + bytes(24) + b"OpusHead", "ogg"),
    ("audio/mpeg", b"ID3\x04\0\0", "mp3"),
    ("audio/mpeg", b"\xff\xfb\x90\x64", "mp3"),
    ("audio/mpeg", bytes(200) + MP3_FRAME * 2, "mp3"),
    ("audio/flac", b"ID3\x04\0\0\0\0\0\x05tag..fLaC", "flac"),
    ("audio/wav", b"RIFF\x10\0\0\0WAVEfmt ", "wav"),
    ("audio/wav", b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
    ("audio/flac", b"fLaC\0\0\0\x22", "flac"),
    ("audio/aac", b"\xff\xf1\x50\x80\x43\xff\xfc", "aac"),
    ("application/pdf", b"%PDF-1.7\n", "pdf"),
    (f"{OPENXML}wordprocessingml.document", zipped(CT, RELS, "word/document.xml"), "docx"),
    (f"{OPENXML}spreadsheetml.sheet", zipped("docProps/app.xml", "xl/workbook.xml", CT), "xlsx"),
    (f"{OPENXML}presentationml.presentation", zipped(CT, "ppt/presentation.xml", streamed=True), "pptx"),
    (f"{ODF}text", zipped(mimetype=f"{ODF}text"), "odt"),
    (f"{ODF}spreadsheet", zipped(mimetype=f"{ODF}spreadsheet"), "ods"),
    (f"{ODF}presentation", zipped(mimetype=f"{ODF}presentation"), "odp"),
    ("application/msword", ole("WordDocument", "Workbook"), "doc"),
    ("application/vnd.ms-excel", ole("Workbook"), "xls"),
    ("application/vnd.ms-excel", ole("Book"), "xls"),
    ("application/vnd.ms-powerpoint", ole("Current User", "PowerPoint Document"), "ppt"),
    ("application/zip", b"PK\x03\x04\x14\0", "zip"),
    ("application/zip", zipped("word/notes.txt", "a.txt"), "zip"),
    ("application/zip", zipped("sub/[Content_Types].xml", "sub/word/document.xml"), "zip"),
    ("application/zip", zipped(mimetype="application/epub+zip"), "zip"),
]


@pytest.mark.parametrize(("mime", "head", "extension"), KNOWN)
def test_bytes_decide_what_a_file_is(mime: str, head: bytes, extension: str) -> None:
    found = sniff(head + bytes(64))
    assert (found.mime, found.extension) == (mime, extension)


def test_every_format_with_magic_bytes_has_an_example_here() -> None:
    assert {mime for mime, _, _ in KNOWN} == {known.mime for known in FORMATS if not known.text}


@pytest.mark.parametrize(
    "head",
    [
        b"BMW is a maker of cars, and this is a text about them.",
        b"The wide river runs to the sea",
        b"abc\nmoov along",
        b"<html><body><svg/></body></html>",
        b"RIFFraff",
        b"Games are fun, said he",
        b"\xff\xfeU\0T\0F\0-\0001\0006\0",
        b"\0\0\0\x04ftyp",
        iso(b"crx "),
        b"The free software of today",
        bytes(200) + MP3_FRAME + b"\xff",
        ole("AdminExecuteSequence"),
        ole() + "WordDocument".encode("utf-16-le") * 9,
        b"",
    ],
)
def test_what_only_looks_like_magic_is_not_taken_for_it(head: bytes) -> None:
    assert sniff(head).mime == OCTETS


@given(st.binary(max_size=600), st.sampled_from([magic for _, magic, _ in MAGIC]), st.integers(0, 4))
def test_no_bytes_make_the_table_stumble(noise: bytes, magic: bytes, offset: int) -> None:
    head = bytes(offset) + magic + noise
    for cut in range(min(len(head), 24)):
        assert sniff(head[:cut]).mime == OCTETS or sniff(head[:cut]).mime in BY_MIME
    assert sniff(head).mime == OCTETS or sniff(head).mime in BY_MIME


MACRO_WORD = "application/vnd.ms-word.document.macroEnabled.12"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
JPEG, PNG, ZIP = b"\xff\xd8\xff\xe0" + bytes(60), b"\x89PNG\r\n\x1a\n" + bytes(60), b"PK\x03\x04" + bytes(60)


@pytest.mark.parametrize(
    ("head", "name", "declared", "mime"),
    [
        (JPEG, "a.jpg", "image/jpeg", "image/jpeg"),
        (JPEG, "a.JPEG", "image/jpg", "image/jpeg"),
        (JPEG, "a", "", "image/jpeg"),
        (JPEG, "a.unheard", "application/octet-stream", "image/jpeg"),
        (JPEG, "picture.of.me", "", "image/jpeg"),
        (SVG, "a.xml", "text/xml", "image/svg+xml"),
        (ZIP, "a.jar", "application/java-archive", "application/zip"),
        (b"<html></html>", "a.html", "text/html", OCTETS),
        (b"print(1)", "a.py", "text/plain", "text/plain"),
        (JPEG, "a.jpg", "image/jpeg; charset=binary", "image/jpeg"),
        (iso(b"qt  "), "a.mp4", "video/mp4", "video/quicktime"),
        (iso(b"isom"), "a.m4a", "audio/x-m4a", "audio/mp4"),
        (iso(b"isom"), "a.m4a", "", "audio/mp4"),
        (iso(b"isom"), "a", "audio/mp4", "audio/mp4"),
        (iso(b"isom"), "a.m4a", "video/mp4", "video/mp4"),
        (mp4("vide"), "a.m4a", "audio/mp4", "video/mp4"),
        (mp4("soun"), "a.mp4", "video/mp4", "audio/mp4"),
        (matroska("webm"), "a.weba", "audio/webm", "audio/webm"),
        (iso(b"isom"), "a.mov", "video/mov", "video/mp4"),
        (zipped(CT, "word/document.xml"), "a.zip", "application/zip", f"{OPENXML}wordprocessingml.document"),
        (zipped(CT, "word/document.xml"), "a.docm", MACRO_WORD, f"{OPENXML}wordprocessingml.document"),
        (ole("AdminExecuteSequence"), "setup.msi", "", OCTETS),
        (b"a;b\r\n", "a.csv", "application/vnd.ms-excel", "text/csv"),
        (b"\xff\xfe" + "grün".encode("utf-16-le"), "a.txt", "", "text/plain"),
        (b"\xfe\xff" + "grün".encode("utf-16-be"), "a.csv", "text/csv", "text/csv"),
        (b"a,b\n1,2\n", "a.csv", "text/plain", "text/csv"),
        (b"# Title\n", "README.md", "", "text/markdown"),
        ("grün".encode(), "a", "text/plain; charset=utf-8", "text/plain"),
        ("grün;1 €\n".encode("cp1252"), "a.csv", "", "text/csv"),
        ("grün".encode("cp1252"), "a", "", OCTETS),
        ("grün;Käse\r\n".encode("cp1252"), "a.csv", "", "text/csv"),
        (b"just words", "a", "", OCTETS),
        (b"\0\1\2\3", "a.dat", "", OCTETS),
        (b"\0\1\2\3", ".hidden", "", OCTETS),
    ],
)  # fmt: skip
def test_a_file_that_claims_what_it_is_or_nothing_is_taken(
    head: bytes, name: str, declared: str, mime: str
) -> None:
    assert recognise(head, whole=True, filename=name, declared=declared).mime == mime


@pytest.mark.parametrize(
    ("head", "name", "declared", "claimed", "found"),
    [
        (b"I am only a text.", "photo.jpg", "", "image/jpeg", "plain text"),
        (PNG, "photo.jpg", "", "image/jpeg", "image/png"),
        (JPEG, "photo.jpg", "image/png", "image/png", "image/jpeg"),
        (JPEG, "notes.txt", "", "text/plain", "image/jpeg"),
        (JPEG, "page.HTML", "", "text/html", "image/jpeg"),
        (JPEG, "page.html", "image/jpeg", "text/html", "image/jpeg"),
        (JPEG, "a", "text/html; charset=utf-8", "text/html", "image/jpeg"),
        (JPEG, "a.jpg", "application/json", "application/json", "image/jpeg"),
        (SVG, "page.html", "", "text/html", "image/svg+xml"),
        (ZIP, "setup.exe", "", "application/x-msdownload", "application/zip"),
        (b"%PDF-1.7", "a.js", "", "text/javascript", "application/pdf"),
        (b"\0\1\2\3", "notes.txt", "", "text/plain", "of no type that is known"),
        (b"\xff\xd8\xff", "song.mp3", "", "audio/mpeg", "image/jpeg"),
        (ZIP, "a.pdf", "application/pdf", "application/pdf", "application/zip"),
        (ZIP, "a.docx", "", "wordprocessingml", "application/zip"),
        (zipped("word/a.txt"), "a.docx", "", "wordprocessingml", "application/zip"),
        (zipped(CT, "xl/workbook.xml"), "a.docx", "", "wordprocessingml", "spreadsheetml"),
        (zipped("content.xml"), "a.odt", "", "opendocument.text", "application/zip"),
        (ZIP, "a", "application/msword", "application/msword", "application/zip"),
        (ole("Workbook"), "a.doc", "", "application/msword", "application/vnd.ms-excel"),
        (ole("AdminExecuteSequence"), "a.doc", "", "application/msword", "of no type"),
        (b"a\tb\n", "a.xls", "", "application/vnd.ms-excel", "plain text"),
        ("grün".encode("utf-16-le"), "a.txt", "", "text/plain", "of no type"),
        (b"\xff\xfe\0\0" + "grün".encode("utf-32-le"), "a.txt", "", "text/plain", "of no type"),
        (b"\0\1\2\3", "a", "image/x-unheard-of", "image/x-unheard-of", "of no type"),
    ],
)
def test_a_file_that_claims_to_be_another_is_refused_with_both_named(
    head: bytes, name: str, declared: str, claimed: str, found: str
) -> None:
    with pytest.raises(UnsupportedType) as refusal:
        recognise(head, whole=True, filename=name, declared=declared)
    assert claimed in refusal.value.detail
    assert found in refusal.value.detail


def test_a_character_cut_off_by_the_head_does_not_make_it_binary() -> None:
    cut = "Grüße".encode()[:3]
    assert not is_text(cut + b"\x01", whole=False)
    assert is_text(b"\x01" + cut, whole=False)
    assert not is_text(b"\x01" + cut, whole=True)
    assert is_text("\N{BYTE ORDER MARK}grün".encode("utf-16-le")[:-1], whole=False)
    assert not is_text("\N{BYTE ORDER MARK}grün".encode("utf-16-le")[:-1], whole=True)


@pytest.mark.parametrize(
    "head",
    [
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\xec\x80" * 40_000,
        iso(b"isom") + b"\0\0\0\x08moov" * 10_000,
        iso(b"heic") + b"\0\0\0\x08free" * 10_000,
        b"PK\x03\x04\0\0\x08\0\x08\0" * 7000,
        ole() + "Book".encode("utf-16-le") * 8000,
    ],
    ids=["ebml", "mp4", "heic", "zip", "ole"],
)
def test_a_head_made_of_the_smallest_pieces_takes_no_time(head: bytes) -> None:
    for name in ("a.docx", "a.doc", "a.m4a", "a"):
        started = time.process_time()
        with contextlib.suppress(UnsupportedType):
            sides(recognise(head, whole=False, filename=name, declared=""), head)
        assert time.process_time() - started < 0.2


def test_a_file_of_comments_takes_no_time() -> None:
    for piece in (
        b"<!---->",
        b"<!-- -->\n",
        b"<?x?>",
        b"<!DOCTYPE svg []>",
        b" ",
        b"<!--",
        b"<!DOCTYPE svg [ ]",
    ):
        started = time.process_time()
        assert sniff(piece * (HEAD_BYTES // len(piece))).mime == OCTETS
        assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "text",
    [
        b'<?xml version="1.0"?><?xml-stylesheet href="a.css"?><svg>',
        b"<!-- one --><!-- two -->\n<svg>",
        b'<!DOCTYPE svg PUBLIC "x" "y" [ <!ENTITY a "b"> ]><svg>',
        b'<svg:svg xmlns:svg="http://www.w3.org/2000/svg">',
    ],
)
def test_an_svg_may_have_a_long_beginning(text: bytes) -> None:
    assert sniff(text).mime == "image/svg+xml"
