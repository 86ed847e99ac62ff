"""The orders of lists and searches: by what, in which direction, and where in it a row stands."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import msgspec
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Double,
    Text,
    Uuid,
    bindparam,
    literal_column,
    tuple_,
)

from services.catalog import cursors
from services.catalog.cursors import Place
from services.catalog.models import DURATION_ORDER, FILENAME_ORDER, TAKEN_ORDER, media
from services.catalog.schemas import TimeSort


class Order(msgspec.Struct, frozen=True):
    """`column` has a value for every row, and an index with the id behind it."""

    name: str
    column: ColumnElement[Any]
    descending: bool

    @property
    def by(self) -> tuple[ColumnElement[Any], ...]:
        """For ORDER BY of rows of `media`."""
        return self.along(self.column, media.c.id)

    def along(
        self, value: ColumnElement[Any], media_id: ColumnElement[Any]
    ) -> tuple[ColumnElement[Any], ...]:
        """The same of a subquery's columns."""
        return (value.desc(), media_id.desc()) if self.descending else (value, media_id)

    def behind(self, place: Place) -> ColumnElement[bool]:
        """Rows of `media` that follow."""
        there = self._at("at", place)
        return self._here < there if self.descending else self._here > there

    def up_to(self, place: Place) -> ColumnElement[bool]:
        """Rows of `media` that do not follow."""
        there = self._at("until", place)
        return self._here >= there if self.descending else self._here <= there

    def place(self, value: Any, media_id: Any) -> Place:
        """Where a row with this value of `column` stands."""
        return cursors.place(self.name, value, media_id)

    @property
    def _here(self) -> ColumnElement[Any]:
        return tuple_(self.column, media.c.id)

    def _at(self, name: str, place: Place) -> ColumnElement[Any]:
        value = place.at if isinstance(self.column.type, DateTime) else place.value
        return tuple_(bindparam(name, value, self.column.type), bindparam(f"{name}_id", place.id, Uuid()))


_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "created_at": media.c.created_at,
    "updated_at": media.c.updated_at,
    "size": media.c.size,
    # Written as their indexes have them, which no parameter would be.
    "filename": literal_column(FILENAME_ORDER, Text()),
    "taken_at": literal_column(TAKEN_ORDER, Text()),
    "duration": literal_column(DURATION_ORDER, Double()),
}
ORDERS: Mapping[str, Order] = {
    f"{sign}{name}": Order(f"{sign}{name}", column, descending=sign == "-")
    for name, column in _COLUMNS.items()
    for sign in ("-", "")
}
_BY_TIME: tuple[TimeSort, ...] = ("-created_at", "created_at")
GROUNDED = frozenset(_BY_TIME)
"""Those for which each ground of `rights` has an index."""


def by_time(sort: str) -> TypeGuard[TimeSort]:
    """Whether it is the order in which lists are as a rule."""
    return sort in _BY_TIME
