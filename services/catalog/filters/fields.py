"""What a filter may ask about: names as the media object and the form fields have them, and the operators of each."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Double, Text, and_, case, cast, func, null, or_, type_coerce

from services.catalog.models import media
from shared.events.messages import MediaType
from shared.media import Moderation, Status

Operator: TypeAlias = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "nin", "contains", "starts_with", "ilike", "overlaps",
    "within", "is_null", "ends_with", "like",
]  # fmt: skip
Kind: TypeAlias = Literal[
    "word", "text", "choice", "whole", "number", "moment", "local_time", "flag", "id", "tags", "object", "place"
]  # fmt: skip

_EQUAL: tuple[Operator, ...] = ("eq", "ne", "in", "nin")
_ORDERED: tuple[Operator, ...] = (*_EQUAL, "gt", "gte", "lt", "lte", "between")
OPERATORS: Mapping[Kind, tuple[Operator, ...]] = {
    "word": (*_EQUAL, "starts_with"),
    "text": (*_EQUAL, "starts_with", "contains", "ilike"),
    "choice": _EQUAL,
    "whole": _ORDERED,
    "number": _ORDERED,
    "moment": _ORDERED,
    "local_time": _ORDERED,
    "flag": ("eq", "ne"),
    "id": _EQUAL,
    "tags": ("contains", "overlaps"),
    "object": ("contains",),
    "place": ("within",),
}
"""Those of a kind of field; `is_null` is for every field that may be empty. Only older APIs ask `ends_with` and `like`,
which is `ilike` with upper and lower case apart."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked about.

    `optional`: a media may lack it. `choices`: all values that there are. `indexed`: an equality finds its rows without
    reading the others. `private`: told only of media that the caller may change. `equal`: what finds a value by an
    index where the column itself has none.
    """

    kind: Kind
    column: ColumnElement[Any]
    optional: bool = False
    choices: tuple[str, ...] = ()
    indexed: bool = False
    private: bool = False
    equal: Callable[[Any], ColumnElement[bool]] | None = None

    @property
    def operators(self) -> tuple[Operator, ...]:
        return (*OPERATORS[self.kind], "is_null") if self.optional else OPERATORS[self.kind]


def _one(name: str, kind: Kind, **more: Any) -> Field:
    column = media.c[name]
    # A number may be asked for that no column of 32 bits can hold: the answer is no, not an error.
    asked = type_coerce(column, BigInteger) if kind == "whole" else column
    return Field(kind=kind, column=asked, optional=bool(column.nullable), **more)


def _exif_text(name: str) -> Field:
    return Field(kind="text", column=media.c.exif[name].astext, optional=True)


def _exif_number(name: str) -> Field:
    found = media.c.exif[name]
    # An event of another hand may have put something else there, which no cast survives.
    number = case((func.jsonb_typeof(found) == "number", cast(found.astext, Double)), else_=null())
    return Field(kind="number", column=number, optional=True)


FIELDS: Mapping[str, Field] = {
    "id": _one("id", "id", indexed=True),
    "number": _one("number", "whole", indexed=True),
    "status": _one("status", "choice", choices=get_args(Status)),
    "media_type": _one("media_type", "choice", choices=get_args(MediaType)),
    "mime_type": _one("mime_type", "word"),
    "filename": _one("filename", "text"),
    "size": _one("size", "whole"),
    "sha256": _one("sha256", "word", indexed=True),
    "width": _one("width", "whole"),
    "height": _one("height", "whole"),
    "duration": _one("duration", "number"),
    "bitrate": _one("bitrate", "whole"),
    "description": _one("description", "text"),
    "alt_text": _one("alt_text", "text"),
    "caption": _one("caption", "text"),
    "tags": _one("tags", "tags"),
    "metadata": _one("metadata", "object"),
    "is_public": _one("is_public", "flag"),
    "moderation": _one("moderation", "choice", choices=get_args(Moderation)),
    "profile": _one("profile", "word", indexed=True),
    "owner": _one("owner", "word", indexed=True),
    "entity_type": _one("entity_type", "word"),
    "entity_id": _one("entity_id", "word"),
    "entity_field": _one("entity_field", "word"),
    "is_primary": _one("is_primary", "flag"),
    "sort_order": _one("sort_order", "whole"),
    "created_at": _one("created_at", "moment"),
    "updated_at": Field(kind="moment", column=media.c.updated_at),
    "error_code": _one("error_code", "word"),
    # The camera's clock, mostly without a zone: its first 19 characters, compared as they are written.
    "taken_at": Field(kind="local_time", column=func.left(media.c.taken_at, 19, type_=Text), optional=True),
    "exif.camera_make": _exif_text("camera_make"),
    "exif.camera_model": _exif_text("camera_model"),
    "exif.lens": _exif_text("lens"),
    "exif.software": _exif_text("software"),
    "exif.iso": _exif_number("iso"),
    "exif.exposure_time": _exif_number("exposure_time"),
    "exif.f_number": _exif_number("f_number"),
    "exif.focal_length": _exif_number("focal_length"),
    "gps": Field(kind="place", column=media.c.exif["gps"], optional=True, private=True),
}

_DECIMAL = "^[0-9]{1,18}$"
"""Owners who are a number by themselves, whatever uid their token had: as `shared.dialects.users` has it."""
_numbered = media.c.owner.bool_op("~")(_DECIMAL)


def owned_by(number: int) -> ColumnElement[bool]:
    """Which rows belong to the user of this number."""
    return or_(media.c.owner == str(number), and_(media.c.owner_uid == number, ~_numbered))


OF_OLDER_APIS: Mapping[str, Field] = {
    "owner_number": Field(
        kind="whole",
        column=case((_numbered, cast(media.c.owner, BigInteger)), else_=media.c.owner_uid),
        optional=True,
        indexed=True,
        equal=owned_by,
    ),
}
"""What only the APIs of older systems know, and our own searches do not name."""
