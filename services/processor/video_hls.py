"""The playlist of one film of a ladder (RFC 8216): its segments are ranges of the one file that the film is."""

import os
from collections.abc import Iterator

from services.processor.video_probe import duration_of
from services.processor.video_source import opened, picture_stream
from shared.film_recipes import CODECS, FilmSpec

_HEADER = 8
_LARGE = 16  # of a box longer than 4 GiB
_MOST_INDEX = 16 * 1024 * 1024  # bytes of one box that is read whole


def playlist(descriptor: int, spec: FilmSpec) -> bytes:
    """Of a fragmented MP4 that this process has written, pictures first."""
    size = os.fstat(descriptor).st_size
    boxes = list(_top(descriptor, size))
    index = next((begin, end) for kind, begin, end in boxes if kind == b"moov")
    moov = os.pread(descriptor, index[1] - index[0], index[0])
    scale = _timescale(moov)
    begins, places = [], []
    for kind, begin, end in boxes:
        if kind == b"moof" and end - begin <= _MOST_INDEX:
            begins.append(_begin(os.pread(descriptor, end - begin, begin)) / scale)
            places.append(begin)
    with opened(descriptor, "video/mp4") as film:
        # The first picture is decoded some pictures before it is shown, which counts as part of the whole.
        stream = picture_stream(film)
        late = float((stream.start_time or 0) * (stream.time_base or 0)) if stream is not None else 0.0
        codecs = _codecs(moov, has_sound=bool(film.streams.audio))
        last = begins[0] + (duration_of(film, None) or 0.0) - late
    lengths = [after - before for before, after in zip(begins, [*begins[1:], last], strict=True)]
    # FFmpeg, and the players that are made of it, open no segment without a known ending.
    uri = f"{spec.name}.{spec.extension}?v={spec.hash}"
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"{CODECS}{codecs}",
        f"#EXT-X-TARGETDURATION:{max(1, *(-int(-length // 1) for length in lengths))}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{uri}",BYTERANGE="{index[1]}@0"',
    ]
    for place, after, length in zip(places, [*places[1:], _end(boxes)], lengths, strict=True):
        lines += [f"#EXTINF:{max(0.001, length):.3f},", f"#EXT-X-BYTERANGE:{after - place}@{place}", uri]
    return ("\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n").encode()


def _codecs(moov: bytes, *, has_sound: bool) -> str:
    """As RFC 6381 has it: profile, constraints and level of the pictures, and AAC-LC."""
    place = moov.index(b"avcC") + len(b"avcC") + 1  # behind the version (ISO/IEC 14496-15, 5.3.3)
    pictures = f"avc1.{moov[place : place + 3].hex()}"
    return f"{pictures},mp4a.40.2" if has_sound else pictures


def _end(boxes: list[tuple[bytes, int, int]]) -> int:
    """Where the last segment ends: behind it comes an index that players of the whole file use."""
    return max(end for kind, _, end in boxes if kind == b"mdat")


def _top(descriptor: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of the boxes of the file (ISO/IEC 14496-12, 4.2)."""
    place = 0
    while place + _HEADER <= size:
        head = os.pread(descriptor, _LARGE, place)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:])
        if length < _HEADER:
            return
        yield head[4:8], place, place + length
        place += length


def _inside(box: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = _HEADER
    while place + _HEADER <= len(box):
        length = int.from_bytes(box[place : place + 4])
        if length < _HEADER:
            return
        yield box[place + 4 : place + 8], box[place : place + length]
        place += length


def _first(box: bytes, *path: bytes) -> bytes:
    for kind in path:
        box = next(inner for name, inner in _inside(box) if name == kind)
    return box


def _timescale(moov: bytes) -> int:
    """Ticks a second of the pictures (8.4.2)."""
    mdhd = _first(moov, b"trak", b"mdia", b"mdhd")
    place = 28 if mdhd[8] == 1 else 20
    return int.from_bytes(mdhd[place : place + 4])


def _begin(moof: bytes) -> int:
    """The tick at which the pictures of a fragment begin to be decoded (8.8.12)."""
    tfdt = _first(moof, b"traf", b"tfdt")
    return int.from_bytes(tfdt[12:20] if tfdt[8] == 1 else tfdt[12:16])
