"""The colours of HEIF and AVIF that tell them by numbers (`nclx`, ITU-T H.273): the profile that these stand for."""

import functools
import math
import mmap
import struct
from collections.abc import Iterator

from services.processor.srgb import light_of_level

_MOST_BOXES = 1000
_CONTAINERS = frozenset({b"iprp", b"ipco"})
_MOST_META = 4 * 1024 * 1024

# X, Y and Z of each primary under D50, as profiles have them.
_PRIMARIES = {
    1: ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    9: ((0.67348, 0.27904, -0.00193), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686)),
    12: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
}
_SAME_AS_SRGB = frozenset({1, 2})
_LINEAR, _PQ, _HLG = 8, 16, 18
_OTHER_CURVES = frozenset({_LINEAR, _PQ, _HLG})
_WHITE = 203  # cd/m2 of a sheet of paper, in pictures for displays that show more (ITU-R BT.2408)
_KNEE = 0.75  # of that white; from here on light is compressed instead of cut off
_POINTS = 1024
_D50 = (0.9642, 1.0, 0.8249)


def nclx_profile(view: mmap.mmap | bytes) -> bytes:
    """An ICC profile for the primary picture; empty where it says nothing, or sRGB. Never raises."""
    try:
        found = _nclx(view)
    except (struct.error, IndexError, ValueError):
        return b""
    if found is None:
        return b""
    primaries, transfer = found
    if primaries not in _PRIMARIES:
        primaries = {_PQ: 9, _HLG: 9, _LINEAR: 1}.get(transfer, primaries)
    if primaries not in _PRIMARIES or (primaries in _SAME_AS_SRGB and transfer not in _OTHER_CURVES):
        return b""
    return _profile(primaries, transfer if transfer in _OTHER_CURVES else 0)


def _nclx(view: mmap.mmap | bytes) -> tuple[int, int] | None:
    """Primaries and transfer of the primary picture (ISO 23008-12)."""
    for kind, start, end in _boxes(view, 0, len(view)):
        if kind == b"meta":
            return _of_meta(bytes(view[start + 4 : min(end, start + _MOST_META)]))
    return None


def _of_meta(meta: bytes) -> tuple[int, int] | None:
    primary, told, listed = 0, list[tuple[int, int] | None](), b""
    for kind, start, end in _within(meta, 0, len(meta)):
        if kind == b"pitm":
            primary = int.from_bytes(meta[start + 4 : start + (8 if meta[start] else 6)])
        elif kind == b"ipma":
            listed = listed or meta[start:end]
        elif kind.startswith(b"*"):  # a property
            is_nclx = kind == b"*colr" and meta[start : start + 4] == b"nclx"
            told.append(struct.unpack_from(">HH", meta, start + 4) if is_nclx else None)
    for place in _properties_of(primary, listed):
        if 0 < place <= len(told) and (found := told[place - 1]) is not None:
            return found
    return None


def _properties_of(item: int, listed: bytes) -> Iterator[int]:
    """Their places, from 1, in the order in which the item has them."""
    if not listed:
        return
    id_bytes, place_bytes = (4 if listed[0] else 2), (2 if listed[3] & 1 else 1)
    (count,) = struct.unpack_from(">I", listed, 4)
    position = 8
    for _ in range(min(count, _MOST_BOXES)):
        many = listed[position + id_bytes]
        start = position + id_bytes + 1
        position_after = start + many * place_bytes
        if int.from_bytes(listed[position : position + id_bytes]) == item:
            for place in range(start, position_after, place_bytes):
                essential = 1 << (8 * place_bytes - 1)
                yield int.from_bytes(listed[place : place + place_bytes]) & ~essential
        position = position_after


def _within(
    meta: bytes, start: int, end: int, *, properties: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    """The boxes, and those of the containers that hold properties; a property has a star before its name."""
    for kind, inner, last in _boxes(meta, start, end):
        yield (b"*" + kind if properties else kind), inner, last
        if kind in _CONTAINERS and not properties:
            yield from _within(meta, inner, last, properties=kind == b"ipco")


def _boxes(data: mmap.mmap | bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content is."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        last = end if size == 0 else min(start + size, end)
        if last < start + head:
            return
        yield kind, start + head, last
        start = last


@functools.cache
def _profile(primaries: int, transfer: int) -> bytes:
    """Of version 2 (ICC.1:2001-04), of primaries and one curve."""
    curve = struct.pack(
        f">{_POINTS}H", *(round(65535 * _light(n / (_POINTS - 1), transfer)) for n in range(_POINTS))
    )
    tags = {b"desc": b"desc\0\0\0\0\0\0\0\5nclx\0" + bytes(78), b"wtpt": _xyz(_D50)}
    for letter, primary in zip(b"rgb", _PRIMARIES[primaries], strict=True):
        tags[bytes([letter]) + b"XYZ"] = _xyz(primary)
        tags[bytes([letter]) + b"TRC"] = b"curv\0\0\0\0" + struct.pack(">I", _POINTS) + curve
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI", offset + len(body), b"none", 0x02400000) + b"mntrRGB XYZ "
    head += bytes(12) + b"acsp" + bytes(28) + _xyz(_D50)[8:] + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _light(level: float, transfer: int) -> float:
    """0 to 1 of what sRGB can show."""
    if transfer == _PQ:
        root = level ** (32 / 2523)
        return _compressed(
            10_000 / _WHITE * (max(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)
        )
    if transfer == _HLG:
        scene = (
            level**2 / 3 if level <= 0.5 else (math.exp((level - 0.55991073) / 0.17883277) + 0.28466892) / 12
        )
        return _compressed(1000 / _WHITE * scene**1.2)
    if transfer == _LINEAR:
        return level
    return light_of_level(level)


def _compressed(light: float) -> float:
    """Light where 1 is white: what is brighter comes nearer to it and never reaches it."""
    if light <= _KNEE:
        return light
    return _KNEE + (1 - _KNEE) * (1 - math.exp((_KNEE - light) / (1 - _KNEE)))
