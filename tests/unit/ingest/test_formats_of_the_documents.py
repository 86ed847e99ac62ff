"""Every format that the five older documents name is known here, and taken where its document says so.

The lists are written down as the documents have them: a name by which a format goes there, whether in a list of
MIME types, of extensions or in prose, and the bytes that such a file begins with.
"""

import pytest

from services.ingest.claims import recognise
from services.ingest.rules import limit_of
from shared import profiles
from shared.env import Env
from shared.errors import UnsupportedType
from shared.formats import BY_EXTENSION, BY_MIME, BY_NAME
from tests.fixtures.hand_made import asf, iso, matroska, mp4, ole, zipped

SHIPPED = profiles.load(Env({}))
MEGABYTE = 1024 * 1024

JPEG, PNG, GIF = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a"
WEBP, TIFF, AVI, WAV = b"RIFF\0\0\0\0WEBP", b"II*\0\x08\0\0\0", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE"
BMP = b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0"
SVG, PDF, TEXT = b"<svg ", b"%PDF-1.7", b"words"
MP4, MOV, M4V, GP3 = mp4("vide", "soun"), iso(b"qt  "), iso(b"M4V "), iso(b"3gp5")
WEBM, MKV, WMV, FLV, MPEG = (
    matroska("webm", 1),
    matroska("matroska", 1),
    asf("video"),
    b"FLV\x01\x05",
    b"\0\0\x01\xba",
)
MP3, OGG, AAC, M4A = (
    b"ID3\x04\0\0\0\0\0\0",
    b"OggS" + bytes(30),
    b"\xff\xf1\x50\x80\x43\xff\xfc",
    iso(b"M4A "),
)
CT = "[Content_Types].xml"
DOCX, XLSX = zipped(CT, "word/document.xml"), zipped(CT, "xl/workbook.xml")
DOC, XLS = ole("WordDocument"), ole("Workbook")

