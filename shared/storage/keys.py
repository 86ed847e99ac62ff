"""Every object key of Tripod is made here.

A key uses only what is known when the file part of an upload starts: the id, the token, the file name, the
sniffed type. No part of it is the client's text unsanitised.
"""

import re
import unicodedata
import uuid

from shared.ids import id_time

VARIANTS = "variants/"
_UNSAFE = re.compile(r"[^a-z0-9]+")


def original(template: str, *, media_id: uuid.UUID, filename: str, extension: str) -> str:
    """The key of an original by its profile's template, e.g. `{YYYY}/{MM}/{DD}/{uuid}_{name}.{ext}`.

    The date is that of the id, so that a retry under the same id finds the same key.
    """
    when = id_time(media_id)
    return template.format(
        YYYY=f"{when.year:04}",
        MM=f"{when.month:02}",
        DD=f"{when.day:02}",
        uuid=media_id,
        name=slug(filename),
        ext=extension,
    )


def variants(media_id: uuid.UUID) -> str:
    """The prefix of all variants of one media; it ends in a slash, so no other media shares it."""
    when = id_time(media_id)
    return f"{VARIANTS}{when.year:04}/{when.month:02}/{when.day:02}/{media_id}/"


def variant(media_id: uuid.UUID, *, spec: str, name: str, extension: str) -> str:
    """The key of one variant: it holds the hash of what was asked for, so its bytes never change."""
    return f"{variants(media_id)}{spec}-{name}.{extension}"


def slug(filename: str, limit: int = 50) -> str:
    """A file name's stem in at most `limit` characters of a-z, 0-9 and `-`; `file` where nothing is left."""
    stem = filename.replace("\\", "/").rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] if "." in stem[1:] else stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return _UNSAFE.sub("-", plain).strip("-")[:limit].strip("-") or "file"
