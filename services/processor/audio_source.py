"""Sound as it is read: the demuxer named from what was sniffed, codecs from a list, no picture and no other file."""

import contextlib
from collections.abc import Iterator
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from services.processor import failures
from services.processor.video_source import MOST_STREAMS, SOUNDS, Reader

DEMUXERS = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/mp4": "mov",
    "audio/webm": "matroska",
    "audio/x-matroska": "matroska",
    "audio/x-ms-wma": "asf",
}
MOST_COVER = 16 * 1024 * 1024  # bytes
_LONGEST_LOOK = 10_000_000  # microseconds, and half as many bytes
_OPTIONS = {
    "protocol_whitelist": "none",
    "format_whitelist": "mp3,wav,ogg,flac,aac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf",
    "codec_whitelist": ",".join(sorted(SOUNDS)),
    "max_streams": str(MOST_STREAMS),
    "probesize": str(_LONGEST_LOOK // 2),
    "analyzeduration": str(_LONGEST_LOOK),
    "fflags": "+genpts",
}
_BUFFER = 256 * 1024


def _refuse(url: str, flags: int, options: dict[str, Any]) -> Any:  # noqa: ARG001 - the signature is PyAV's
    raise PermissionError(f"a sound may open no other file: {url[:100]!r}")


@contextlib.contextmanager
def opened(descriptor: int, mime_type: str) -> Iterator[InputContainer]:
    """The sound from its beginning. Raises JobFailed, and FFmpegError for what the demuxer cannot read."""
    if mime_type not in DEMUXERS:
        raise failures.unsupported(mime_type, tuple(DEMUXERS))
    try:
        container = av.open(
            Reader(descriptor),
            "r",
            format=DEMUXERS[mime_type],
            container_options=_OPTIONS,
            # Nobody names the encoding: the bytes are wanted as they are.
            metadata_errors="surrogateescape",
            buffer_size=_BUFFER,
            io_open=_refuse,
        )
    except MemoryError as error:  # which is what the limit of streams becomes
        raise failures.too_many_streams(MOST_STREAMS) from error
    with container:
        yield container


def cover(descriptor: int, mime_type: str) -> bytes | None:
    """The first picture that goes with the sound, as it is stored. Raises FFmpegError, JobFailed."""
    with opened(descriptor, mime_type) as source:
        for stream in source.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                continue
            packet = next(source.demux(stream), None)
            return bytes(packet) if packet is not None and 0 < packet.size <= MOST_COVER else None
    return None
