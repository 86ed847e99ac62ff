"""libvips closed down: only the loaders and savers named here, no cache, one error for all it may say."""

import gc
import mmap

import pyvips

from services.processor import failures
from services.processor.cut_short import is_cut_short, says_cut_short
from services.processor.frames import Limits

Image = pyvips.Image
Source = pyvips.Source
Operation = pyvips.Operation
VipsError = pyvips.Error
BLOB = pyvips.GValue.blob_type

# The loader is named by us from the sniffed type; libvips never guesses it from the bytes.
LOADERS = {
    "image/jpeg": "jpegload_source",
    "image/png": "pngload_source",
    "image/webp": "webpload_source",
    "image/gif": "gifload_source",
    "image/tiff": "tiffload_source",
    "image/avif": "heifload_source",
}
_ALLOWED = (
    "VipsForeignLoadJpegSource",
    "VipsForeignLoadPngSource",
    "VipsForeignLoadWebpSource",
    "VipsForeignLoadNsgifSource",
    "VipsForeignLoadTiffSource",
    "VipsForeignLoadHeifSource",
    "VipsForeignSaveJpegBuffer",
    "VipsForeignSavePngBuffer",
    "VipsForeignSaveWebpBuffer",
    "VipsForeignSaveHeifBuffer",
)
_USED = (
    *LOADERS.values(),
    *("cast", "colourspace", "copy", "extract_band", "flatten", "flip", "icc_transform", "premultiply"),
    *("resize", "rot", "smartcrop", "unpremultiply", "jpegsave_buffer", "webpsave_buffer", "min"),
)


def close_down() -> None:
    """Block every loader and saver but ours, turn the cache off, and learn the operations' arguments.

    Runs before any fork: it sets flags and reads descriptions. An operation that really runs would start
    threads in the parent, and every child forked afterwards would hang.
    """
    pyvips.operation_block_set("VipsForeign", state=True)
    for name in _ALLOWED:
        pyvips.operation_block_set(name, state=False)
    pyvips.cache_set_max(0)
    for name in _USED:
        pyvips.Introspect.get(name)
    gc.collect()


# libvips tells its errors apart by text only.
_OUT_OF_MEMORY = (
    "out of memory",
    "unable to allocate",
    "memory allocation",
    "insufficient memory",
    "cannot allocate",
)


def verdict(text: str, mime_type: str, view: mmap.mmap, limits: Limits) -> failures.Failure:
    """What an error of libvips says about the file whose bytes are in `view`."""
    log = text[-2000:]
    said = log.lower()
    if any(words in said for words in _OUT_OF_MEMORY):
        return failures.out_of_memory(limits.memory_bytes, log)
    if says_cut_short(log) or is_cut_short(mime_type, view):
        return failures.truncated(log).failure
    return failures.corrupt(mime_type, log).failure
