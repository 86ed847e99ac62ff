"""The tracks of a film as it is written: copied packet by packet, or encoded by x264 and AAC."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast

from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from services.processor.program.encoders import Encodes, Pictures
from services.processor.program.programs import Programs
from services.processor.video_output import Film
from services.processor.video_shape import Look, Shaper
from services.processor.video_sound import Sound
from shared.film_recipes import FilmSpec

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_TICKS = Fraction(1, 90_000)
_MOST_HELD = 32
_MOST_PRIMING = 3 * 1024  # samples; Apple's encoder has 2112 of them
_H264: Literal["libx264"] = "libx264"
_NARROW = 1  # 16 to 235, as televisions have it
_SEGMENT = 4  # seconds between the places where a film of a ladder may be cut
# Pictures up to which one thread decodes: x264 is the slower by far, and damage is guessed the same way each time.
_ONE_DECODER = 1920 * 1088
_LEAST_RATE, _MOST_FRAMES = 1, 120  # pictures a second


class NotAsItIs(Exception):
    """A track, `video` or `audio`, cannot be copied after all; it is to be encoded."""

    def __init__(self, track: str) -> None:
        super().__init__(track)
        self.track = track


class Guessed(Exception):
    """Pictures are damaged. Several threads guess what is missing in another way each time; one does not."""


class Copied:
    """A track as it is, moved to begin with the film."""

    def __init__(self, stream: VideoStream | AudioStream, film: Film, origin: float) -> None:
        self.stream, self._film = stream, film
        self._out = film.container.add_stream_from_template(stream)
        self._shift = round(origin / float(stream.time_base or 1))
        self._last: int | None = None
        self._held: list[Packet[Any]] = []
        self._only_priming = True
        self.count = self.faults = self.guessed = 0

    def take(self, packet: "Packet[Any]") -> None:
        """Raises NotAsItIs for what only decoding can mend."""
        if not packet.size:
            return
        if packet.is_corrupt or packet.pts is None or (packet.is_discard and not self._is_priming(packet)):
            raise NotAsItIs(self.stream.type)
        # Matroska tells when a picture is shown, not when it is decoded: what comes before the first that is known
        # is counted back from there.
        self._held.append(packet)
        if packet.dts is None:
            if self._last is not None or len(self._held) > _MOST_HELD:
                raise NotAsItIs(self.stream.type)
            return
        step = max(1, packet.duration or 1)
        for back, held in enumerate(reversed(self._held)):
            held.dts = packet.dts - back * step
        for held in self._held:
            self._mux(held)
        self._held.clear()

    def _is_priming(self, packet: "Packet[Any]") -> bool:
        """Whether it is there for the decoder alone, before the sound begins, as AAC's encoders have it: the film has
        an edit list that says so, too. What lies further back was cut away, and is not to be heard."""
        if not isinstance(self.stream, AudioStream) or packet.pts is None or not self._only_priming:
            return False
        ahead = (self._shift - packet.pts) * (self.stream.time_base or Fraction(1))
        return 0 < ahead <= Fraction(_MOST_PRIMING, self.stream.codec_context.sample_rate)

    def _mux(self, packet: "Packet[Any]") -> None:
        if packet.pts is None or packet.dts is None or packet.dts > packet.pts:
            raise NotAsItIs(self.stream.type)
        if self._last is not None and packet.dts <= self._last:
            raise NotAsItIs(self.stream.type)
        if not self.count and not packet.is_keyframe:
            raise NotAsItIs(self.stream.type)
        self._last = packet.dts
        self._only_priming = self._only_priming and packet.is_discard
        packet.pts -= self._shift
        packet.dts -= self._shift
        packet.stream = self._out
        self._film.container.mux(packet)
        self.count += 1

    def end(self) -> None:
        """Raises NotAsItIs where some are left of which it never became known when to decode them."""
        if self._held:
            raise NotAsItIs(self.stream.type)


class Encoded:
    """The pictures through the shaper and x264, which have `threads`; large ones are decoded by `decoders`."""

    def __init__(
        self,
        stream: VideoStream,
        film: Film,
        spec: FilmSpec,
        look: Look,
        origin: float,
        *,
        threads: int,
        decoders: int,
        programs: Programs | None = None,
    ) -> None:
        self.stream, self._film, self._origin = stream, film, origin
        self._decoders = 1 if stream.width * stream.height <= _ONE_DECODER else decoders
        stream.thread_type, stream.codec_context.thread_count = "AUTO", self._decoders
        width, height = look.within(spec.width, spec.height, even=True)
        self._shaper = Shaper(look, width=width, height=height, pixels="yuv420p", threads=threads)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        rate = rate if _LEAST_RATE <= rate <= _MOST_FRAMES else Fraction(25)
        self._step = max(1, round(1 / (rate * _TICKS)))
        # All films of a ladder can be cut, and so changed for one another, at the same moments.
        self._cut_every = _SEGMENT * _TICKS.denominator if spec.fragmented else 0
        self._cut_at = 0
        self._last = -1
        self.count = self.faults = self.guessed = 0
        rate = rate.limit_denominator(1001 * 60)
        if programs is None:
            self._encoder = self._own(spec, look, rate=rate, sides=(width, height), threads=threads)
        else:
            self._encoder = self._program(
                programs, spec, look, rate=rate, sides=(width, height), threads=threads
            )

    def _program(
        self,
        programs: Programs,
        spec: FilmSpec,
        look: Look,
        *,
        rate: Fraction,
        sides: tuple[int, int],
        threads: int,
    ) -> Encodes:
        matrix, primaries, transfer = look.colours
        # By half more than there are processors for, as x264 does by itself: some of them wait for others.
        asked = {"crf": spec.crf, "threads": threads + threads // 2}
        asked |= {"matrix": matrix, "primaries": primaries, "transfer": transfer}
        if spec.fragmented:
            asked |= {"segment": _SEGMENT, "longest": round(rate * _SEGMENT) + 1}
        width, height = sides
        encoder = Pictures(programs, width=width, height=height, rate=rate, step=self._step, **asked)
        encoder.join(self._film.container)
        return encoder

    def _own(
        self, spec: FilmSpec, look: Look, *, rate: Fraction, sides: tuple[int, int], threads: int
    ) -> Encodes:
        options = {"crf": str(spec.crf), "preset": "medium"}
        if spec.fragmented:
            options |= {"forced-idr": "1", "sc_threshold": "0", "g": str(round(rate * _SEGMENT) + 1)}
        out = self._film.container.add_stream(
            _H264, rate=rate, options=options, width=sides[0], height=sides[1]
        )
        out.pix_fmt = "yuv420p"
        context = out.codec_context
        context.time_base = _TICKS
        # PyAV's default is threads within a picture, for which x264 cuts it into as many slices: longer films, and not
        # the same ones each time.
        context.thread_count, context.thread_type = threads, "FRAME"
        # What the numbers mean is written down.
        context.colorspace, context.color_primaries, context.color_trc = look.colours
        context.color_range = _NARROW
        return out

    def take(self, packet: "Packet[Any]") -> None:
        """Raises Guessed."""
        try:
            decoded = packet.decode()
        except FFmpegError:
            self.faults += 1
            decoded = []
        self.guessed += sum(frame.is_corrupt for frame in decoded)
        if self._decoders > 1 and (self.faults or self.guessed):
            raise Guessed
        for frame in decoded:
            self._encode(frame)

    def _encode(self, frame: VideoFrame) -> None:
        moment = self._last + self._step
        if frame.pts is not None and frame.time_base is not None:
            moment = round((float(frame.pts * frame.time_base) - self._origin) / float(_TICKS))
        if moment <= self._last:  # shown before, or before the film begins
            return
        shaped = self._shaper.shape(frame)
        shaped.pts, shaped.time_base, shaped.pict_type = moment, _TICKS, 0
        shaped.duration = self._step
        if self._cut_every and moment >= self._cut_at:
            shaped.pict_type, self._cut_at = PictureType.I, self._cut_at + self._cut_every
        self._last = moment
        self.count += 1
        self._film.container.mux(list(self._encoder.encode(shaped)))

    def end(self) -> None:
        if self.count:
            self._film.container.mux(list(self._encoder.encode(None)))


class Sounds:
    """The sound through AAC."""

    def __init__(
        self,
        stream: AudioStream,
        film: Film,
        spec: FilmSpec,
        origin: float,
        *,
        programs: Programs | None = None,
    ) -> None:
        self.stream, self._film = stream, film
        self._sound = Sound(stream, film.container, kbits=spec.audio, origin=origin, programs=programs)
        self.count = self.faults = 0

    def take(self, packet: "Packet[Any]") -> None:
        try:
            decoded = packet.decode()
        except FFmpegError:
            self.faults += 1
            return
        for frame in decoded:
            self._film.container.mux(list(self._sound.encode(cast("AudioFrame", frame))))
            self.count += 1

    def end(self) -> None:
        if self.count:
            self._film.container.mux(list(self._sound.encode(None)))
