"""Loudness by EBU R 128: FFmpeg's own meter, asked for its last word."""

import math
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.error import BlockingIOError as Later
from av.error import EOFError as Ended
from av.filter import Graph

from services.processor.audio_steady import FORMAT

_SILENCE = -70.0  # LUFS: the gate below which nothing counts
_LEAST_RATE = 16_000  # below, the filter's frequencies are not there
_RATE = 48_000
_LEAST_SECONDS = 60  # EBU Tech 3342: the range of what is shorter says nothing


class Loudness:
    """Takes steady frames of one rate and layout. A meter reads ten times a second."""

    def __init__(self, rate: int, layout: str) -> None:
        graph = Graph()
        nodes = [
            graph.add_abuffer(sample_rate=rate, format=FORMAT, layout=layout, time_base=Fraction(1, rate))
        ]
        if rate < _LEAST_RATE:
            nodes.append(graph.add("aresample", str(_RATE)))
        nodes += [graph.add("ebur128", "metadata=1:peak=true:framelog=quiet"), graph.add("abuffersink")]
        graph.link_nodes(*nodes).configure()
        self._graph, self._rate = graph, rate
        self._told: dict[str, str] = {}
        self._samples = 0

    def take(self, frame: AudioFrame | None) -> None:
        """None for the end."""
        self._samples += frame.samples if frame is not None else 0
        self._graph.push(frame)
        while True:
            try:
                made = self._graph.pull()
            except (Later, Ended):
                return
            if isinstance(made, AudioFrame) and "lavfi.r128.I" in made.metadata:
                self._told = made.metadata

    def fields(self) -> dict[str, float]:
        """`loudness` in LUFS, `loudness_range` in LU, `true_peak` in dBTP; only what there is."""
        found: dict[str, float] = {}
        integrated = _number(self._told.get("lavfi.r128.I"))
        if integrated is not None and integrated > _SILENCE:
            found["loudness"] = round(integrated, 1)
        spread = _number(self._told.get("lavfi.r128.LRA"))
        if spread is not None and found and self._samples >= _LEAST_SECONDS * self._rate:
            found["loudness_range"] = round(spread, 1)
        peak = _number(self._told.get("lavfi.r128.true_peak"))
        if peak:
            found["true_peak"] = round(20 * math.log10(peak), 1)
        return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
