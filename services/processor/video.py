"""The video pipeline inside the child: look, pictures, films. What is small goes up with the result."""

import os
from collections.abc import Sequence

import msgspec

from services.processor import failures, pipeline, video_pictures, video_whole
from services.processor.film_steps import Report, step, warnings_of
from services.processor.frames import Film, Finished, Result
from services.processor.video_check import plays
from services.processor.video_film import Filming
from services.processor.video_hls import playlist
from services.processor.video_probe import Facts, duration_of, facts
from services.processor.video_progress import Course
from services.processor.video_shape import Look, look_of
from services.processor.video_source import frames, opened, picture_stream
from services.processor.work import Work

_LOOKED, _PICTURED, _FILMED = 2.0, 15.0, 90.0  # percent of the whole job that are behind then
_DAMAGED = "Parts of the video are damaged and were left out."
_ALLOWED_GAP = 1.0  # seconds, and a twentieth, by which a film may be shorter than its source claims


def run(work: Work, outputs: Sequence[int], report: Report) -> Result:
    """All that the recipe makes of a video. `outputs`: a file for each of its films that is not there already.

    Raises JobFailed with the verdict, MemoryError.
    """
    course = Course(report)
    with step(work, "probe", report):
        course.enter("probe", _LOOKED)
        told, look = _look(work)
    if look is None:
        work.warnings.append("There are no moving pictures in this file that can be decoded.")
        return _without_pictures(work, told)
    with step(work, "pictures", report):
        course.enter("pictures", _PICTURED)
        seen = video_pictures.pictures(work, look, told.duration, course)
    with step(work, "films", report):
        filming = _filming(work, look, told.duration, course)
        films, duration = _films(work, filming, outputs, course, report, seen=seen)
    if video_whole.is_cut(work.descriptor, work.job.mime_type):
        work.warnings.append(video_whole.CUT)
    work.warnings = warnings_of(work)
    kept = tuple(film.code for film in work.job.recipe.films.all if film.code in work.job.there)
    return msgspec.structs.replace(
        pipeline.result_of(work),
        duration=duration,
        bitrate=told.bitrate,
        films=films,
        kept=(*work.kept, *kept),
    )


def _look(work: Work) -> tuple[Facts, Look | None]:
    """What it is; None where there is no picture in it."""
    size = os.fstat(work.descriptor).st_size
    with opened(work.descriptor, work.job.mime_type) as source:
        stream = picture_stream(source)
        if stream is None:
            if not source.streams.audio:
                raise failures.corrupt(work.job.mime_type, "no stream that can be decoded")
            told = facts(source, None, None, size=size)
            work.exif, work.taken_at = told.fields, told.taken_at
            return told, None
        limits = work.job.limits
        if stream.width * stream.height > limits.pixels:
            raise failures.too_many_pixels(stream.width, stream.height, limits.pixels)
        faults: list[str] = []
        first = next(frames(source, stream, faults), None)
        if first is None and faults:
            raise failures.corrupt(work.job.mime_type, faults[0])
        if first is None:
            raise failures.truncated("no picture could be decoded")
        if first.width * first.height > limits.pixels:
            raise failures.too_many_pixels(first.width, first.height, limits.pixels)
        look = look_of(first, stream)
        told = facts(source, stream, look, size=size)
    work.width, work.height = look.shown
    work.exif, work.taken_at = told.fields, told.taken_at
    return told, look


def _filming(work: Work, look: Look, duration: float | None, course: Course) -> Filming:
    return Filming(
        descriptor=work.descriptor,
        mime_type=work.job.mime_type,
        look=look,
        duration=duration,
        limit=work.job.limits.file_bytes,
        threads=work.job.threads,
        warnings=work.warnings,
        on_time=course.at,
        programs=work.programs,
    )


def _films(
    work: Work, filming: Filming, outputs: Sequence[int], course: Course, report: Report, *, seen: bool
) -> tuple[tuple[Film, ...], float | None]:
    """Each film of the recipe, told as soon as it is whole; and how long the video is. `seen`: every picture of it was
    decoded before."""
    films, wanted = [], work.job.recipe.films.all
    places = iter(range(len(outputs)))
    duration = filming.duration
    for number, spec in enumerate(wanted, 1):
        course.enter(f"film {spec.name}", _PICTURED + (_FILMED - _PICTURED) * number / len(wanted))
        width, height = filming.sides(spec)
        place = None if spec.code in work.job.there else next(places)
        film = Film(name=spec.name, width=width, height=height, place=place)
        if place is not None:
            filming.make(spec, outputs[place])
            threads = work.job.threads
            if filming.copied and not plays(outputs[place], filming.duration, threads=threads, seen=seen):
                work.warnings.append(_DAMAGED)
                filming.make(spec, outputs[place])  # now from what can be decoded
            duration = _checked(work, outputs[place], filming.duration)
            told = playlist(outputs[place], spec) if spec.fragmented else b""
            report(Finished(film=film, playlist=told))
        films.append(film)
    return tuple(films), duration


def _checked(work: Work, film: int, claimed: float | None) -> float | None:
    """How long the film is, in seconds: what a source says of itself may count its subtitles."""
    with opened(film, "video/mp4") as made:
        found = duration_of(made, None)
    if claimed is not None and found is not None and claimed - found > max(_ALLOWED_GAP, claimed / 20):
        work.warnings.append(
            f"The file says that it lasts {claimed:g} seconds; only {found:g} could be read."
        )
    return found or claimed


def _without_pictures(work: Work, told: Facts) -> Result:
    return Result(
        width=0,
        height=0,
        exif=work.exif,
        taken_at=work.taken_at,
        phash="",
        dhash="",
        degenerate=True,
        placeholder="",
        variants=(),
        warnings=tuple(work.warnings),
        timings=work.timings,
        duration=told.duration,
        bitrate=told.bitrate,
    )
