"""A closer look at containers of moving pictures and sound, whose magic bytes do not say which of both they hold."""

from collections.abc import Iterator
from itertools import islice

from shared.formats import BY_MIME, Format

_AVIF = {b"avif", b"avis"}
_HEIF_ANY = {b"mif1", b"mif2", b"msf1"}
_BRANDS = {
    **dict.fromkeys(_AVIF, "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
    b"qt  ": "video/quicktime",
    b"crx ": None,  # a camera's raw picture, which is no video
}

_SEGMENT, _TRACKS, _ENTRY, _TYPE = 0x18538067, 0x1654AE6B, 0xAE, 0x83
_MOST_ELEMENTS = 2000  # far more than come before the tracks of any real file
_DOCTYPE, _EBML = 0x4282, 0x1A45DFA3

# Stream properties objects of ASF name what a stream is by one of these GUIDs.
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")

_SOUND = {
    "video/mp4": "audio/mp4",
    "video/webm": "audio/webm",
    "video/x-matroska": "audio/x-matroska",
    "video/x-ms-wmv": "audio/x-ms-wma",
}


def iso(head: bytes) -> str | None:
    """ISO base media (ISO/IEC 14496-12): the brands of the ftyp box say which kind, for MP4 the tracks, too."""
    size = int.from_bytes(head[:4])
    if not 12 <= size <= 4096:
        return None
    box = head[:size]
    major = box[8:12]
    if major in _HEIF_ANY:
        brands = {box[at : at + 4] for at in range(16, len(box) - 3, 4)}
        return "image/avif" if brands & _AVIF else "image/heic"
    if major[:3] in {b"3gp", b"3g2", b"3gs"}:
        return "video/3gpp"
    return _BRANDS[major] if major in _BRANDS else _heard_or_seen("video/mp4", head)


def ebml(head: bytes) -> str | None:
    """Matroska (RFC 9559) or its subset WebM."""
    doctype = next((b for one, b, _ in _elements(head, 0, 4096, into={_EBML}) if one == _DOCTYPE), b"")
    return _heard_or_seen("video/webm" if doctype.rstrip(b"\0") == b"webm" else "video/x-matroska", head)


def asf(head: bytes) -> str | None:
    return _heard_or_seen("video/x-ms-wmv", head)


def sound_in(found: Format, head: bytes) -> Format | None:
    """The format of the same container with nothing but sound in it, where the head leaves open what is."""
    sound = _SOUND.get(found.mime)
    return BY_MIME[sound] if sound and _tracks(found.mime, head) is None else None


def _heard_or_seen(mime: str, head: bytes) -> str:
    return _SOUND[mime] if _tracks(mime, head) == {"audio"} else mime


def _tracks(mime: str, head: bytes) -> set[str] | None:
    """Which of video and audio a file has; None where the head does not tell."""
    if mime == "video/mp4":
        found, whole = _iso_tracks(head)
    elif mime == "video/x-ms-wmv":
        end = int.from_bytes(head[16:24], "little")
        found = {kind for kind, guid in (("video", _ASF_VIDEO), ("audio", _ASF_AUDIO)) if guid in head[:end]}
        whole = end <= len(head)
    else:
        found, whole = _ebml_tracks(head)
    return found if found and (whole or "video" in found) else None


def _iso_tracks(head: bytes) -> tuple[set[str], bool]:
    handlers: set[str] = set()
    whole = False
    for kind, at, end in _boxes(head, 0, len(head)):
        if kind == b"moov":
            whole = end <= len(head)
            for name, start, _ in _boxes(head, at, end, into={b"trak", b"mdia"}):
                if name == b"hdlr":
                    handlers |= {{b"vide": "video", b"soun": "audio"}.get(head[start + 8 : start + 12], "")}
    return handlers - {""}, whole


def _boxes(
    head: bytes, at: int, end: int, into: set[bytes] | frozenset[bytes] = frozenset()
) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box that begins in the head."""
    while at + 8 <= min(end, len(head)):
        size, kind, start = int.from_bytes(head[at : at + 4]), head[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(head[at + 8 : at + 16]), at + 16
        elif size == 0:
            size = end - at
        if size < start - at:
            return
        yield kind, start, at + size
        at = start if kind in into else at + size


def _ebml_tracks(head: bytes) -> tuple[set[str], bool]:
    found: set[str] = set()
    whole = False
    for one, content, end in islice(
        _elements(head, 0, len(head), into={_SEGMENT, _TRACKS, _ENTRY}), _MOST_ELEMENTS
    ):
        if one == _TRACKS:
            whole = end <= len(head)
        elif one == _TYPE:
            found |= {{1: "video", 2: "audio"}.get(int.from_bytes(content), "")}
    return found - {""}, whole


def _elements(head: bytes, at: int, end: int, into: set[int]) -> Iterator[tuple[int, bytes, int]]:
    """Id, content (of those that are not gone into) and end of each element that begins in the head."""
    while at < min(end, len(head)):
        one, at = _number(head, at, marked=True)
        size, start = _number(head, at, marked=False)
        if one < 0 or size < 0 or start > len(head):
            return
        yield one, b"" if one in into else head[start : start + min(size, 64)], start + size
        at = start if one in into else start + size


def _number(head: bytes, at: int, *, marked: bool) -> tuple[int, int]:
    """A number of variable length and where it ends; -1 where there is none. An unknown size is a very large one."""
    first = head[at] if at < len(head) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(head):
        return -1, at
    value = int.from_bytes(head[at : at + length])
    return (value if marked else value & ((1 << 7 * length) - 1)), at + length
