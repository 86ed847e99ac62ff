"""Filters as conditions of SQL. Every question is answered with yes or no: a value that is not there is a no."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    not_,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.catalog.filters.fields import Operator
from services.catalog.filters.language import Both, Condition, Either, Filter, Not
from services.catalog.filters.values import Box, Circle

EARTH = 6_371_008.8
"""Metres: the mean radius of the earth (IUGG)."""
_ESCAPE = "\\"


def compiled(filter_: Filter, *, private: ColumnElement[bool]) -> ColumnElement[bool]:
    """What a row fulfils that the filter lets through. `private`: of which rows the caller is told everything; what
    is private of the others is as if it were not there."""
    match filter_:
        case Both(parts):
            return and_(true(), *(compiled(part, private=private) for part in parts))
        case Either(parts):
            return or_(*(compiled(part, private=private) for part in parts))
        case Not(part):
            # Not `NOT`: of what is neither true nor false, because a value is missing, that is neither as well.
            return compiled(part, private=private).is_not(True)
        case Condition():
            return _condition(filter_, private)


def _condition(asked: Condition, private: ColumnElement[bool]) -> ColumnElement[bool]:
    field = asked.field
    if asked.operator == "is_null":
        there = and_(field.column.is_not(None), private) if field.private else field.column.is_not(None)
        return not_(there) if asked.value else there
    if asked.operator == "eq" and field.equal is not None:
        found = field.equal(asked.value)
    else:
        found = _SAID[asked.operator](field.column, asked.value)
    return and_(private, found) if field.private else found


def _contains(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    if isinstance(value, tuple):  # all of these tags
        return column.contains(cast(list(value), ARRAY(Text)))
    if isinstance(value, dict):
        return column.contains(bindparam(None, value, JSONB))
    return column.contains(value, autoescape=True)


def _pattern(value: str) -> str:
    """It must not end in an escape, which PostgreSQL refuses."""
    ends_open = (len(value) - len(value.rstrip(_ESCAPE))) % 2 == 1
    return value + _ESCAPE if ends_open else value


def _within(gps: ColumnElement[Any], place: Box | Circle) -> ColumnElement[bool]:
    latitude, longitude = (_degrees(gps, name) for name in ("latitude", "longitude"))
    if isinstance(place, Box):
        across = (
            longitude.between(place.west, place.east)
            if place.west <= place.east
            else or_(longitude >= place.west, longitude <= place.east)
        )
        return and_(latitude.between(place.south, place.north), across)
    # The haversine formula: exact enough for a lens, also for small distances.
    up = func.sin(func.radians(latitude - place.latitude) / 2)
    along = func.sin(func.radians(longitude - place.longitude) / 2)
    shrink = func.cos(func.radians(latitude)) * literal(math.cos(math.radians(place.latitude)), Double)
    half = up * up + shrink * along * along
    return 2 * EARTH * func.asin(func.sqrt(func.least(half, 1.0))) <= place.radius


def _degrees(gps: ColumnElement[Any], name: str) -> ColumnElement[float]:
    return cast(gps[name].astext, Double)


_SAID: Mapping[Operator, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column.is_distinct_from(value),
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "between": lambda column, value: column.between(*value),
    "in": lambda column, value: column.in_(value),
    "nin": lambda column, value: column.in_(value).is_not(True),
    "contains": _contains,
    "starts_with": lambda column, value: column.startswith(value, autoescape=True),
    "ends_with": lambda column, value: column.endswith(value, autoescape=True),
    "like": lambda column, value: column.like(_pattern(value), escape=_ESCAPE),
    "ilike": lambda column, value: column.ilike(_pattern(value), escape=_ESCAPE),
    "overlaps": lambda column, value: column.overlap(cast(list(value), ARRAY(Text))),
    "within": _within,
}
