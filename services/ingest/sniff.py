"""What the bytes are: a table of magic numbers, and a closer look at the containers that share one."""

import re
from collections.abc import Callable

from services.ingest import containers, mpeg_audio, office, text
from shared.formats import BY_MIME, OCTETS, UNKNOWN, Format

HEAD_BYTES = 64 * 1024
"""How much of a file is held back to look at. A camera's EXIF block stands before a JPEG's sides, hence so much."""

# Possessive, for a file of comments without an end would keep a matcher that goes back busy for ever.
_SVG = re.compile(
    rb"\s*+(?:<\?.*?\?>\s*+|<!--.*?-->\s*+|<!DOCTYPE\s+svg[^>\[]*+(?:\[[^\]]*+\]\s*+)?>\s*+)*+<(?:svg:)?svg[\s>/]",
    re.DOTALL | re.IGNORECASE,
)
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def sniff(head: bytes) -> Format:
    """The format that a file's first bytes show; UNKNOWN where they show none. Text shows none."""
    for offset, magic, answer in MAGIC:
        if head.startswith(magic, offset):
            found = answer if isinstance(answer, str) else answer(head)
            if found is not None:
                return BY_MIME[found]
    return UNKNOWN


def describe(found: Format, head: bytes, *, whole: bool) -> str:
    """What the bytes are, in words for a person."""
    if found.mime != OCTETS:
        return found.mime
    if not text.is_text(head, whole=False):
        return "of no type that is known here"
    return "plain text" if text.is_text(head, whole=whole) else "text whose last character is cut off"


def _riff(head: bytes) -> str | None:
    return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}.get(head[8:12])


def _quicktime(head: bytes) -> str | None:
    """QuickTime older than the ftyp box begins with one of these atoms, after its length; text may look so, too."""
    return None if text.is_text(head[:4096], whole=False) else "video/quicktime"


def _ogg(head: bytes) -> str | None:
    return "video/ogg" if b"\x80theora" in head[:512] else "audio/ogg"


def _bmp(head: bytes) -> str | None:
    """`BM` begins many a text, so the reserved bytes and the size of the second header must fit too."""
    header = int.from_bytes(head[14:18], "little")
    return "image/bmp" if head[6:10] == b"\0\0\0\0" and header in _BMP_HEADERS else None


def _transport(head: bytes) -> str | None:
    """MPEG transport stream: a sync byte every 188 bytes, or every 192 where each has a time before it."""
    for first, every in ((0, 188), (4, 192)):
        if len(head) > first + 3 * every and all(head[first + n * every] == 0x47 for n in range(4)):
            return "video/mp2t"
    return None


def _svg(head: bytes) -> str | None:
    found = head.removeprefix(b"\xef\xbb\xbf")
    return "image/svg+xml" if _SVG.match(found) else None


MAGIC: tuple[tuple[int, bytes, str | Callable[[bytes], str | None]], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"RIFF", _riff),
    (0, b"RF64", _riff),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),
    (0, b"MM\0+", "image/tiff"),
    (0, b"BM", _bmp),
    (4, b"ftyp", containers.iso),
    (4, b"moov", _quicktime),
    (4, b"mdat", _quicktime),
    (4, b"wide", _quicktime),
    (4, b"free", _quicktime),
    (4, b"skip", _quicktime),
    (4, b"pnot", _quicktime),
    (0, b"\x1a\x45\xdf\xa3", containers.ebml),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", containers.asf),
    (0, b"\0\0\x01\xba", "video/mpeg"),
    (0, b"\0\0\x01\xb3", "video/mpeg"),
    (0, b"\x47", _transport),
    (4, b"\x47", _transport),
    (0, b"OggS", _ogg),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", mpeg_audio.tagged),
    (0, b"\xff", mpeg_audio.mpeg_audio),
    (0, b"\0", mpeg_audio.padded),
    (0, b"ADIF", "audio/aac"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", office.in_zip),
    (0, b"PK\x05\x06", "application/zip"),
    (0, office.OLE, office.in_ole),
    (0, b"", _svg),
)
