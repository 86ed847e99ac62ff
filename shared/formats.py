"""The formats that are known by name: what each is called, and what a file name or a header may call it."""

from functools import cached_property

import msgspec

from shared.events.messages import MediaType
from shared.names import extension

OCTETS = "application/octet-stream"


class Format(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One format. `extensions`: the file names that may carry it, its own first.

    `aliases` are other names of it in a Content-Type; `text` marks a format without magic bytes, which is
    believed when it is claimed and the bytes are text to the last.
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


_ZIP = ("application/zip", "application/x-zip-compressed", "application/x-zip")
_OPENXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"

# Containers overlap in practice: phones name QuickTime .mp4, an .m4a is an MP4 whose brand may be generic, and a .docx
# is a zip. So siblings accept each other's names; what the bytes say decides what the media is.
FORMATS: tuple[Format, ...] = (
    _format("image/jpeg", "image", "jpg jpeg jpe jfif", "image/jpg", "image/pjpeg"),
    _format("image/png", "image", "png apng", "image/x-png", "image/apng"),
    _format("image/gif", "image", "gif"),
    _format("image/webp", "image", "webp"),
    _format("image/tiff", "image", "tif tiff dng", "image/tif", "image/x-tiff", "image/x-adobe-dng"),
    _format("image/bmp", "image", "bmp dib", "image/x-bmp", "image/x-ms-bmp"),
    _format("image/avif", "image", "avif avifs heif hif", "image/avif-sequence", "image/heif"),
    _format(
        "image/heic", "image", "heic heif heics heifs hif",
        "image/heif", "image/heic-sequence", "image/heif-sequence",
    ),
    _format("image/svg+xml", "image", "svg", "image/svg"),
    _format(
        "video/mp4", "video", "mp4 m4v mp4v mov 3gp 3g2 m4a m4b",
        "video/x-m4v", "video/m4v", "application/mp4", "video/quicktime", "video/mov",
        "audio/mp4", "audio/m4a", "audio/x-m4a", "video/3gpp",
    ),
    _format("video/quicktime", "video", "mov qt mp4 m4v", "video/mov", "video/mp4", "video/x-m4v", "video/x-quicktime"),
    _format("video/3gpp", "video", "3gp 3gpp 3g2 mp4", "video/3gpp2", "audio/3gpp", "video/mp4", "video/3gp"),
    _format("video/webm", "video", "webm weba mkv", "audio/webm", "video/x-matroska"),
    _format(
        "video/x-matroska", "video", "mkv mka mk3d webm",
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
    _format(
        "audio/mp4", "audio", "m4a m4b mp4 m4v mov 3gp 3g2",
        "audio/m4a", "audio/x-m4a", "video/mp4", "audio/aac", "application/mp4", "video/quicktime", "video/mov",
        "audio/3gpp", "video/3gpp",
    ),
    _format("audio/webm", "audio", "weba webm mka mkv", "video/webm", "audio/x-matroska"),
    _format("audio/x-matroska", "audio", "mka mkv webm", "audio/matroska", "audio/webm", "video/x-matroska"),
    _format("audio/x-ms-wma", "audio", "wma asf wmv", "audio/wma", "video/x-ms-asf", "video/x-ms-wmv"),
    _format("application/pdf", "document", "pdf", "application/x-pdf"),
    _format(f"{_OPENXML}.wordprocessingml.document", "document", "docx docm dotx dotm zip", *_ZIP),
    _format(f"{_OPENXML}.spreadsheetml.sheet", "document", "xlsx xlsm xlsb xltx xltm zip", *_ZIP),
    _format(f"{_OPENXML}.presentationml.presentation", "document", "pptx pptm ppsx ppsm potx potm zip", *_ZIP),
    _format(f"{_ODF}.text", "document", "odt zip", *_ZIP),
    _format(f"{_ODF}.spreadsheet", "document", "ods zip", *_ZIP),
    _format(f"{_ODF}.presentation", "document", "odp zip", *_ZIP),
    _format("application/msword", "document", "doc dot", "application/vnd.ms-word", "application/x-msword"),
    _format("application/vnd.ms-excel", "document", "xls xlt", "application/msexcel", "application/x-msexcel"),
    _format(
        "application/vnd.ms-powerpoint", "document", "ppt pps pot",
        "application/mspowerpoint", "application/x-mspowerpoint",
    ),
    _format("application/zip", "other", "zip", "application/x-zip-compressed", "application/x-zip"),
    _format("text/plain", "document", "txt text log", text=True),
    _format(
        "text/csv", "document", "csv",
        "application/csv", "text/comma-separated-values", "application/vnd.ms-excel",
        text=True,
    ),
    _format("text/markdown", "document", "md markdown", "text/x-markdown", text=True),
)  # fmt: skip

UNKNOWN = Format(mime=OCTETS, media_type="other", extensions=("bin",))

BY_MIME = {known.mime: known for known in FORMATS}


def _index() -> tuple[dict[str, list[Format]], dict[str, list[Format]]]:
    extensions: dict[str, list[Format]] = {}
    names: dict[str, list[Format]] = {}
    for known in FORMATS:
        for name in known.extensions:
            extensions.setdefault(name, []).append(known)
        for name in (known.mime, *known.aliases):
            names.setdefault(name, []).append(known)
    # First whose own name it is: that is the one that a refusal says was claimed.
    for name, found in extensions.items():
        found.sort(key=lambda known: known.extension != name)
    for name, found in names.items():
        kind = name.partition("/")[0]
        found.sort(key=lambda known: (known.mime != name, known.mime.partition("/")[0] != kind))
    return extensions, names


BY_EXTENSION, BY_NAME = _index()


class _Other(msgspec.Struct, frozen=True, kw_only=True):
    """A format that is not looked for in bytes, but whose name says that a file is not of the ones that are.
    `also`: known formats that may go by this name."""

    mime: str
    extensions: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def _other(mime: str, extensions: str, *aliases: str, also: str = "") -> _Other:
    return _Other(mime=mime, extensions=tuple(extensions.split()), aliases=aliases, also=tuple(also.split()))


# What a browser would render or a machine would run. A picture under such a name is a trap, or soon a victim of one.
_OTHERS: tuple[_Other, ...] = (
    _other("text/html", "html htm shtml mht mhtml"),
    _other("application/xhtml+xml", "xhtml xht"),
    _other("application/xml", "xml xsl xslt", "text/xml", also="image/svg+xml"),
    _other("text/javascript", "js mjs cjs", "application/javascript", "application/x-javascript"),
    _other("text/css", "css"),
    _other("application/json", "json", "text/json"),
    _other("application/x-httpd-php", "php phtml phar php5", "application/x-php", "text/x-php"),
    _other(
        "application/x-msdownload", "exe dll scr msi cpl", "application/vnd.microsoft.portable-executable"
    ),
    _other("application/x-bat", "bat cmd ps1 vbs hta lnk url", "application/x-msdos-program"),
    _other("application/x-sh", "sh bash", "text/x-shellscript", "application/x-shellscript"),
    _other("text/x-python", "py", "text/x-script.python"),
    _other("text/asp", "asp aspx jsp cgi pl rb"),
    _other("application/java-archive", "jar", "application/x-java-archive", also="application/zip"),
)
_OTHER_EXTENSIONS = {name: other for other in _OTHERS for name in other.extensions}
_OTHER_NAMES = {name: other for other in _OTHERS for name in (other.mime, *other.aliases)}


def name_says_other(filename: str, found: Format) -> str | None:
    """What a file name claims by its extension, where that is not what was found."""
    said = extension(filename)
    return _other_than(found, BY_EXTENSION.get(said, []), _OTHER_EXTENSIONS.get(said))


def type_says_other(declared: str, found: Format) -> str | None:
    """The declared type, where it is known and not what was found."""
    return declared if _other_than(found, BY_NAME.get(declared, []), _OTHER_NAMES.get(declared)) else None


def _other_than(found: Format, claimed: list[Format], other: _Other | None) -> str | None:
    # Whoever declares text/plain for a .csv or .md file is not wrong, nor is plain text that is a program, too.
    if claimed and not (found in claimed or (found.text and any(claim.text for claim in claimed))):
        return claimed[0].mime
    if other is not None and found is not UNKNOWN and not found.text and found.mime not in other.also:
        return other.mime
    return None
