"""Every object key of Tripod is made here.

A key uses only what is known when the file part of an upload starts: the id, the token, what the path and earlier
fields say, the file name, the sniffed type. No part of it is the client's text unsanitised.
"""

import re
import unicodedata
import uuid
from datetime import datetime

import msgspec

from shared.ids import id_time
from shared.storage.key_templates import OF_ENTITIES, RESERVED, fields_of

VARIANTS = f"{RESERVED}/"
_ORIGINALS = "originals/"
_SCRATCH = "scratch/"
_RENDERING = re.compile(
    rf"{VARIANTS}\d{{4}}/\d\d/\d\d/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})/render-[0-9a-f]{{16}}\.[a-z]+"
)
_UNSAFE = re.compile(r"[^a-z0-9_]+")
_RANDOM_DIGITS = 12  # of the id's 62 random bits: one in 2^48 within one second and one folder


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The entity that a key names: its type, id, and the id that people see."""

    type: str
    id: str
    display_id: str | None = None


class Naming(msgspec.Struct, frozen=True, kw_only=True):
    """What a template may use of one upload. `owner`: the user's number where they have one, as the older systems
    that name users in keys know them, else the `sub`. `made_at`: when it was made, where the id does not say it."""

    media_id: uuid.UUID
    number: int
    owner: str
    kind: str
    filename: str
    extension: str
    entity: Place | None = None
    made_at: datetime | None = None


def original(template: str, naming: Naming) -> str:
    """The key of an original by its profile's template, e.g. `{YYYY}/{MM}/{DD}/{uuid}_{name}.{ext}`.

    The date is that of the id, so that a retry under the same id finds the same key, or `made_at`. What would lie among
    the variants, because a field is filled with that word, goes below `originals/`.
    """
    when = naming.made_at or id_time(naming.media_id)
    fields = {
        "YYYY": f"{when.year:04}",
        "MM": f"{when.month:02}",
        "DD": f"{when.day:02}",
        "timestamp": f"{when:%Y%m%d%H%M%S}",
        "uuid": str(naming.media_id),
        "hex": naming.media_id.hex,
        "random": naming.media_id.hex[-_RANDOM_DIGITS:],
        "number": str(naming.number),
        "name": slug(naming.filename),
        "ext": naming.extension,
        "kind": naming.kind,
        "owner": folder(naming.owner),
    }
    if naming.entity is not None:
        fields |= {
            "entities": plural(folder(naming.entity.type)),
            "entity_id": folder(naming.entity.id),
            "display_id": folder(naming.entity.display_id or naming.entity.id),
        }
    key = template.format(**fields)
    return f"{_ORIGINALS}{key}" if key.lower().startswith(VARIANTS) else key


def needs_entity(template: str) -> bool:
    """Whether only a media that hangs on an entity can have a key by this template."""
    return not OF_ENTITIES.isdisjoint(fields_of(template))


def variants(media_id: uuid.UUID) -> str:
    """The prefix of all variants of one media; it ends in a slash, so no other media shares it."""
    when = id_time(media_id)
    return f"{VARIANTS}{when.year:04}/{when.month:02}/{when.day:02}/{media_id}/"


def variant(media_id: uuid.UUID, *, spec: str, name: str, extension: str) -> str:
    """The key of one variant: it holds the hash of what was asked for, so its bytes never change."""
    return f"{variants(media_id)}{spec}-{name}.{extension}"


def rendering(media_id: uuid.UUID, *, made: str, extension: str) -> str:
    """The key of a picture made on request; no row names it. `made` is the hash of what was asked for."""
    return f"{variants(media_id)}render-{made}.{extension}"


def scratch(upload_id: uuid.UUID) -> str:
    """The key of a picture that is only looked at: nobody catalogues it, and it goes at once."""
    return f"{_SCRATCH}{upload_id}"


def rendering_of(key: str) -> uuid.UUID | None:
    """The media whose rendering has this key; None for the keys of everything else."""
    found = _RENDERING.fullmatch(key)
    return uuid.UUID(found[1]) if found else None


def slug(filename: str, limit: int = 50) -> str:
    """A file name's stem in at most `limit` characters of a-z, 0-9, `_` and `-`; `file` where nothing is left."""
    stem = filename.replace("\\", "/").rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] if "." in stem[1:] else stem
    return _plain(stem.lower(), limit) or "file"


def folder(text: str, limit: int = 80) -> str:
    """An id as a folder's name: what is not a-z, A-Z, 0-9, `_` or `-` becomes `-`."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:limit].strip("-") or "-"


def plural(word: str) -> str:
    """`community` is `communities`, `sales_rep` is `sales-reps`."""
    word = word.replace("_", "-")
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _plain(text: str, limit: int) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _UNSAFE.sub("-", plain).strip("-_")[:limit].strip("-_")
