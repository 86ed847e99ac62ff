"""One film of a video: copied where it is what was asked for already, else encoded by x264 and AAC."""

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from services.processor import failures
from services.processor.video_clock import Clock
from services.processor.video_output import Film
from services.processor.video_shape import Look, Shaper
from services.processor.video_sound import Sound
from services.processor.video_source import opened, picture_stream, sound_stream
from shared.film_recipes import FilmSpec

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_TICKS = Fraction(1, 90_000)
_PROFILES = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})
_MOST_COPIED = 12_000_000  # bits a second: what has more is encoded, so that it can be streamed
_MOST_RATE = 48_000
_MOST_HELD = 32
_H264: Literal["libx264"] = "libx264"
_NARROW = 1  # 16 to 235, as televisions have it
_SEGMENT = 4  # seconds between the places where a film of a ladder may be cut
_LEAST_RATE, _MOST_FRAMES = 1, 120  # pictures a second


class NotAsItIs(Exception):
    """A track, `video` or `audio`, cannot be copied after all; it is to be encoded."""

    def __init__(self, track: str) -> None:
        super().__init__(track)
        self.track = track


class Filming:
    """What all films of one video have in common. `on_time` hears how much of the source, from 0 to 1, is behind."""

    def __init__(
        self,
        *,
        descriptor: int,
        mime_type: str,
        look: Look,
        duration: float | None,
        limit: int,
        threads: int,
        warnings: list[str],
        on_time: Callable[[float], None],
    ) -> None:
        self.descriptor, self.mime_type, self.look, self.duration = descriptor, mime_type, look, duration
        self.copied: set[str] = set()
        self.limit, self.threads, self.warnings, self.on_time = limit, threads, warnings, on_time

    def make(self, spec: FilmSpec, output: int) -> None:
        """Write the film to the descriptor `output`. Raises JobFailed, FFmpegError."""
        # What is known to be damaged is mended by encoding what could be decoded.
        self.copied = copied = set() if spec.fragmented or self.warnings else self._as_it_is(spec)
        while True:
            before = len(self.warnings)
            try:
                return self._write(spec, output, copied)
            except NotAsItIs as error:
                copied.discard(error.track)
                del self.warnings[before:]

    def sides(self, spec: FilmSpec) -> tuple[int, int]:
        return self.look.within(spec.width, spec.height, even=True)

    def _as_it_is(self, spec: FilmSpec) -> set[str]:
        """The tracks that are what is asked for already."""
        with opened(self.descriptor, self.mime_type) as source:
            stream, sound = picture_stream(source), sound_stream(source)
            found = {"audio"} if sound is not None and _is_such_sound(sound) else set()
            if stream is not None and self._is_such(stream, stream.bit_rate or source.bit_rate or 0, spec):
                found.add("video")
            return found

    def _is_such(self, stream: VideoStream, rate: int, spec: FilmSpec) -> bool:
        context, look = stream.codec_context, self.look
        return (
            context.name == "h264"
            and context.pix_fmt == "yuv420p"
            and context.profile in _PROFILES
            and not look.hdr
            and not look.turns
            and look.aspect == 1
            and self.sides(spec) == (context.width, context.height) == look.shown
            and rate <= _MOST_COPIED
        )

    def _write(self, spec: FilmSpec, output: int, copied: set[str]) -> None:
        with opened(self.descriptor, self.mime_type) as source:
            stream = picture_stream(source)
            if stream is None:
                raise failures.corrupt(self.mime_type, "no pictures")
            film = Film(output, fragmented=spec.fragmented)
            origin = _origin(source)
            pictures: _Copied | _Encoded
            if "video" in copied:
                pictures = _Copied(stream, film, origin)
            else:
                pictures = _Encoded(stream, film, spec, self, origin)
            sound = sound_stream(source)
            sounds: _Copied | _Sounds | None = None
            if sound is not None:
                as_it_is = "audio" in copied
                sounds = _Copied(sound, film, origin) if as_it_is else _Sounds(sound, film, spec, origin)
            try:
                with film.container:
                    self._feed(source, pictures, sounds)
            except (FFmpegError, OSError) as error:
                raise film.verdict(error, self.limit) from error

    def _feed(
        self, source: InputContainer, pictures: "_Copied | _Encoded", sounds: "_Copied | _Sounds | None"
    ) -> None:
        tracks = [track for track in (pictures, sounds) if track is not None]
        of = {track.stream.index: track for track in tracks}
        clocks = {index: Clock(source.format.name) for index in of}
        jumps = 0
        packets = source.demux(*(track.stream for track in tracks))
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except FFmpegError:
                self.warnings.append("The file breaks off or is damaged; what could be read is there.")
                break
            jumps += clocks[packet.stream.index].mend(packet)
            of[packet.stream.index].take(packet)
            if self.duration and packet.pts is not None and packet.stream is pictures.stream:
                self.on_time(float(packet.pts * packet.time_base) / self.duration)
        for track in tracks:
            track.end()
        if not pictures.count:
            raise failures.corrupt(self.mime_type, "no picture could be decoded")
        if jumps:
            self.warnings.append(f"The times in the file jump {jumps} times; the film goes on without a gap.")
        damaged = sum(track.faults for track in tracks)
        if damaged:
            self.warnings.append(f"{damaged} parts of the video are damaged and were left out.")


