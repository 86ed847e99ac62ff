"""What the bytes are: a table of magic numbers, and a closer look at the containers that share one."""

import re
from collections.abc import Callable

from shared.formats import BY_MIME, OCTETS, UNKNOWN, Format

HEAD_BYTES = 64 * 1024
"""How much of a file is held back to look at. A camera's EXIF block stands before a JPEG's sides, hence so much."""

_SVG = re.compile(
    rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:(?:<!--.*?-->|<!DOCTYPE\s+svg[^>\[]*(?:\[.*?\])?\s*>)\s*)*<svg[\s>/]",
    re.DOTALL | re.IGNORECASE,
)
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF_ANY = {b"mif1", b"mif2", b"msf1"}
_M4A = {b"M4A ", b"M4B ", b"M4P "}


def sniff(head: bytes) -> Format:
    """The format that a file's first bytes show; UNKNOWN where they show none. Text shows none."""
    for offset, magic, answer in MAGIC:
        if head.startswith(magic, offset):
            found = answer if isinstance(answer, str) else answer(head)
            if found is not None:
                return BY_MIME[found]
    return UNKNOWN


def is_text(head: bytes, *, whole: bool) -> bool:
    """Whether the bytes are UTF-8 without NUL; unless `whole`, a character cut off at the end is fine."""
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return not whole and error.reason == "unexpected end of data" and error.start > len(head) - 4
    return True


def describe(found: Format, head: bytes) -> str:
    """What the bytes are, in words for a person."""
    if found.mime != OCTETS:
        return found.mime
    return "plain text" if is_text(head, whole=False) else "of no type that is known here"


def _riff(head: bytes) -> str | None:
    return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}.get(head[8:12])


def _iso(head: bytes) -> str | None:
    """ISO base media (ISO/IEC 14496-12): the brands of the ftyp box say which kind."""
    size = int.from_bytes(head[:4])
    if not 12 <= size <= 4096:
        return None
    box = head[:size]
    major = box[8:12]
    brands = {major} | {box[at : at + 4] for at in range(16, len(box) - 3, 4)}
    if major in _AVIF or (major in _HEIF_ANY and brands & _AVIF):
        return "image/avif"
    if major in _HEIF | _HEIF_ANY:
        return "image/heic"
    if major in _M4A:
        return "audio/mp4"
    if major == b"qt  ":
        return "video/quicktime"
    return "video/3gpp" if major[:3] in {b"3gp", b"3g2", b"3gs"} else "video/mp4"


def _quicktime(head: bytes) -> str | None:
    """QuickTime older than the ftyp box begins with one of these atoms, after its length; text may look so, too."""
    return None if is_text(head[:4096], whole=False) else "video/quicktime"


def _ebml(head: bytes) -> str | None:
    doctype = head[:4096].find(b"\x42\x82")
    return "video/webm" if doctype > 0 and head[doctype + 3 : doctype + 7] == b"webm" else "video/x-matroska"


def _ogg(head: bytes) -> str | None:
    return "video/ogg" if b"\x80theora" in head[:512] else "audio/ogg"


def _bmp(head: bytes) -> str | None:
    """`BM` begins many a text, so the reserved bytes and the size of the second header must fit too."""
    header = int.from_bytes(head[14:18], "little")
    return "image/bmp" if head[6:10] == b"\0\0\0\0" and header in _BMP_HEADERS else None


def _mpeg_audio(head: bytes) -> str | None:
    """An MPEG audio frame (ISO/IEC 11172-3, layer III or II) or an ADTS frame (ISO/IEC 13818-7)."""
    if len(head) < 4 or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    layer, bitrate, rate = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    version = head[1] >> 3 & 3
    fits = layer in {1, 2} and version != 1 and 0 < bitrate < 15 and rate != 3
    return "audio/mpeg" if fits else None


def _transport(head: bytes) -> str | None:
    """MPEG transport stream: a sync byte every 188 bytes."""
    return "video/mp2t" if len(head) > 564 and head[188] == head[376] == head[564] == 0x47 else None


def _svg(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf")
    return "image/svg+xml" if _SVG.match(text) else None


MAGIC: tuple[tuple[int, bytes, str | Callable[[bytes], str | None]], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"RIFF", _riff),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),
    (0, b"MM\0+", "image/tiff"),
    (0, b"BM", _bmp),
    (4, b"ftyp", _iso),
    (4, b"moov", _quicktime),
    (4, b"mdat", _quicktime),
    (4, b"wide", _quicktime),
    (0, b"\x1a\x45\xdf\xa3", _ebml),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "video/x-ms-wmv"),
    (0, b"\0\0\x01\xba", "video/mpeg"),
    (0, b"\0\0\x01\xb3", "video/mpeg"),
    (0, b"\x47", _transport),
    (0, b"OggS", _ogg),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff", _mpeg_audio),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"", _svg),
)
