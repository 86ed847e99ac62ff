"""Pictures of a video: the one that stands for it, those of its storyboard, and what they look like on average."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from services.processor.video_shape import Look, Shaper
from services.processor.video_source import frames, opened, picture_stream
from shared.film_recipes import Storyboard

SAMPLES = 16
"""Pictures, evenly spread, whose average is what near-duplicates are found by."""
_POSTER_AT = 1.0  # second; in the middle of what is shorter than two of them
SAMPLE_SIDE = 64
_NEAR = 4.0  # seconds that are decoded rather than jumped over
_MOST_DECODED = 1200  # pictures on the way to one that is asked for: twenty seconds at 60 a second

Pixels = NDArray[np.uint8]


def poster_at(duration: float | None) -> float:
    """Seconds from the beginning."""
    return _POSTER_AT if duration is None or duration >= 2 * _POSTER_AT else duration / 2


def board_times(board: Storyboard, duration: float) -> list[float]:
    """The middle of each span that one picture of the storyboard stands for."""
    count = max(1, min(board.most, round(duration / board.every)))
    return [duration * (place + 0.5) / count for place in range(count)]


def sample_times(duration: float) -> list[float]:
    return [duration * (place + 0.5) / SAMPLES for place in range(SAMPLES)]


def are_close(times: list[float], duration: float | None) -> bool:
    """Whether all of the video is decoded on the way to these times, but for what comes after the last of them."""
    ends = zip([0.0, *times], [*times, duration], strict=True)
    return all(after is not None and after - before <= _NEAR for before, after in ends)


def at(
    descriptor: int, mime_type: str, times: list[float], faults: list[str], *, threads: int, whole: bool
) -> Iterator[tuple[float, VideoFrame]]:
    """For each of the sorted times, in seconds from the beginning, the picture that is shown then, or the nearest that
    could be decoded. Every time that can be answered at all is. `whole`: every picture is decoded, to the end."""
    with opened(descriptor, mime_type) as source:
        stream = picture_stream(source)
        if stream is None:
            return
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        origin = (source.start_time or 0) / 1_000_000
        coming = frames(source, stream, faults)
        shown: VideoFrame | None = None
        can_jump = not whole
        for time in times:
            before = shown
            ahead = time - (shown.time - origin) if shown is not None and shown.pts is not None else time
            if can_jump and ahead > _NEAR and not _lasts(shown, time + origin):
                try:
                    source.seek(int((time + origin) * 1_000_000))
                    coming, before = frames(source, stream, faults), None
                except FFmpegError:
                    can_jump = False
            found, coming = _until(coming, time + origin, before)
            shown = shown if found is None else found
            if shown is None:
                return
            yield time, shown
        if whole:
            for _ in coming:
                continue


def _until(
    coming: Iterator[VideoFrame], moment: float, shown: VideoFrame | None
) -> tuple[VideoFrame | None, Iterator[VideoFrame]]:
    """The last picture that begins before `moment`, or the first there is, and those that come after it. What is
    `shown` stays for as long as it lasts: several moments may be those of one picture."""
    if _lasts(shown, moment):
        return shown, coming
    for count, frame in enumerate(coming):
        if frame.pts is None or count >= _MOST_DECODED:
            return frame, coming
        if shown is not None and shown.pts is not None and frame.time > moment:
            return shown, chain([frame], coming)
        shown = frame
        if _lasts(frame, moment):
            break
    return shown, coming


def _lasts(frame: VideoFrame | None, moment: float) -> bool:
    if frame is None or frame.pts is None:
        return False
    return frame.time + float(frame.duration * Fraction(frame.time_base or 0)) > moment


class Still:
    """Frames as arrays of RGB, at most `width` x `height`."""

    def __init__(self, look: Look, *, width: int, height: int, threads: int) -> None:
        self.sides = look.within(width, height, even=False)
        self._look, self._threads = look, threads
        self._shaper: Shaper | None = None

    def of(self, frame: VideoFrame) -> Pixels:
        """Of shape (height, width, 3)."""
        if self._shaper is None:
            width, height = self.sides
            self._shaper = Shaper(
                self._look, width=width, height=height, pixels="rgb24", threads=self._threads
            )
        pixels: Pixels = self._shaper.shape(frame).to_ndarray()  # type: ignore[assignment]
        return pixels