# What each document lists: name or type there, bytes, the largest such file in MB (the library has one limit for all).
PERSONA: list[tuple[str, bytes, int]] = [
    ("image/jpeg", JPEG, 10), ("image/jpg", JPEG, 10), ("image/png", PNG, 10), ("image/gif", GIF, 10),
    ("image/webp", WEBP, 10), ("image/bmp", BMP, 10), ("image/tiff", TIFF, 10),
    ("video/mp4", MP4, 100), ("video/avi", AVI, 100), ("video/mov", MOV, 100), ("video/wmv", WMV, 100),
    ("video/flv", FLV, 100), ("video/webm", WEBM, 100), ("video/mkv", MKV, 100), ("video/3gp", GP3, 100),
]  # fmt: skip
LIBRARY: list[tuple[str, bytes, int]] = [
    ("image/jpeg", JPEG, 10), ("image/png", PNG, 10), ("image/gif", GIF, 10),
    ("video/mp4", MP4, 10), ("video/webm", WEBM, 10), ("audio/mpeg", MP3, 10), ("audio/wav", WAV, 10),
    ("application/pdf", PDF, 10), (".docx", DOCX, 10), (".xlsx", XLSX, 10),
    (".jpg", JPEG, 10), (".pdf", PDF, 10), (".mp4", MP4, 10), (".mp3", MP3, 10),
]  # fmt: skip
CONTENT: list[tuple[str, bytes, int]] = [
    (".jpeg", JPEG, 10), (".jpg", JPEG, 10), (".png", PNG, 10), (".gif", GIF, 10), (".webp", WEBP, 10),
    (".svg", SVG, 10), (".mp4", MP4, 100), (".mpeg", MPEG, 100), ("video/quicktime", MOV, 100), (".avi", AVI, 100),
    (".webm", WEBM, 100), (".mp3", MP3, 50), ("audio/mpeg", MP3, 50), (".wav", WAV, 50), (".ogg", OGG, 50),
    (".aac", AAC, 50),
    ("audio/webm", matroska("webm", 2), 50),
    (".pdf", PDF, 20), (".doc", DOC, 20), (".docx", DOCX, 20), (".xls", XLS, 20), (".xlsx", XLSX, 20),
    (".txt", TEXT, 20),
]  # fmt: skip
MEDIAFILES: list[tuple[str, bytes, int]] = [
    (".jpg", JPEG, 10), (".jpeg", JPEG, 10), (".png", PNG, 10), (".gif", GIF, 10), (".webp", WEBP, 10),
    (".bmp", BMP, 10), (".mp4", MP4, 100), (".mov", MOV, 100), (".avi", AVI, 100), (".mkv", MKV, 100),
    (".webm", WEBM, 100), (".mp3", MP3, 20), (".wav", WAV, 20), (".ogg", OGG, 20), (".aac", AAC, 20), (".m4a", M4A, 20),
]  # fmt: skip
IMAGES = ((".jpg", JPEG), (".png", PNG), (".gif", GIF), (".webp", WEBP), (".bmp", BMP), (".tiff", TIFF))
VIDEOS = ((".mp4", MP4), (".mov", MOV), (".avi", AVI), (".mkv", MKV), (".webm", WEBM), (".m4v", M4V))
NAMED = {
    "persona": PERSONA,
    "library": LIBRARY,
    "content": CONTENT,
    "mediafiles": MEDIAFILES,
    "avatar": [(name, head, 5) for name, head in IMAGES],
    **{
        slot: [(name, head, 20) for name, head in IMAGES] for slot in ("cover", "logo", "photos", "portfolio")
    },
    "post": [(name, head, 20) for name, head in IMAGES] + [(name, head, 500) for name, head in VIDEOS],
}
# What we know besides: phones send these, and offices.
BEYOND = {
    "image/heic": ".heic .heif", "image/avif": ".avif", "video/mp4": ".m4v video/x-m4v",
    "video/3gpp": ".3gp video/3gpp",
    "audio/mp4": ".m4a audio/x-m4a audio/m4a", "audio/flac": ".flac audio/x-flac", "audio/ogg": ".opus audio/opus",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt", "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp", "application/vnd.ms-powerpoint": ".ppt",
    "text/csv": ".csv", "text/markdown": ".md",
}  # fmt: skip
EVERY = [(profile, *entry) for profile, entries in NAMED.items() for entry in entries]


@pytest.mark.parametrize(
    ("profile", "name", "head", "megabytes"), EVERY, ids=[f"{one[0]} {one[1]}" for one in EVERY]
)
def test_a_format_that_a_document_names_is_known_and_taken(
    profile: str, name: str, head: bytes, megabytes: int
) -> None:
    filename, declared = (f"a{name}", "") if name.startswith(".") else ("a", name)
    found = recognise(head, whole=False, filename=filename, declared=declared)
    assert found in (BY_EXTENSION[name[1:]] if name.startswith(".") else BY_NAME[name])
    assert limit_of(SHIPPED[profile], profile, found) == megabytes * MEGABYTE


@pytest.mark.parametrize(("mime", "names"), BEYOND.items())
def test_what_phones_and_offices_send_is_known_by_its_usual_names(mime: str, names: str) -> None:
    for name in names.split():
        assert BY_MIME[mime] in (BY_EXTENSION[name[1:]] if name.startswith(".") else BY_NAME[name])


@pytest.mark.parametrize(
    ("profile", "name", "head"),
    [
        ("persona", "a.pdf", PDF), ("persona", "a.mp3", MP3), ("content", "a.bmp", BMP), ("avatar", "a.mp4", MP4),
        ("mediafiles", "a.tiff", TIFF), ("mediafiles", "a.docx", DOCX), ("content", "a.zip", zipped("a")),
        ("post", "a.svg", SVG),
    ],
)  # fmt: skip
def test_what_a_document_does_not_name_is_refused_with_what_it_does(
    profile: str, name: str, head: bytes
) -> None:
    found = recognise(head, whole=False, filename=name, declared="")
    with pytest.raises(UnsupportedType) as refusal:
        limit_of(SHIPPED[profile], profile, found)
    assert found.mime in refusal.value.detail
    assert "takes" in refusal.value.detail
