"""Sound without gaps in one rate, layout and format, whatever its stream does in between."""

from collections.abc import Callable
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.error import BlockingIOError as Later
from av.error import EOFError as Ended
from av.filter import Graph

from services.processor import failures

# All channels in one plane: of eight planes PyAV does not find the end.
FORMAT = "flt"
_RATES = range(1000, 768_001)
_MOST_CHANNELS = 8
_LONGEST_FRAME = 2048  # samples: of HE-AAC


class Steady:
    """Passes on frames of 32-bit floats, all channels in turn, at the rate and in the layout of the first. A gap
    becomes silence, though not one before the first. `ends` in seconds: what lies behind that and is no longer than a
    codec's last frame is what fills it, and left out."""

    def __init__(
        self, mime_type: str, take: Callable[[AudioFrame], None], *, ends: float | None = None
    ) -> None:
        self._mime_type, self._take, self._ends = mime_type, take, ends
        self._made, self._held = 0, list[AudioFrame]()
        self._origin: float | None = None
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] | None = None
        self.rate, self.layout, self.samples = 0, "", 0

    def push(self, frame: AudioFrame) -> None:
        """Raises JobFailed, FFmpegError."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._graph is None or kind != self._made_for:
            self._pull(None)
            self._graph, self._made_for = self._make(frame), kind
        if frame.pts is not None and frame.time_base is not None:
            moment = float(frame.pts * frame.time_base)
            self._origin = moment if self._origin is None else self._origin
            frame.pts = round((moment - self._origin) * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        self._pull(frame)

    def end(self) -> None:
        self._pull(None)
        for frame in self._held:
            left = self._last - self.samples
            if left > 0:
                self._pass_on(frame if frame.samples <= left else _beginning(frame, left))
        self._held.clear()

    @property
    def _last(self) -> int:
        """The sample that the sound ends before, as far as its file says."""
        return round((self._ends or 0.0) * self.rate)

    def _pull(self, frame: AudioFrame | None) -> None:
        if self._graph is None:
            return
        self._graph.push(frame)
        while True:
            try:
                made = self._graph.pull()
            except (Later, Ended):
                return
            if isinstance(made, AudioFrame):
                self._keep(made)

    def _keep(self, made: AudioFrame) -> None:
        self._made += made.samples
        if self._ends is not None and self._made <= self._last + _LONGEST_FRAME:
            self._held.append(made)
            while self._held and self.samples + self._held[0].samples <= self._last:
                self._pass_on(self._held.pop(0))
            return
        self._ends = None  # there is more behind than fills a frame
        for frame in (*self._held, made):
            self._pass_on(frame)
        self._held.clear()

    def _pass_on(self, frame: AudioFrame) -> None:
        # Counted, not copied: what was put together is without gaps.
        frame.pts, frame.time_base = self.samples, Fraction(1, self.rate)
        self.samples += frame.samples
        self._take(frame)

    def _make(self, frame: AudioFrame) -> Graph:
        if frame.sample_rate not in _RATES:
            raise failures.corrupt(self._mime_type, f"{frame.sample_rate} samples a second")
        named = _is_named(frame)
        if not self.rate:
            self.rate = frame.sample_rate
            self.layout = frame.layout.name if named else _stereo_or_mono(frame)
        graph = Graph()
        nodes = [
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format,
                layout=frame.layout,
                time_base=Fraction(1, frame.sample_rate),
            )
        ]
        if not named:  # nobody knows where the others belong
            count = 1 if frame.layout.nb_channels == 1 else 2
            pan = "mono|c0=c0" if count == 1 else "stereo|c0=c0|c1=c1"
            nodes.append(graph.add("pan", pan))
        nodes += [
            graph.add("aresample", f"{self.rate}:async=1:min_hard_comp=0.05:first_pts={self._made}"),
            graph.add(
                "aformat", f"sample_fmts={FORMAT}:channel_layouts={self.layout}:sample_rates={self.rate}"
            ),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph


def _beginning(frame: AudioFrame, samples: int) -> AudioFrame:
    plane = frame.to_ndarray()[:, : samples * frame.layout.nb_channels]
    made = AudioFrame.from_ndarray(plane.copy(), format=FORMAT, layout=frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made


def _is_named(frame: AudioFrame) -> bool:
    """Whether the places of the channels are known, and not too many."""
    layout = frame.layout
    return (
        layout.nb_channels <= _MOST_CHANNELS
        and "channel" not in layout.name
        and "ambisonic" not in layout.name
    )


def _stereo_or_mono(frame: AudioFrame) -> str:
    return "mono" if frame.layout.nb_channels == 1 else "stereo"
