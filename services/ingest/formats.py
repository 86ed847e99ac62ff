"""The formats that ingest knows by name: what each is called, and what a file name or a header may call it."""

from functools import cached_property

import msgspec

from shared.events.messages import MediaType

OCTETS = "application/octet-stream"


class Format(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One format. `extensions`: the file names that may carry it, its own first.

    `aliases` are other names of it in a Content-Type; `text` marks a format without magic bytes, which is
    believed when it is claimed and the bytes are UTF-8.
    """

    mime: str
    media_type: MediaType
    extensions: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    text: bool = False

    @property
    def extension(self) -> str:
        return self.extensions[0]

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset((self.mime, *self.aliases))


def _format(mime: str, media_type: MediaType, extensions: str, *aliases: str, text: bool = False) -> Format:
    return Format(
        mime=mime, media_type=media_type, extensions=tuple(extensions.split()), aliases=aliases, text=text
    )


# Containers overlap in practice: phones name QuickTime .mp4, and an .m4a is an MP4 whose brand may be generic.
# So siblings accept each other's names; what the bytes say decides what the media is.
FORMATS: tuple[Format, ...] = (
    _format("image/jpeg", "image", "jpg jpeg jpe jfif", "image/jpg", "image/pjpeg"),
    _format("image/png", "image", "png apng", "image/x-png", "image/apng"),
    _format("image/gif", "image", "gif"),
    _format("image/webp", "image", "webp"),
    _format("image/tiff", "image", "tif tiff dng", "image/tif", "image/x-tiff", "image/x-adobe-dng"),
    _format("image/bmp", "image", "bmp dib", "image/x-bmp", "image/x-ms-bmp"),
    _format("image/avif", "image", "avif avifs", "image/avif-sequence", "image/heif"),
    _format(
        "image/heic", "image", "heic heif heics heifs hif",
        "image/heif", "image/heic-sequence", "image/heif-sequence",
    ),
    _format("image/svg+xml", "image", "svg", "image/svg"),
    _format(
        "video/mp4", "video", "mp4 m4v mp4v mov 3gp 3g2 m4a",
        "video/x-m4v", "video/m4v", "application/mp4", "video/quicktime", "video/mov",
        "audio/mp4", "audio/m4a", "audio/x-m4a", "video/3gpp",
    ),
    _format("video/quicktime", "video", "mov qt mp4 m4v", "video/mov", "video/mp4", "video/x-m4v", "video/x-quicktime"),
    _format("video/3gpp", "video", "3gp 3gpp 3g2 mp4", "video/3gpp2", "audio/3gpp", "video/mp4", "video/3gp"),
    _format("video/webm", "video", "webm weba mkv", "audio/webm", "video/x-matroska"),
    _format(
        "video/x-matroska", "video", "mkv mka mk3d",
        "video/matroska", "audio/x-matroska", "video/mkv", "video/webm",
    ),
    _format("video/x-msvideo", "video", "avi", "video/avi", "video/msvideo", "video/vnd.avi"),
    _format("video/x-flv", "video", "flv", "video/flv"),
    _format("video/x-ms-wmv", "video", "wmv asf wma", "video/x-ms-asf", "audio/x-ms-wma", "video/wmv"),
    _format("video/mpeg", "video", "mpg mpeg mpe m2v vob", "video/mpg", "video/x-mpeg", "video/mp2p"),
    _format("video/mp2t", "video", "ts m2ts mts", "video/vnd.dlna.mpeg-tts", "text/vnd.trolltech.linguist"),
    _format("video/ogg", "video", "ogv ogg", "audio/ogg", "application/ogg"),
    _format("audio/mpeg", "audio", "mp3 mpga mp2", "audio/mp3", "audio/x-mp3", "audio/x-mpeg", "audio/mpeg3"),
    _format("audio/wav", "audio", "wav wave", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav"),
    _format("audio/ogg", "audio", "ogg oga opus spx", "audio/opus", "audio/vorbis", "application/ogg", "video/ogg"),
    _format("audio/flac", "audio", "flac", "audio/x-flac"),
    _format("audio/aac", "audio", "aac adts", "audio/x-aac", "audio/aacp", "audio/vnd.dlna.adts"),
    _format("audio/mp4", "audio", "m4a m4b mp4", "audio/m4a", "audio/x-m4a", "video/mp4", "audio/aac"),
    _format("application/pdf", "document", "pdf", "application/x-pdf"),
    _format("application/zip", "other", "zip", "application/x-zip-compressed", "application/x-zip"),
    _format("text/plain", "document", "txt text log", text=True),
    _format("text/csv", "document", "csv", "application/csv", "text/comma-separated-values", text=True),
    _format("text/markdown", "document", "md markdown", "text/x-markdown", text=True),
)  # fmt: skip

UNKNOWN = Format(mime=OCTETS, media_type="other", extensions=("bin",))

BY_MIME = {known.mime: known for known in FORMATS}


def _index() -> tuple[dict[str, list[Format]], dict[str, list[Format]]]:
    extensions: dict[str, list[Format]] = {}
    names: dict[str, list[Format]] = {}
    for known in FORMATS:
        for extension in known.extensions:
            extensions.setdefault(extension, []).append(known)
        for name in (known.mime, *known.aliases):
            names.setdefault(name, []).append(known)
    return extensions, names


BY_EXTENSION, BY_NAME = _index()
