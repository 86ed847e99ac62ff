"""Finds what a derived picture must not carry: EXIF (with it GPS and serial numbers), XMP, IPTC and comments, and
anything behind the end of the picture, where a second one would fit. The gain map that we put there ourselves is taken
for what it is, and looked through like the picture.

Containers are walked by their own structure: pixels may look like any marker by chance.
"""

import struct
from collections.abc import Iterator

from shared import ultra_hdr

_SOI, _SOS, _EOI, _COMMENT = b"\xff\xd8", 0xDA, 0xD9, 0xFE
_STANDALONE = {0x00, 0x01, *range(0xD0, 0xD9)}
"""What follows 0xFF without a length: a byte of the pixels, restarts."""
_BEHIND = "data behind the end"
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_NAMES = {b"Exif\0": "EXIF", b"http://ns.adobe.com/xap/": "XMP", b"Photoshop 3.0\0": "IPTC"}
_CHUNK_NAMES = {
    b"EXIF": "EXIF", b"XMP ": "XMP",  # WebP
    b"eXIf": "EXIF", b"tEXt": "text", b"zTXt": "text", b"iTXt": "text",  # PNG
}  # fmt: skip
_AVIF_NAMES = {b"Exif": "EXIF", b"application/rdf+xml": "XMP"}


def revealing(data: bytes) -> tuple[str, ...]:
    """Which kinds of metadata a JPEG, PNG, WebP, GIF or AVIF file carries; nothing for any other file."""
    if data.startswith(_SOI):
        pictures = ultra_hdr.taken_apart(data) or (data,)
        return _found(name for each in pictures for name in _jpeg(each))
    if data.startswith(_PNG):
        return _found(_png(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _found(_webp(data))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _found(_gif(data))
    if data[4:8] == b"ftyp":
        # The items are described before the media data; only they are looked at.
        head = data[: data.find(b"mdat")]
        return _found(name for mark, name in _AVIF_NAMES.items() if mark in head)
    return ()


def _found(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))


def _jpeg(data: bytes) -> Iterator[str]:
    """All segments: those between the scans of a progressive one, too."""
    place = 2
    while (place := data.find(b"\xff", place)) >= 0:
        while data[place + 1 : place + 2] == b"\xff":  # any number of them may stand before a marker
            place += 1
        marker = data[place + 1] if place + 1 < len(data) else _SOI[1]
        place += 2
        if marker == _EOI:
            yield _BEHIND if data[place:].strip(b"\0") else ""
            return
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        body = data[place + 2 : place + length]
        if marker == _COMMENT:
            yield "comment"
        yield next((name for mark, name in _JPEG_NAMES.items() if body.startswith(mark)), "")
        place += max(length, 2)


def _png(data: bytes) -> Iterator[str]:
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield _CHUNK_NAMES.get(kind, "")
        place += 12 + length
        if kind == b"IEND":
            yield _BEHIND if data[place:] else ""
            return


def _webp(data: bytes) -> Iterator[str]:
    end = 8 + int.from_bytes(data[4:8], "little")
    place = 12
    while place + 8 <= min(len(data), end):
        kind, length = struct.unpack_from("<4sI", data, place)
        yield _CHUNK_NAMES.get(kind, "")
        place += 8 + length + length % 2  # padded to even lengths
    yield _BEHIND if data[end + end % 2 :] else ""


def _gif(data: bytes) -> Iterator[str]:
    flags = data[10] if len(data) > 10 else 0
    place = 13 + _palette(flags)
    while place < len(data):
        block, label = data[place], data[place + 1 : place + 2]
        if block == 0x3B:
            yield _BEHIND if data[place + 1 :] else ""
            return
        if block == 0x2C:
            flags = data[place + 9] if place + 9 < len(data) else 0
            place += 11 + _palette(flags)
        elif block == 0x21:
            yield "comment" if label == b"\xfe" else "text" if label == b"\x01" else ""
            yield "XMP" if label == b"\xff" and data[place + 3 : place + 11] == b"XMP Data" else ""
            place += 2
        else:
            return  # no GIF any more
        while place < len(data) and data[place]:  # sub-blocks, each with its length before it
            place += 1 + data[place]
        place += 1


def _palette(flags: int) -> int:
    """Bytes of the colour table that those flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