def _origin(source: InputContainer) -> float:
    """The moment, in seconds, from which players count."""
    return source.start_time / 1_000_000 if source.start_time and abs(source.start_time) < 2**60 else 0.0


def _is_such_sound(stream: AudioStream) -> bool:
    context = stream.codec_context
    return (
        context.name == "aac"
        and context.profile == "LC"
        and context.channels in {1, 2}
        and context.sample_rate <= _MOST_RATE
        and bool(context.extradata)
        and (stream.bit_rate or 0) <= 256_000
    )


class _Copied:
    """A track as it is, moved to begin with the film."""

    def __init__(self, stream: VideoStream | AudioStream, film: Film, origin: float) -> None:
        self.stream, self._film = stream, film
        self._out = film.container.add_stream_from_template(stream)
        self._shift = round(origin / float(stream.time_base or 1))
        self._last: int | None = None
        self._held: list[Packet[Any]] = []
        self.count = self.faults = 0

    def take(self, packet: "Packet[Any]") -> None:
        """Raises NotAsItIs for what only decoding can mend."""
        if not packet.size:
            return
        if packet.is_corrupt or packet.is_discard or packet.pts is None:
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

    def _mux(self, packet: "Packet[Any]") -> None:
        if packet.pts is None or packet.dts is None or packet.dts > packet.pts:
            raise NotAsItIs(self.stream.type)
        if self._last is not None and packet.dts <= self._last:
            raise NotAsItIs(self.stream.type)
        if not self.count and not packet.is_keyframe:
            raise NotAsItIs(self.stream.type)
        self._last = packet.dts
        packet.pts -= self._shift
        packet.dts -= self._shift
        packet.stream = self._out
        self._film.container.mux(packet)
        self.count += 1

    def end(self) -> None:
        """Raises NotAsItIs where some are left of which it never became known when to decode them."""
        if self._held:
            raise NotAsItIs(self.stream.type)


class _Encoded:
    """The pictures through the shaper and x264."""

    def __init__(
        self, stream: VideoStream, film: Film, spec: FilmSpec, filming: Filming, origin: float
    ) -> None:
        self.stream, self._film, self._origin = stream, film, origin
        stream.thread_type, stream.codec_context.thread_count = "AUTO", filming.threads
        width, height = filming.sides(spec)
        self._shaper = Shaper(
            filming.look, width=width, height=height, pixels="yuv420p", threads=filming.threads
        )
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        rate = rate if _LEAST_RATE <= rate <= _MOST_FRAMES else Fraction(25)
        options = {"crf": str(spec.crf), "preset": "medium"}
        if spec.fragmented:
            options |= {"forced-idr": "1", "sc_threshold": "0", "g": str(round(rate * _SEGMENT) + 1)}
        out = film.container.add_stream(
            _H264, rate=rate.limit_denominator(1001 * 60), options=options, width=width, height=height
        )
        out.pix_fmt = "yuv420p"
        context = out.codec_context
        context.time_base = _TICKS
        context.thread_count = filming.threads
        # What the numbers mean is written down.
        context.colorspace, context.color_primaries, context.color_trc = filming.look.colours
        context.color_range = _NARROW
        self._step = max(1, round(1 / (rate * _TICKS)))
        # All films of a ladder can be cut, and so changed for one another, at the same moments.
        self._cut_every = _SEGMENT * _TICKS.denominator if spec.fragmented else 0
        self._cut_at = 0
        self._out, self._last = out, -1
        self.count = self.faults = 0

    def take(self, packet: "Packet[Any]") -> None:
        try:
            decoded = packet.decode()
        except FFmpegError:
            self.faults += 1
            return
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
        self._film.container.mux(self._out.encode(shaped))

    def end(self) -> None:
        if self.count:
            self._film.container.mux(self._out.encode(None))


class _Sounds:
    """The sound through AAC."""

    def __init__(self, stream: AudioStream, film: Film, spec: FilmSpec, origin: float) -> None:
        self.stream, self._film = stream, film
        self._sound = Sound(stream, film.container, kbits=spec.audio, origin=origin)
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
