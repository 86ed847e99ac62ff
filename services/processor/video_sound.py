"""Sound as AAC: two channels at most, without gaps, in step with the pictures."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import BlockingIOError as Later
from av.error import EOFError as Ended
from av.filter import Graph
from av.packet import Packet

from services.processor.program.encoders import Encodes, Samples
from services.processor.program.programs import Programs
from services.processor.program.task import Kind

_RATES = (44_100, 48_000)
_MOST_CUT = 6  # channels; PyAV reads beyond the planes of eight


class Sound:
    """Encodes the frames of one stream. `origin`: the moment of the source, in seconds, at which the film begins."""

    def __init__(
        self,
        source: AudioStream,
        output: OutputContainer,
        *,
        kbits: int,
        origin: float,
        programs: Programs | None = None,
    ) -> None:
        self._source, self._origin = source, origin
        self._rate = source.rate if source.rate in _RATES else _RATES[-1]
        self._layout = "mono" if source.channels == 1 else "stereo"
        self.stream = output.add_stream("aac", rate=self._rate)
        self.stream.codec_context.layout = self._layout
        self.stream.codec_context.format = "fltp"
        self.stream.bit_rate = kbits * 1000
        self._encoder: Encodes = self.stream
        if programs is not None:
            self._encoder = Samples(
                programs, Kind.AAC, self.stream, kbits=kbits, rate=self._rate, layout=self._layout
            )
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] | None = None
        self._written = 0
        self._held: AudioFrame | None = None

    def encode(self, frame: AudioFrame | None) -> "Iterator[Packet[AudioStream]]":
        """The packets that this frame completes; None for the rest."""
        held, self._held = self._held, frame
        if held is not None:
            yield from self._taken(held if frame is not None else self._ended(held))
        if frame is None:
            yield from self._pulled(None)
            yield from self._encoder.encode(None)

    def _ended(self, last: AudioFrame) -> AudioFrame:
        """The last frame as far as the source lasts: AAC fills it up, at 8 kHz with an eighth of a second."""
        source = self._source
        if source.codec_context.name != "aac" or last.format.name != "fltp" or source.channels > _MOST_CUT:
            return last
        if last.pts is None or last.time_base is None or not source.duration or not source.time_base:
            return last
        end = ((source.start_time or 0) + source.duration) * source.time_base
        kept = round((end - last.pts * last.time_base) * last.sample_rate)
        if not 0 < kept < last.samples:
            return last
        samples = np.ascontiguousarray(last.to_ndarray()[:, :kept], dtype=np.float32)
        cut = AudioFrame.from_ndarray(samples, format="fltp", layout=last.layout.name)
        cut.sample_rate, cut.pts, cut.time_base = last.sample_rate, last.pts, last.time_base
        return cut

    def _taken(self, frame: AudioFrame) -> "Iterator[Packet[AudioStream]]":
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._graph is None or kind != self._made_for:
            if self._graph is not None:
                yield from self._pulled(None)
            self._graph, self._made_for = self._make(frame), kind
        if frame.pts is not None and frame.time_base is not None:
            frame.pts = round((float(frame.pts * frame.time_base) - self._origin) * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        yield from self._pulled(frame)

    def _pulled(self, frame: AudioFrame | None) -> "Iterator[Packet[AudioStream]]":
        if self._graph is None:
            return
        self._graph.push(frame)
        while True:
            try:
                made = self._graph.pull()
            except (Later, Ended):
                return
            if not isinstance(made, AudioFrame):
                continue
            # Counted, not copied: what was put together is without gaps.
            made.pts, made.time_base = self._written, Fraction(1, self._rate)
            self._written += made.samples
            yield from self._encoder.encode(made)

    def _make(self, frame: AudioFrame) -> Graph:
        graph = Graph()
        graph.link_nodes(
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format,
                layout=frame.layout,
                time_base=Fraction(1, frame.sample_rate),
            ),
            # Silence where the sound begins late or breaks off, cut where it overlaps.
            graph.add("aresample", f"{self._rate}:async=1:min_hard_comp=0.05:first_pts={self._written}"),
            graph.add(
                "aformat", f"sample_fmts=fltp:channel_layouts={self._layout}:sample_rates={self._rate}"
            ),
            graph.add("abuffersink"),
        ).configure()
        return graph
