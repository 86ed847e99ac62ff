"""One film of a video: copied where it is what was asked for already, else encoded by x264 and AAC."""

from collections.abc import Callable

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from services.processor import failures
from services.processor.program.programs import Programs
from services.processor.video_clock import Clock
from services.processor.video_output import Film
from services.processor.video_shape import Look
from services.processor.video_source import opened, picture_stream, sound_stream
from services.processor.video_tracks import Copied, Encoded, Guessed, NotAsItIs, Sounds
from shared.film_recipes import FilmSpec

_PROFILES = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})
_MOST_COPIED = 12_000_000  # bits a second: what has more is encoded, so that it can be streamed
_RATES = frozenset({44_100, 48_000})


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
        programs: Programs | None = None,
    ) -> None:
        self.descriptor, self.mime_type, self.look, self.duration = descriptor, mime_type, look, duration
        self.copied: set[str] = set()
        self._programs = programs
        self.limit, self.threads, self.warnings, self.on_time = limit, threads, warnings, on_time
        self._decoders = threads

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
            except Guessed:
                self._decoders = 1
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
            pictures: Copied | Encoded
            if "video" in copied:
                pictures = Copied(stream, film, origin)
            else:
                pictures = Encoded(
                    stream,
                    film,
                    spec,
                    self.look,
                    origin,
                    threads=self.threads,
                    decoders=self._decoders,
                    programs=self._programs,
                )
            sound = sound_stream(source)
            sounds: Copied | Sounds | None = None
            if sound is not None:
                as_it_is = "audio" in copied
                if as_it_is:
                    sounds = Copied(sound, film, origin)
                else:
                    sounds = Sounds(sound, film, spec, origin, programs=self._programs)
            try:
                with film.container:
                    self._feed(source, pictures, sounds)
            except (FFmpegError, OSError) as error:
                raise film.verdict(error, self.limit) from error
            finally:
                if self._programs is not None:
                    self._programs.stop_all()

    def _feed(
        self, source: InputContainer, pictures: "Copied | Encoded", sounds: "Copied | Sounds | None"
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
        if pictures.guessed:
            self.warnings.append(
                f"{pictures.guessed} pictures are damaged; what is missing in them was guessed."
            )
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
        and context.sample_rate in _RATES
        and bool(context.extradata)
        and (stream.bit_rate or 0) <= 256_000
    )
