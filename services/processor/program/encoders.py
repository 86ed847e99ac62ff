"""H.264, AAC and MP3 by the operator's program, with the times that PyAV's own encoders give to their packets."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from services.processor.program.encoding import Run
from services.processor.program.programs import Programs
from services.processor.program.task import EPOCH, Kind, Task

_TICKS = Fraction(1, 90_000)
_LATEST = 2**32 - 1
_AHEAD = 2  # pictures that x264's medium preset decodes before they are shown
_SAMPLES = {Kind.AAC: ("pcm_f32le", "flt", "aac", 1024), Kind.MP3: ("pcm_s32le", "s32", "mp3", 1152)}


class Encodes(Protocol):
    """What PyAV's streams do, and these encoders."""

    def encode(self, frame: Any = None) -> "Iterable[Packet[Any]]":
        """The packets that this frame completes; None for the rest. Raises JobFailed, FFmpegError."""


class Pictures:
    """H.264 of frames of `width` x `height` in 4:2:0, whose times are in ticks of 1/90000 s. `task` of any number."""

    def __init__(
        self, programs: Programs, *, width: int, height: int, rate: Fraction, step: int, **asked: int
    ) -> None:
        def add(container: OutputContainer) -> Any:
            stream = container.add_stream("rawvideo", rate=rate, width=width, height=height)
            stream.pix_fmt, stream.codec_context.time_base = "yuv420p", _TICKS
            return stream

        def run(begins: int) -> Run:
            number = programs.started + 1
            task = Task(number=number, kind=Kind.PICTURES, begins=min(begins, _LATEST), **asked)
            return Run(programs, task, "h264", add)

        self._start, self._step = run, step
        # A film's header comes before its first packet, and tells what x264 will say of itself only then: asked of
        # another run, which has one picture to encode.
        self._trial = run(0)
        grey = VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), "yuv420p")
        grey.pts, grey.time_base = EPOCH * _TICKS.denominator, _TICKS
        self._trial.give(grey)
        self._trial.give(None)
        self._moments: list[int] = []
        self._count = 0
        self._run = self._trial
        self._out: Any = None

    def join(self, container: OutputContainer) -> Any:
        """The stream of the film that the packets belong to."""
        if self._trial.stream is None:
            raise self._trial.broken("it made no packets")
        self._out = container.add_stream_from_template(self._trial.stream)
        return self._out

    def encode(self, frame: VideoFrame | None = None) -> "list[Packet[Any]]":
        """Raises JobFailed."""
        if frame is not None and frame.pts is not None:
            if not self._moments:
                self._run = self._start(frame.pts)
            self._moments.append(frame.pts)
            frame.pts += EPOCH * _TICKS.denominator
        found = self._run.give(frame)
        for packet in found:
            self._settle(packet)
        if frame is None and self._count != len(self._moments):
            raise self._run.broken(f"it made {self._count} of {len(self._moments)} pictures")
        return found

    def _settle(self, packet: "Packet[Any]") -> None:
        """NUT does not tell when a picture is decoded: when the one is shown that came so many before."""
        moments, place = self._moments, self._count
        if (
            not place
            and self._run.stream.codec_context.extradata != self._trial.stream.codec_context.extradata
        ):
            raise self._run.broken("it changes its mind about the header")
        if place >= len(moments) or packet.pts is None or packet.time_base is None:
            raise self._run.broken("its packets are not those of the pictures")
        late = moments[_AHEAD] - moments[0] if len(moments) > _AHEAD else 0
        packet_pts = round(packet.pts * packet.time_base / _TICKS) - EPOCH * _TICKS.denominator
        packet.time_base, packet.pts, packet.duration = _TICKS, packet_pts, self._step
        packet.dts = moments[place - _AHEAD] if place >= _AHEAD else moments[place] - late
        if packet.dts > packet_pts:
            raise self._run.broken("its packets come out of order")
        packet.stream = self._out
        self._count += 1


class Samples:
    """AAC or MP3 of frames of `rate` and `layout`, for the stream `out`, whose own encoder writes the header only."""

    def __init__(
        self, programs: Programs, kind: Kind, out: Any, *, kbits: int, rate: int, layout: str
    ) -> None:
        codec, samples, made, self._length = _SAMPLES[kind]

        def add(container: OutputContainer) -> Any:
            stream: Any = container.add_stream(codec, rate=rate)
            stream.codec_context.layout, stream.codec_context.format = layout, samples
            stream.codec_context.time_base = Fraction(1, rate)
            return stream

        channels = 1 if layout == "mono" else 2
        task = Task(number=programs.started + 1, kind=kind, kbits=kbits, rate=rate, channels=channels)
        self._run, self._out, self._rate, self._written = Run(programs, task, made, add), out, rate, 0
        self._heard = 0

    def encode(self, frame: AudioFrame | None = None) -> "list[Packet[Any]]":
        """Raises JobFailed."""
        if frame is not None and frame.pts is not None:
            self._written = frame.pts + frame.samples
            frame.pts += EPOCH * self._rate
        found = self._run.give(frame)
        for packet in found:
            self._settle(packet)
        if frame is None and self._heard < self._written:
            raise self._run.broken(f"it made {self._heard} of {self._written} samples")
        return found

    def _settle(self, packet: "Packet[Any]") -> None:
        if packet.pts is None or packet.time_base is None:
            raise self._run.broken("its packets have no time")
        tick = Fraction(1, self._rate)
        begins = round(packet.pts * packet.time_base / tick) - EPOCH * self._rate
        # LAME puts silence behind the end, for decoders that are late.
        if begins >= self._written + 2 * self._length:
            raise self._run.broken("it made more than there is to hear")
        packet.time_base, packet.pts, packet.dts = tick, begins, begins
        packet.duration = max(1, min(self._length, self._written - begins))
        packet.stream = self._out
        self._heard = begins + self._length
