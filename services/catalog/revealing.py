"""Finds what a derived picture must not carry: EXIF (with it GPS and serial numbers), XMP, IPTC and comments.

Containers are walked by their own structure: pixels may look like any marker by chance.
"""

import struct
from collections.abc import Iterator

_SOI, _SOS = b"\xff\xd8", 0xDA
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_NAMES = {b"Exif\0": "EXIF", b"http://ns.adobe.com/xap/": "XMP", b"Photoshop 3.0\0": "IPTC"}
_CHUNK_NAMES = {
    b"EXIF": "EXIF", b"XMP ": "XMP",  # WebP
    b"eXIf": "EXIF", b"tEXt": "text", b"zTXt": "text", b"iTXt": "text",  # PNG
}  # fmt: skip
_AVIF_NAMES = {b"Exif": "EXIF", b"application/rdf+xml": "XMP"}


def revealing(data: bytes) -> tuple[str, ...]:
    """Which kinds of metadata a JPEG, PNG, WebP or AVIF file carries; nothing for any other file."""
    if data.startswith(_SOI):
        return _found(_jpeg(data))
    if data.startswith(_PNG):
        return _found(_CHUNK_NAMES.get(kind, "") for kind in _chunks(data, 8, ">I4s", 4))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _found(_CHUNK_NAMES.get(kind, "") for kind in _chunks(data, 12, "<4sI", 0))
    if data[4:8] == b"ftyp":
        # The items are described before the media data; only they are looked at.
        head = data[: data.find(b"mdat")]
        return _found(name for mark, name in _AVIF_NAMES.items() if mark in head)
    return ()


def _found(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))


def _jpeg(data: bytes) -> Iterator[str]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _SOS:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        if marker == 0xFE:
            yield "comment"
        yield next((name for mark, name in _JPEG_NAMES.items() if body.startswith(mark)), "")
        place += 2 + length


def _chunks(data: bytes, place: int, head: str, checksum: int) -> Iterator[bytes]:
    while place + 8 <= len(data):
        first, second = struct.unpack_from(head, data, place)
        kind, length = (first, second) if isinstance(first, bytes) else (second, first)
        yield kind
        # WebP pads chunks to even lengths; PNG has a checksum behind each.
        place += 8 + length + (checksum or length % 2)
