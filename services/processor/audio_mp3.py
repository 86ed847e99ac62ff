"""MP3 as it is asked for: encoded by LAME, or the frames of a source that has them already, one by one."""

import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.error import BlockingIOError as Later
from av.error import EOFError as Ended
from av.error import FFmpegError
from av.filter import Graph

from services.processor import failures
from services.processor.audio_source import opened
from services.processor.audio_steady import FORMAT
from services.processor.program.encoders import Encodes, Samples
from services.processor.program.programs import Programs
from services.processor.program.task import Kind
from services.processor.video_output import Writer
from services.processor.video_source import sound_stream
from shared.sound_recipes import SoundSpec

# Nothing of the source's tags goes along; the first frame tells how much silence LAME has put in front and behind.
_OPTIONS = {"id3v2_version": "0", "write_id3v1": "0", "write_xing": "1", "fflags": "+bitexact"}
_BUFFER = 256 * 1024
_FORMAT = "s32p"  # of floats that are beyond all bounds, or no numbers, LAME aborts
_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_RATES = (44_100, 48_000, 32_000, 0)
_SYNC = 0xFFFB  # MPEG-1, layer III, without a checksum; with one the last bit is 0
_LEAST = 1152  # samples: one frame
_MOST_INFO = 1441  # bytes of the longest frame


class Encoder:
    """One MP3 that is written to a descriptor, from frames of `rate` and `layout`. `limit` in bytes."""

    def __init__(
        self,
        spec: SoundSpec,
        output: int,
        *,
        rate: int,
        layout: str,
        limit: int,
        programs: Programs | None = None,
    ) -> None:
        os.ftruncate(output, 0)
        self._writer, self._limit = Writer(output), limit
        self._container = av.open(
            self._writer, "w", format="mp3", container_options=_OPTIONS, buffer_size=_BUFFER
        )
        layout_out = "mono" if layout == "mono" else "stereo"
        self._stream: Any = self._container.add_stream("libmp3lame", rate=spec.rate)
        self._stream.bit_rate = spec.kbits * 1000
        self._stream.codec_context.layout, self._stream.codec_context.format = layout_out, _FORMAT
        self._encoder: Encodes = self._stream
        if programs is not None:
            self._encoder = Samples(
                programs, Kind.MP3, self._stream, kbits=spec.kbits, rate=spec.rate, layout=layout_out
            )
        graph = Graph()
        graph.link_nodes(
            graph.add_abuffer(sample_rate=rate, format=FORMAT, layout=layout, time_base=Fraction(1, rate)),
            graph.add("aresample", str(spec.rate)),
            graph.add(
                "aformat", f"sample_fmts={_FORMAT}:channel_layouts={layout_out}:sample_rates={spec.rate}"
            ),
            graph.add("apad", f"whole_len={_LEAST}"),  # of less nothing may be left
            graph.add("abuffersink"),
        ).configure()
        self._graph, self._rate, self._written = graph, spec.rate, 0

    def take(self, frame: AudioFrame | None) -> None:
        """None for the end. Raises JobFailed, FFmpegError."""
        try:
            self._graph.push(frame)
            self._pull()
            if frame is None:
                self._container.mux(list(self._encoder.encode(None)))
                self._container.close()
        except (FFmpegError, OSError) as error:
            raise self._verdict(error) from error

    def _pull(self) -> None:
        while True:
            try:
                made = self._graph.pull()
            except (Later, Ended):
                return
            if isinstance(made, AudioFrame):
                made.pts, made.time_base = self._written, Fraction(1, self._rate)
                self._written += made.samples
                self._container.mux(list(self._encoder.encode(made)))

    def _verdict(self, error: Exception) -> Exception:
        if self._writer.is_full:
            return failures.JobFailed(failures.too_much_output(self._writer.tell(), self._limit))
        return error


def lasts(output: int) -> float | None:
    """Seconds that an MP3 plays, None where part of it does not."""
    samples, rate = 0, 0
    try:
        with opened(output, SoundSpec.mime_type) as made:
            stream = sound_stream(made)
            for frame in made.decode(stream) if stream is not None else ():
                samples, rate = samples + frame.samples, frame.sample_rate
    except FFmpegError:
        return None
    return samples / rate if rate else None


def is_one(source: InputContainer, spec: SoundSpec, at: Callable[[float], None]) -> bool:
    """Whether every frame of the source is what is asked for. Reads it to its end; `at` hears of its seconds."""
    stream = sound_stream(source)
    if stream is None or source.format.name != "mp3" or not stream.codec_context.name.startswith("mp3"):
        return False
    count = 0
    try:
        for packet in source.demux(stream):
            head = bytes(memoryview(packet)[:4]) if packet.size else b""
            if not is_frame(head):
                continue
            if not _is_such(head, packet.size, spec):
                return False
            count += 1
            if packet.pts is not None:
                at(float(packet.pts * packet.time_base))
    except FFmpegError:
        return False
    return count > 0


def _is_such(head: bytes, size: int, spec: SoundSpec) -> bool:
    found = frame_of(head)
    return found is not None and found[:2] == (spec.kbits, spec.rate) and found[2] == size


def is_frame(head: bytes) -> bool:
    """Whether a frame of any MPEG audio begins so. What else is between them is tags and remains of tags."""
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0


def frame_of(head: bytes) -> tuple[int, int, int] | None:
    """Kilobits and samples a second, and the length in bytes, of the frame of MPEG-1 layer III that begins so."""
    number = int.from_bytes(head[:4])
    if len(head) < 4 or (number >> 16) | 1 != _SYNC:
        return None
    kbits, rate = _KBITS[number >> 12 & 15], _RATES[number >> 10 & 3]
    if not kbits or not rate:
        return None
    return kbits, rate, 144_000 * kbits // rate + (number >> 9 & 1)


def info_frame(descriptor: int, first: int) -> bytes:
    """The frame before the first that sounds, at `first`, which tells how much of it is silence; none where there is
    none."""
    begin = max(0, first - _MOST_INFO)
    before = os.pread(descriptor, first - begin, begin)
    for place in range(len(before) - 4):
        found = frame_of(before[place : place + 4])
        if found and found[2] == len(before) - place:
            frame = before[place:]
            if b"Xing" in frame[:48] or b"Info" in frame[:48]:
                return frame
    return b""


def keep(descriptor: int, mime_type: str, output: int, limit: int) -> None:
    """Write the frames of the source, and nothing else of it. Raises JobFailed, FFmpegError."""
    os.ftruncate(output, 0)
    writer, is_first = Writer(output), True
    with opened(descriptor, mime_type) as source:
        stream = sound_stream(source)
        if stream is None:
            raise failures.corrupt(mime_type, "no sound")
        for packet in source.demux(stream):
            if not packet.size or not is_frame(bytes(memoryview(packet)[:4])):
                continue
            try:
                if is_first and packet.pos is not None:
                    writer.write(info_frame(descriptor, packet.pos))
                writer.write(bytes(packet))
            except OSError as error:
                if writer.is_full:
                    raise failures.JobFailed(failures.too_much_output(writer.tell(), limit)) from error
                raise
            is_first = False
