"""The still part of a video: poster and thumbnails, the storyboard with its WebVTT, and what makes it findable."""

import mmap
from functools import partial

import numpy as np
from PIL import Image as PillowImage

from services.processor import failures
from services.processor.frames import Variant
from services.processor.ladder import Ladder
from services.processor.steps.fingerprint import fingerprint
from services.processor.steps.variants import Press
from services.processor.video_progress import Course
from services.processor.video_shape import Look
from services.processor.video_stills import (
    SAMPLE_SIDE,
    SAMPLES,
    Pixels,
    Still,
    are_close,
    at,
    board_times,
    poster_at,
    sample_times,
)
from services.processor.vips import Image
from services.processor.work import Work
from shared.film_recipes import Storyboard

_JPEG = "image/jpeg"
_MIDDLE = 320  # pixels of what smaller pictures are made of
VTT = "text/vtt"


def pictures(work: Work, look: Look, duration: float | None, course: Course) -> bool:
    """Fill in `variants`, `fingerprint` and the sides of the poster's ladder, and tell whether every picture of the
    video was decoded for that. Raises JobFailed, FFmpegError."""
    board = work.job.recipe.films.storyboard
    wanted = _wanted(duration, board)
    whole = are_close([time for time, _ in wanted], duration)
    collect = partial(_collected, work, look, wanted, board, course, every=whole)
    poster, samples, tiles, faults = collect(threads=work.job.threads)
    if faults and work.job.threads > 1:
        # Several threads guess what is missing in another way each time.
        poster, samples, tiles, faults = collect(threads=1)
    if faults:
        work.warnings.append("Parts of the video are damaged.")
    work.ladder = Ladder(_image(poster), width=poster.shape[1], height=poster.shape[0])
    press = Press(work.ladder, _JPEG)
    made = [press.make(spec) for spec in work.job.recipe.posters]
    if board is not None and tiles and duration is not None:
        made += storyboard(board, tiles, duration)
    work.variants = tuple(made)
    _identify(work, samples)
    return whole


def _wanted(duration: float | None, board: Storyboard | None) -> list[tuple[float, str]]:
    """The moments that are looked at, in order, and what for."""
    wanted = [(poster_at(duration), "poster")]
    if duration is not None:
        wanted += [(time, "sample") for time in sample_times(duration)]
        wanted += [(time, "tile") for time in board_times(board, duration)] if board else []
    return sorted(wanted)


def _collected(
    work: Work,
    look: Look,
    wanted: list[tuple[float, str]],
    board: Storyboard | None,
    course: Course,
    *,
    threads: int,
    every: bool,
) -> tuple[Pixels, list[Pixels], list[Pixels], list[str]]:
    """The poster, the samples, the storyboard's pictures and what was damaged, in one pass through the video; `every`
    picture of it is decoded."""
    largest = max(work.job.recipe.posters, key=lambda spec: spec.width * spec.height, default=None)
    box = (largest.width, largest.height) if largest else (SAMPLE_SIDE, SAMPLE_SIDE)
    whole = Still(look, width=max(box[0], _MIDDLE), height=max(box[1], _MIDDLE), threads=threads)
    # The table by which HDR becomes SDR takes seconds to make, so there is one.
    middle = whole if look.hdr else Still(look, width=_MIDDLE, height=_MIDDLE, threads=threads)
    found: dict[str, list[Pixels]] = {"poster": [], "sample": [], "tile": []}
    still = {"poster": whole, "sample": middle, "tile": middle}
    tile_box = (board.width, board.height) if board else (_MIDDLE, _MIDDLE)
    sides = {
        "sample": look.within(SAMPLE_SIDE, SAMPLE_SIDE, even=False),
        "tile": look.within(*tile_box, even=False),
    }
    faults: list[str] = []
    times = [time for time, _ in wanted]
    shown = at(work.descriptor, work.job.mime_type, times, faults, threads=threads, whole=every)
    for number, ((_, kind), (_, frame)) in enumerate(zip(wanted, shown, strict=False)):
        pixels = still[kind].of(frame)
        found[kind].append(_shrunk(pixels, sides[kind]) if kind in sides else pixels)
        course.at(number / len(wanted))
    for _ in shown:  # what comes after the last
        continue
    if not found["poster"]:
        raise failures.truncated("no picture could be decoded")
    return found["poster"][0], found["sample"] or found["poster"], found["tile"], faults


def _shrunk(pixels: Pixels, sides: tuple[int, int]) -> Pixels:
    return np.asarray(PillowImage.fromarray(pixels).resize(sides, PillowImage.Resampling.BOX))


def storyboard(board: Storyboard, tiles: list[Pixels], duration: float) -> list[Variant]:
    """The sprite and the WebVTT that says which part of it shows when."""
    height, width, _ = tiles[0].shape
    columns = min(board.columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    cues = ["WEBVTT"]
    for number, tile in enumerate(tiles):
        left, top = number % columns * width, number // columns * height
        sheet[top : top + height, left : left + width] = tile
        begin, end = duration * number / len(tiles), duration * (number + 1) / len(tiles)
        cues.append(
            f"{_clock(begin)} --> {_clock(end)}\n"
            f"{board.name}?v={board.hash}#xywh={left},{top},{width},{height}"
        )
    body = bytes(_image(sheet).jpegsave_buffer(Q=board.quality, keep="none"))
    sides = {"width": sheet.shape[1], "height": sheet.shape[0]}
    text = ("\n\n".join(cues) + "\n").encode()
    return [
        Variant(name=board.name, mime_type=_JPEG, spec=board.hash, body=body, **sides),
        Variant(
            name=f"{board.name}_vtt", mime_type=VTT, spec=board.hash, body=text, width=width, height=height
        ),
    ]


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}"
        f":{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}"
    )


def _identify(work: Work, samples: list[Pixels]) -> None:
    """Hashes of what the video looks like on average over its time, which cuts, encodings and sizes hardly change;
    colours and placeholder are the poster's, which is what is shown."""
    fingerprint(work)
    shown = work.fingerprint
    if len(samples) < SAMPLES:
        return
    average = np.mean(np.stack(samples), axis=0).round().astype(np.uint8)
    mean = Work(job=work.job, descriptor=work.descriptor, view=mmap.mmap(-1, 1))
    mean.width, mean.height = work.width, work.height
    mean.ladder = Ladder(_image(average), width=average.shape[1], height=average.shape[0])
    fingerprint(mean)
    work.fingerprint = mean.fingerprint
    work.fingerprint.colours, work.fingerprint.placeholder = shown.colours, shown.placeholder
    work.fingerprint.colour_hash = shown.colour_hash


def _image(pixels: Pixels) -> Image:
    height, width, bands = pixels.shape
    image = Image.new_from_memory(np.ascontiguousarray(pixels).tobytes(), width, height, bands, "uchar")
    return image.copy(interpretation="srgb").copy_memory()
