"""Sound as it is read: the demuxer named from what was sniffed, codecs from a list, no picture and no other file."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import av
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition

from services.processor import failures
from services.processor.video_source import MOST_STREAMS, SOUNDS, Reader, sound_stream

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
_NAMES = (
    *("MP3", "MP2", "AAC", "Opus", "Vorbis", "FLAC", "ALAC", "WMA", "AC-3", "E-AC-3", "DTS", "AMR", "Speex"),
    *("Nellymoser", "PCM", "ADPCM"),
)
_ADIF = (
    b"ADIF"  # AAC behind one header at the beginning; its frames tell no length, and FFmpeg does not read it
)
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
    if mime_type == "audio/aac" and os.pread(descriptor, len(_ADIF), 0) == _ADIF:
        raise failures.no_decoder("AAC with an ADIF header (ADTS is read)", _NAMES)
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


def to_hear(container: InputContainer, mime_type: str) -> AudioStream:
    """The first sound that there is a decoder for. Raises JobFailed."""
    if not container.streams.audio:
        raise failures.corrupt(mime_type, "no sound")
    found = sound_stream(container)
    if found is None:
        # PyAV has no context, and no name, for what it has no decoder for.
        context: CodecContext | None = container.streams.audio[0].codec_context
        codec = context.codec.canonical_name if context is not None else "of a codec that nobody here knows"
        raise failures.no_decoder(codec, _NAMES)
    return found


def cover(descriptor: int, mime_type: str) -> bytes | None:
    """The first picture that goes with the sound, as it is stored. Raises FFmpegError, JobFailed."""
    with opened(descriptor, mime_type) as source:
        for stream in source.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                continue
            packet = next(source.demux(stream), None)
            return bytes(packet) if packet is not None and 0 < packet.size <= MOST_COVER else None
    return None
