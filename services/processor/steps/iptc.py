"""IPTC: the captions of the press, older than XMP and often beside it (IIM 4.2; Photoshop's image resources)."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.processor.clean_text import decoded

_PHOTOSHOP = b"Photoshop 3.0\0"
_RECORDS, _DIGEST = 0x0404, 0x0425
_UTF8 = b"\x1b%G"
_MOST_RECORDS = 1000
_CHARSET = (1, 90)
_NAMES = {
    (2, 5): "title",
    (2, 25): "keywords",
    (2, 55): "date",
    (2, 60): "time",
    (2, 80): "creator",
    (2, 116): "copyright",
    (2, 120): "caption",
}


@dataclass(slots=True)
class Iptc:
    """The texts by name, as often as they are there. `is_current`: nothing says that another program has changed
    them since whoever wrote XMP, too, did so."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    is_current: bool = True

    def first(self, name: str) -> str | None:
        return next(iter(self.texts.get(name, ())), None)


def read_iptc(block: bytes) -> Iptc:
    """What the block says; whatever is broken or cut short in it ends it."""
    if not block.startswith(_PHOTOSHOP):
        return Iptc(texts=_texts(block))
    resources = dict(_resources(block[len(_PHOTOSHOP) :]))
    records, digest = resources.get(_RECORDS, b""), resources.get(_DIGEST, b"")
    # The Metadata Working Group's test: a program that knows IPTC only leaves the digest of its precursor behind.
    actual = hashlib.md5(records, usedforsecurity=False).digest()
    return Iptc(texts=_texts(records), is_current=digest in {b"", actual})


def _resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while block[position : position + 4] == b"8BIM" and position + 12 <= len(block):
        number, name_length = struct.unpack_from(">HB", block, position + 4)
        position += 6 + _even(1 + name_length)
        if position + 4 > len(block):
            return
        (size,) = struct.unpack_from(">I", block, position)
        position += 4
        yield number, block[position : position + size]
        position += _even(size)


def _even(size: int) -> int:
    return size + size % 2


def _texts(records: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    is_utf8 = False
    for key, raw in _datasets(records):
        if key == _CHARSET:
            is_utf8 = raw == _UTF8
        elif key in _NAMES and (raw := raw.strip(b"\0 ")):
            text = raw.decode("utf-8", "replace") if is_utf8 else decoded(raw)
            found.setdefault(_NAMES[key], []).append(text)
    return found


def _datasets(records: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    position = 0
    for _ in range(_MOST_RECORDS):
        if position + 5 > len(records) or records[position] != 0x1C:
            return
        record, dataset, size = struct.unpack_from(">BBH", records, position + 1)
        if size & 0x8000:  # an extended dataset, for what is longer than any text
            return
        yield (record, dataset), records[position + 5 : position + 5 + size]
        position += 5 + size
