"""Whether a file moves: it has frames, or an APNG says that it has, besides the one that a still variant keeps."""

import mmap
from itertools import takewhile

from services.processor.png_chunks import chunks
from services.processor.vips import Image

_FRAMES = "n-pages"  # also TIFF and HEIF have it, for pages that are no frames


def is_animated(mime_type: str, header: Image, view: mmap.mmap) -> bool:
    """For GIF, WebP, APNG and AVIF sequences. `header` is the file opened by libvips, `view` its bytes."""
    if mime_type in {"image/gif", "image/webp"}:
        return bool(header.get_typeof(_FRAMES)) and header.get(_FRAMES) > 1
    if mime_type == "image/png":  # of which libvips reads one picture and says nothing of others
        before_pixels = takewhile(lambda kind: kind != b"IDAT", (kind for kind, _ in chunks(view)))
        return b"acTL" in before_pixels
    return mime_type == "image/avif" and view[4:12] == b"ftypavis"
