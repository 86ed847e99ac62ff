"""Frames as they are to be shown: upright, with square pixels, even sides, in SDR, and no larger than asked."""

from collections.abc import Mapping
from fractions import Fraction
from typing import cast

import msgspec
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# Of ITU-T H.273: PQ (SMPTE ST 2084) and HLG (ARIB STD-B67).
_HDR_TRANSFERS = {16: "pq", 18: "hlg"}
# libswscale maps tones and colours where transfer and primaries are asked for. It makes a table for that first.
_TO_SDR = "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=tv"
_TRIAL = 16  # pixels
_MILLISECONDS = Fraction(1, 1000)
_NEARLY = 0.01  # of a pixel, which rounding may have taken
_Matrix = tuple[int, int, int, int]
# What the matrix of a track asks for, as filters; the axes are right and down (ISO/IEC 14496-12, 8.3.2).
_TURNS: dict[_Matrix, tuple[tuple[str, str], ...]] = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
# What FFmpeg tells of a matrix: degrees counterclockwise.
_UPRIGHT_AFTER = {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
_DEGREES = {("transpose", "clock"): 90, ("transpose", "cclock"): 270, ("hflip", ""): 180}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How the frames of a stream are stored, as its first one tells: sides and aspect of a pixel before `turns`.
    `colours` are matrix, primaries and transfer (ITU-T H.273) of what is made of them."""

    width: int
    height: int
    aspect: Fraction
    turns: tuple[tuple[str, str], ...]
    hdr: str | None
    colours: tuple[int, int, int] = (1, 1, 1)

    @property
    def rotation(self) -> int:
        """Clockwise, in degrees: what a player does before it shows a frame."""
        if len(self.turns) == 2:
            return 180
        return _DEGREES.get(self.turns[0], 0) if self.turns and self.turns[0][0] == "transpose" else 0

    @property
    def is_turned(self) -> bool:
        """Whether width and height change places."""
        return any(name == "transpose" for name, _ in self.turns)

    @property
    def shown(self) -> tuple[int, int]:
        """The sides that a viewer sees, in square pixels."""
        width, height = max(1, round(self.width * self.aspect)), self.height
        return (height, width) if self.is_turned else (width, height)

    def within(self, width: int, height: int, *, even: bool) -> tuple[int, int]:
        """The sides of the picture that is asked for in a box; never enlarged."""
        shown = self.shown
        scale = min(1.0, width / shown[0], height / shown[1])
        across, down = shown[0] * scale, shown[1] * scale
        if not even:
            return max(1, round(across)), max(1, round(down))
        return max(2, int(across + _NEARLY) // 2 * 2), max(2, int(down + _NEARLY) // 2 * 2)


def look_of(frame: VideoFrame, stream: VideoStream) -> Look:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    # Beyond these it is a mistake or a trap: nobody has made pixels forty times as wide as high.
    if not Fraction(1, 8) <= aspect <= 8:
        aspect = Fraction(1)
    look = Look(
        width=frame.width,
        height=frame.height,
        aspect=aspect,
        turns=_TURNS.get(_matrix(frame), ()),
        hdr=_HDR_TRANSFERS.get(int(frame.color_trc)),
    )
    if look.hdr:
        return look
    made = Shaper(look, width=_TRIAL, height=_TRIAL, pixels="yuv420p", threads=1).shape(frame)
    colours = int(made.colorspace), int(made.color_primaries), int(made.color_trc)
    return msgspec.structs.replace(look, colours=colours)


def _matrix(frame: VideoFrame) -> _Matrix:
    try:
        found = cast("Mapping[Type, bytes]", frame.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:  # PyAV does not know the type of some other data beside it; a mirror is missed then
        return _UPRIGHT_AFTER.get(frame.rotation % 360, (1, 0, 0, 1))
    if found is None:
        return (1, 0, 0, 1)
    across, down, _, left, up = (round(number / 65536) for number in memoryview(bytes(found)).cast("i")[:5])
    return across, down, left, up


class Shaper:
    """Turns frames into pictures of `width` x `height` in the pixel format `pixels`."""

    def __init__(self, look: Look, *, width: int, height: int, pixels: str, threads: int) -> None:
        self._look, self._pixels, self._threads = look, pixels, threads
        self._sides = (height, width) if look.is_turned else (width, height)
        self._graph: Graph | None = None
        self._made_for: tuple[int, int, str] | None = None

    def shape(self, frame: VideoFrame) -> VideoFrame:
        """Raises FFmpegError. A stream may change its sides in the middle; the pictures stay as they are."""
        kind = (frame.width, frame.height, frame.format.name)
        if self._graph is None or kind != self._made_for:
            self._graph, self._made_for = self._make(frame), kind
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _make(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = self._threads
        nodes = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or _MILLISECONDS,
            ),
            graph.add(
                "scale", f"{self._sides[0]}:{self._sides[1]}" + ("" if self._look.hdr else ":out_range=tv")
            ),
        ]
        if self._look.hdr:
            nodes.append(graph.add("scale", _TO_SDR))
        nodes += [graph.add(name, arguments) for name, arguments in self._look.turns]
        nodes += [graph.add("format", self._pixels), graph.add("setsar", "1"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph
