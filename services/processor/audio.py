"""The audio pipeline inside the child: what it is, its cover, and one pass through the sound for all that it needs."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from services.processor import audio_cover, audio_mp3, audio_waveform, failures
from services.processor.audio_end import End, claimed_by, what_is_missing
from services.processor.audio_loudness import Loudness
from services.processor.audio_mp3 import Encoder
from services.processor.audio_source import cover, opened, to_hear
from services.processor.audio_steady import Steady
from services.processor.audio_tags import tags
from services.processor.audio_waveform import Peaks
from services.processor.film_steps import Report, step, warnings_of
from services.processor.frames import Film, Finished, Result, Variant
from services.processor.video_clock import Clock
from services.processor.video_probe import facts
from services.processor.video_progress import Course
from services.processor.video_source import sound_stream
from services.processor.work import Work
from shared.sound_recipes import SoundSpec

if TYPE_CHECKING:
    from av.packet import Packet

_PROBED, _SCANNED, _SOUNDED = 2.0, 10.0, 90.0  # percent of the whole job that are behind then
_STRAY = 0.04  # seconds by which what is kept may be shorter or longer than what was decoded
_LONGEST_GAP = 10.0  # seconds without sound; more is a mistake or a trap
_DAMAGED = "The file breaks off or is damaged; what could be read is there."


def run(work: Work, outputs: Sequence[int], report: Report) -> Result:
    """All that the recipe makes of sound. `outputs`: a file for each of its MP3s that is not there already.

    Raises JobFailed with the verdict, MemoryError.
    """
    course = Course(report)
    with step(work, "probe", report):
        course.enter("probe", _PROBED)
        claimed, bitrate = _look(work)
    with step(work, "cover", report):
        pictures, placeholder = _cover(work)
    with step(work, "sound", report):
        sound = _Sound(work, outputs, course, claimed)
        waveform = sound.run(report)
    work.variants = (*waveform, *pictures)
    return Result(
        width=0,
        height=0,
        exif=work.exif,
        taken_at=work.taken_at,
        phash="",
        dhash="",
        degenerate=True,
        placeholder=placeholder,
        variants=work.variants,
        kept=tuple(spec.code for spec in work.job.recipe.sounds.mp3 if spec.code in work.job.there),
        warnings=tuple(warnings_of(work)),
        timings=work.timings,
        duration=sound.seconds,
        bitrate=bitrate,
        films=sound.films,
    )


def _look(work: Work) -> tuple[float | None, int | None]:
    """Fill in `exif`; how long, in seconds, and of how many bits a second the file says that it is."""
    with opened(work.descriptor, work.job.mime_type) as source:
        to_hear(source, work.job.mime_type)
        told = facts(source, None, None, size=os.fstat(work.descriptor).st_size)
        work.exif, work.taken_at = told.fields | tags(source), told.taken_at
        claimed = claimed_by(source, told.duration)
    return claimed, told.bitrate


def _cover(work: Work) -> tuple[tuple[Variant, ...], str]:
    if not work.job.recipe.covers:
        return (), ""
    stored = cover(work.descriptor, work.job.mime_type)
    return audio_cover.covers(work, stored) if stored else ((), "")


class _Sound:
    """The pass through the sound. Afterwards `seconds` is how long it is, and `films` are its MP3s."""

    def __init__(self, work: Work, outputs: Sequence[int], course: Course, claimed: float | None) -> None:
        self._work, self._course, self._claimed = work, course, claimed
        asked, there = work.job.recipe.sounds, work.job.there
        missing = [spec for spec in asked.mp3 if spec.code not in there]
        self._outputs = dict(zip((spec.name for spec in missing), outputs, strict=True))
        self._missing, self._kept = missing, set[str]()
        self._behind = self.seconds = 0.0
        self._start()

    def _start(self) -> None:
        asked = self._work.job.recipe.sounds.waveform
        self._peaks = Peaks(asked) if asked is not None else None
        self._loudness: Loudness | None = None
        self._encoders: list[Encoder] = []
        self._faults, self._last = 0, End(self._work.job.mime_type)

    @property
    def films(self) -> tuple[Film, ...]:
        places = {spec.name: place for place, spec in enumerate(self._missing)}
        return tuple(
            Film(name=spec.name, width=0, height=0, place=places.get(spec.name))
            for spec in self._work.job.recipe.sounds.mp3
        )

    def run(self, report: Report) -> tuple[Variant, ...]:
        """The waveform. Raises JobFailed, FFmpegError."""
        work, job = self._work, self._work.job
        self._course.enter("scan", _SCANNED)
        self._kept = {spec.name for spec in self._missing if self._is_one(spec)}
        self._behind = 0.0
        self._course.enter("sound", _SOUNDED)
        steady = self._feed()
        if not self._are_kept(steady):
            self._kept.clear()
            self._start()
            steady = self._feed()
        self.seconds = round(steady.samples / steady.rate, 3)
        if self._faults:
            work.warnings.append(f"{self._faults} parts of the sound are damaged and were left out.")
        work.warnings += what_is_missing(work.descriptor, job.mime_type, self._claimed, steady, self._last)
        work.exif |= self._loudness.fields() if self._loudness is not None else {}
        for film in self.films:
            if film.place is not None:
                report(Finished(film=film))
        if self._peaks is None or job.recipe.sounds.waveform is None:
            return ()
        return audio_waveform.written(job.recipe.sounds.waveform, self._peaks, steady.rate)

    def _are_kept(self, steady: Steady) -> bool:
        """Write what is kept, and play it: what is damaged is to be encoded from what could be decoded."""
        job, seconds = self._work.job, steady.samples / steady.rate
        for name in self._kept:
            output = self._outputs[name]
            audio_mp3.keep(self._work.descriptor, job.mime_type, output, job.limits.file_bytes)
            lasts = audio_mp3.lasts(output)
            if self._faults or lasts is None or abs(lasts - seconds) > _STRAY:
                return False
        return True

    def _is_one(self, spec: SoundSpec) -> bool:
        with opened(self._work.descriptor, self._work.job.mime_type) as source:
            return audio_mp3.is_one(source, spec, self._at)

    def _at(self, seconds: float) -> None:
        if self._claimed:
            self._behind = max(self._behind, seconds / self._claimed)
            self._course.at(self._behind)

    def _feed(self) -> Steady:
        with opened(self._work.descriptor, self._work.job.mime_type) as source:
            return self._pass(source)

    def _pass(self, source: InputContainer) -> Steady:
        stream = sound_stream(source)
        if stream is None:
            raise failures.corrupt(self._work.job.mime_type, "no sound")
        # These tell how much of the last frame is sound; FFmpeg's decoders give all of it.
        ends = self._claimed if self._work.job.mime_type in {"audio/mp4", "audio/wav"} else None
        steady = Steady(self._work.job.mime_type, self._take, ends=ends)
        for packet in self._packets(source, stream):
            try:
                decoded = packet.decode()
            except FFmpegError:
                self._faults += 1
                continue
            for frame in decoded:
                steady.push(frame)
            if steady.rate:
                self._at(steady.samples / steady.rate)
        steady.end()
        if not steady.samples:
            raise failures.truncated("no sound could be decoded")
        self._end()
        return steady

    def _packets(self, source: InputContainer, stream: AudioStream) -> "Iterator[Packet[AudioStream]]":
        """What can be read, at times that go on."""
        mime_type, warnings = self._work.job.mime_type, self._work.warnings
        clock, packets, jumps = Clock(source.format.name, most=_LONGEST_GAP), source.demux(stream), 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except FFmpegError:
                warnings.append(_DAMAGED)
                break
            # Tags and remains of them.
            if (
                mime_type == "audio/mpeg"
                and packet.size
                and not audio_mp3.is_frame(bytes(memoryview(packet)[:4]))
            ):
                continue
            if packet.has_sidedata("encryption_info"):
                raise failures.encrypted()
            jumps += clock.mend(packet)
            self._last.hear(packet)
            yield packet
        if jumps:
            warnings.append(f"The times in the file jump {jumps} times; the sound goes on without a gap.")

    def _take(self, frame: AudioFrame) -> None:
        if self._loudness is None:
            self._begin(frame.sample_rate, frame.layout.name)
        if self._peaks is not None:
            samples = cast("NDArray[Any]", frame.to_ndarray())
            self._peaks.take(samples.reshape(-1, frame.layout.nb_channels))
        for encoder in self._encoders:
            encoder.take(frame)
        if self._loudness is not None:
            self._loudness.take(frame)

    def _begin(self, rate: int, layout: str) -> None:
        limit = self._work.job.limits.file_bytes
        self._loudness = Loudness(rate, layout)
        self._encoders = [
            Encoder(
                spec,
                self._outputs[spec.name],
                rate=rate,
                layout=layout,
                limit=limit,
                programs=self._work.programs,
            )
            for spec in self._missing
            if spec.name not in self._kept
        ]

    def _end(self) -> None:
        if self._peaks is not None:
            self._peaks.end()
        if self._loudness is not None:
            self._loudness.take(None)
        for encoder in self._encoders:
            encoder.take(None)
