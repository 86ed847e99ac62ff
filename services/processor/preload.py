"""Loads into the fork server all that its children will need, because they can open no file themselves."""

import codecs
import datetime as dt
import encodings.aliases
import gc
import importlib
import pkgutil
from pathlib import Path

import av
import imagehash
import numpy as np
import pillow_heif
from PIL import BmpImagePlugin, Image, TiffImagePlugin

from services.processor import vips

# Of other systems only.
_NOT_HERE = frozenset({"mbcs", "oem"})


def preload() -> None:
    """Import, warm up and freeze. Raises RuntimeError when a library has started a thread: forks would hang."""
    # All of them: a file's metadata can name any.
    for name in sorted({"idna", *encodings.aliases.aliases.values()} - _NOT_HERE):
        codecs.lookup(name)
    dt.datetime.strptime("2000", "%Y")  # noqa: DTZ007 - imports its implementation at first use
    pillow_heif.register_heif_opener(thumbnails=False)
    pillow_heif.options.DECODE_THREADS = 1
    Image.init()
    imagehash.phash(Image.fromarray(np.zeros((32, 32), np.uint8)))
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    vips.close_down()
    # Children only read these objects; a collection would touch, and so copy, every page of them.
    gc.collect()
    gc.freeze()
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"The fork server has {threads} threads; it must have 1 to fork safely.")


__all__ = ["BmpImagePlugin", "TiffImagePlugin", "preload"]
