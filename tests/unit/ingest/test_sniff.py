"""What the bytes are, and what becomes of a file that claims to be something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.claims import recognise
from services.ingest.sniff import MAGIC, is_text, sniff
from shared.errors import UnsupportedType
from shared.formats import BY_MIME, FORMATS, OCTETS


def iso(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\2\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4) + body + b"\0\0\0\x08mdat"


def transport() -> bytes:
    return (b"\x47" + bytes(187)) * 4


BMP = (
    b"BM" + (1000).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
)
EBML = b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82"

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
    ("video/webm", EBML + b"\x84webm", "webm"),
    ("video/x-matroska", EBML + b"\x88matroska", "mkv"),
    ("video/x-msvideo", b"RIFF\x10\0\0\0AVI LIST", "avi"),
    ("video/x-flv", b"FLV\x01\x05", "flv"),
    ("video/x-ms-wmv", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\0\0", "wmv"),
    ("video/mpeg", b"\0\0\x01\xba\x44\0", "mpg"),
    ("video/mp2t", transport(), "ts"),
    ("video/ogg", b"OggS" + bytes(24) + b"\x80theora", "ogv"),
    ("audio/ogg", b"OggS" + bytes(24) + b"OpusHead", "ogg"),
    ("audio/mpeg", b"ID3\x04\0\0", "mp3"),
    ("audio/mpeg", b"\xff\xfb\x90\x64", "mp3"),
    ("audio/wav", b"RIFF\x10\0\0\0WAVEfmt ", "wav"),
    ("audio/flac", b"fLaC\0\0\0\x22", "flac"),
    ("audio/aac", b"\xff\xf1\x50\x80", "aac"),
    ("application/pdf", b"%PDF-1.7\n", "pdf"),
    ("application/zip", b"PK\x03\x04\x14\0", "zip"),
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
        (iso(b"isom"), "a.m4a", "audio/x-m4a", "video/mp4"),
        (iso(b"isom"), "a.mov", "video/mov", "video/mp4"),
        (ZIP, "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip"),
        (b"a,b\n1,2\n", "a.csv", "text/plain", "text/csv"),
        (b"# Title\n", "README.md", "", "text/markdown"),
        ("grün".encode(), "a", "text/plain; charset=utf-8", "text/plain"),
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
    assert is_text(cut, whole=False)
    assert not is_text(cut, whole=True)
    assert not is_text(b"\xff" + b"a" * 50, whole=False)
