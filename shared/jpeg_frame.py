"""The frame header of a JPEG, found by walking its segments: sides, and whether it is progressive."""

import mmap

import msgspec

# Start of frame, by what follows; the others of C0 to CF are tables and extensions.
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_END = frozenset({0xD9, 0xDA})  # of the picture; start of scan, behind which no frame begins
_MOST_SEGMENTS = 4096

HEAVY_PIXELS = 40_000_000
"""From here on a progressive JPEG takes its time and memory: its coefficients are kept whole, 6 bytes a pixel."""


class JpegFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Sides in pixels, before orientation."""

    width: int
    height: int
    progressive: bool

    @property
    def is_heavy(self) -> bool:
        """Progressive and large: one at a time."""
        return self.progressive and self.width * self.height > HEAVY_PIXELS


def jpeg_frame(data: bytes | mmap.mmap) -> JpegFrame | None:
    """The first frame header; None where there is none within `data`, which may be the file's beginning only.

    It makes no more than some thousand steps, whatever the file says.
    """
    position = 2
    if data[:position] != b"\xff\xd8":
        return None
    for _ in range(_MOST_SEGMENTS):
        marker, length = data[position : position + 2], data[position + 2 : position + 4]
        if marker == b"\xff\xff":  # a fill byte
            position += 1
            continue
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in _END:
            return None
        if marker[1] in _ALONE:
            position += 2
            continue
        if marker[1] in _FRAMES:
            sides = data[position + 5 : position + 9]
            if len(sides) < 4:
                return None
            return JpegFrame(
                width=int.from_bytes(sides[2:]),
                height=int.from_bytes(sides[:2]),
                progressive=marker[1] in _PROGRESSIVE,
            )
        position += 2 + max(2, int.from_bytes(length))
    return None
