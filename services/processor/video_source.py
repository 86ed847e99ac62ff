"""A video as it is read: the demuxer named from what was sniffed, codecs from a list, and nothing but the one file."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import av
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.processor import failures

DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/3gpp": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "asf",
    "video/mpeg": "mpeg",
    "video/mp2t": "mpegts",
    "video/ogg": "ogg",
}
PICTURES = frozenset(
    (
        *("h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vp8", "vp9", "libvpx", "libvpx-vp9", "av1"),
        *("libdav1d", "h263", "h263i", "flv", "wmv1", "wmv2", "wmv3", "vc1", "msmpeg4", "msmpeg4v1"),
        *(
            "msmpeg4v2",
            "msmpeg4v3",
            "theora",
            "mjpeg",
            "prores",
            "dnxhd",
            "dvvideo",
            "vp6",
            "vp6f",
            "rawvideo",
        ),
    )
)
SOUNDS = frozenset(
    (
        *(
            "aac",
            "mp3float",
            "mp3",
            "mp2float",
            "mp2",
            "ac3",
            "eac3",
            "opus",
            "libopus",
            "vorbis",
            "flac",
            "alac",
        ),
        *("wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "speex"),
        *("amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb"),
        *(
            "pcm_s16le",
            "pcm_s16be",
            "pcm_u8",
            "pcm_s24le",
            "pcm_s24be",
            "pcm_s32le",
            "pcm_s32be",
            "pcm_f32le",
        ),
        *("pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ima_qt"),
        *("adpcm_ms", "adpcm_swf", "nellymoser", "dca"),
    )
)
MOST_STREAMS = 64
_LONGEST_LOOK = (
    10_000_000  # microseconds, and half as many bytes, in which streams must make themselves known
)
_BUFFER = 256 * 1024
_OPTIONS = {
    "protocol_whitelist": "none",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegvideo,mpegts,ogg",
    "codec_whitelist": ",".join(sorted(PICTURES | SOUNDS)),
    "max_streams": str(MOST_STREAMS),
    "probesize": str(_LONGEST_LOOK // 2),
    "analyzeduration": str(_LONGEST_LOOK),
    "fflags": "+genpts+discardcorrupt",
}
GUESSED = "a picture was guessed in part"
_ELEMENTARY = b"\x00\x00\x01\xb3"  # a sequence header where a pack of a program stream would be


class Reader:
    """The original from its descriptor, at a place of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._place = descriptor, 0

    def read(self, size: int) -> bytes:
        found = os.pread(self._descriptor, size, self._place)
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: os.fstat(self._descriptor).st_size}
        self._place = base[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place


def _refuse(url: str, flags: int, options: dict[str, Any]) -> Any:  # noqa: ARG001 - the signature is PyAV's
    raise PermissionError(f"a video may open no other file: {url[:100]!r}")


def demuxer(mime_type: str, descriptor: int) -> str:
    """Raises JobFailed for a type that is no video of ours."""
    if mime_type not in DEMUXERS:
        raise failures.unsupported(mime_type, tuple(DEMUXERS))
    if mime_type == "video/mpeg" and os.pread(descriptor, 4, 0) == _ELEMENTARY:
        return "mpegvideo"
    return DEMUXERS[mime_type]


@contextlib.contextmanager
def opened(descriptor: int, mime_type: str) -> Iterator[InputContainer]:
    """The video from its beginning. Raises JobFailed, and FFmpegError for what the demuxer cannot read."""
    try:
        container = av.open(
            Reader(descriptor),
            "r",
            format=demuxer(mime_type, descriptor),
            container_options=_OPTIONS,
            metadata_errors="replace",
            buffer_size=_BUFFER,
            io_open=_refuse,
        )
    except MemoryError as error:  # which is what the limit of streams becomes
        raise failures.too_many_streams(MOST_STREAMS) from error
    with container:
        yield container


def _decoder(stream: VideoStream | AudioStream) -> str:
    # PyAV has no context for what it has no decoder for, whatever its types say.
    context: CodecContext | None = stream.codec_context
    return context.name if context is not None else ""


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The first one that there is a decoder for."""
    return next((stream for stream in container.streams.audio if _decoder(stream) in SOUNDS), None)


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures that there is a decoder for; a cover is none."""
    for stream in container.streams.video:
        is_cover = stream.disposition & Disposition.attached_pic
        if _decoder(stream) in PICTURES and not is_cover:
            return stream
    return None


def frames(container: InputContainer, stream: VideoStream, faults: list[str]) -> Iterator[VideoFrame]:
    """Every picture that can be decoded. What is damaged is left out, or is as good as the decoder could guess, and is
    noted in `faults`. Raises JobFailed for what is encrypted, which decoders take for damage."""
    if "enc_key_id" in stream.metadata:  # which is how Matroska tells it
        raise failures.encrypted()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:
            faults.append(str(error))
            return
        if packet.has_sidedata("encryption_info"):
            raise failures.encrypted()
        try:
            for frame in packet.decode():
                if frame.is_corrupt:
                    faults.append(GUESSED)
                yield frame
        except FFmpegError as error:
            faults.append(str(error))
            if packet.dts is None and packet.size == 0:
                return
