"""Pictures of a video: the one that stands for it, those of its storyboard, and what they look like on average."""

from collections.abc import Iterator

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


def at(
    descriptor: int, mime_type: str, times: list[float], faults: list[str], *, threads: int
) -> Iterator[tuple[float, VideoFrame]]:
    """For each of the sorted times, in seconds from the beginning, the picture that is shown then, or the nearest that
    could be decoded. Every time that can be answered at all is."""
    with opened(descriptor, mime_type) as source:
        stream = picture_stream(source)
        if stream is None:
            return
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        origin = (source.start_time or 0) / 1_000_000
        coming = frames(source, stream, faults)
        shown: VideoFrame | None = None
        can_jump = True
        for time in times:
            ahead = time - (shown.time - origin) if shown is not None and shown.pts is not None else time
            if can_jump and ahead > _NEAR:
                try:
                    source.seek(int((time + origin) * 1_000_000))
                    coming = frames(source, stream, faults)
                except FFmpegError:
                    can_jump = False
            shown = _until(coming, time + origin, shown)
            if shown is None:
                return
            yield time, shown


def _until(coming: Iterator[VideoFrame], moment: float, shown: VideoFrame | None) -> VideoFrame | None:
    """The last picture that begins before `moment`, or the first there is."""
    for count, frame in enumerate(coming):
        before = shown
        shown = frame
        if frame.pts is None or count >= _MOST_DECODED:
            return frame
        duration = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        if frame.time + duration > moment:
            return frame if before is None or frame.time <= moment or count == 0 else before
    return shown


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
