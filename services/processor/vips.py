"""libvips closed down: only the loaders and savers named here, no cache, one error for all it may say."""

import gc
import mmap

import pyvips

from services.processor import failures, symptoms
from services.processor.cut_short import is_cut_short
from services.processor.frames import Limits

Image = pyvips.Image
Region = pyvips.Region
Source = pyvips.Source
Operation = pyvips.Operation
VipsError = pyvips.Error
BLOB = pyvips.GValue.blob_type
INTEGER = pyvips.GValue.gint_type
INTEGERS = pyvips.GValue.array_int_type

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
    *(
        "arrayjoin",
        "cast",
        "colourspace",
        "copy",
        "extract_area",
        "extract_band",
        "flatten",
        "flip",
        "icc_transform",
        "premultiply",
    ),
    *(
        "resize",
        "rot",
        "smartcrop",
        "unpremultiply",
        "jpegsave_buffer",
        "pngsave_buffer",
        "webpsave_buffer",
        "min",
    ),
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


def verdict(text: str, mime_type: str, view: mmap.mmap, limits: Limits) -> failures.Failure:
    """What the text of a libvips error says about the file whose bytes are in `view`."""
    log = text[-2000:]
    if symptoms.says_starved(log):
        return failures.out_of_memory(limits.memory_bytes, log)
    if symptoms.says_cut_short(log) or is_cut_short(mime_type, view):
        return failures.truncated(log).failure
    if symptoms.says_unsupported(log):
        return failures.unsupported_feature(mime_type, log).failure
    return failures.corrupt(mime_type, log).failure
