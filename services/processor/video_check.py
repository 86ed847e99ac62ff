"""Whether a film that was copied plays: nobody has decoded yet what it is made of."""

from av.error import FFmpegError
from av.frame import Frame

from services.processor.video_source import opened, picture_stream, sound_stream

LONGEST_WHOLE = 300.0  # seconds; of a longer film all sound is decoded, and the pictures that need no other


def plays(film: int, duration: float | None, *, threads: int, seen: bool = False) -> bool:
    """Decodes the film in the file `film`, which lasts `duration` seconds, to its end. `seen`: each of its pictures was
    decoded already, so those that need no other show that they are in it."""
    with opened(film, "video/mp4") as container:
        pictures, sound = picture_stream(container), sound_stream(container)
        if pictures is not None:
            pictures.thread_type, pictures.codec_context.thread_count = "AUTO", threads
            if seen or duration is None or duration > LONGEST_WHOLE:
                pictures.codec_context.skip_frame = "NONKEY"
        tracks = [track for track in (pictures, sound) if track is not None]
        if not tracks:
            return True
        try:
            for packet in container.demux(*tracks):
                if any(isinstance(frame, Frame) and frame.is_corrupt for frame in packet.decode()):
                    return False
        except FFmpegError:
            return False
    return True
