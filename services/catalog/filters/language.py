"""Filters as JSON says them, read into a tree whose values have the type of their field."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from services.catalog.filters.fields import FIELDS, OF_OLDER_APIS, Field, Operator
from services.catalog.filters.values import read_value
from shared.errors import Invalid

MOST_DEPTH = 8
MOST_CONDITIONS = 100
_MEMBERS = "a filter is {field, operator, value}, or one of {and: [...]}, {or: [...]}, {not: ...}"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is of the field's type: a tuple for `in`, `nin`, `between`, and for tags; a bool for `is_null`."""

    name: str
    operator: Operator
    value: Any

    @property
    def field(self) -> Field:
        return FIELDS.get(self.name) or OF_OLDER_APIS[self.name]


class Both(msgspec.Struct, frozen=True):
    """All of these; of none of them everything is true."""

    parts: "tuple[Filter, ...]"


class Either(msgspec.Struct, frozen=True):
    """At least one of these."""

    parts: "tuple[Filter, ...]"


class Not(msgspec.Struct, frozen=True):
    """All that the part does not let through, what has no value there included."""

    part: "Filter"


Filter: TypeAlias = Condition | Both | Either | Not


def read(said: Any) -> Filter:
    """The filter of a request. Raises Invalid, which names the place, the value and what is allowed."""
    return _Reader().read(said, "filter", 1)


class _Reader:
    """Counts what it has read: a filter is a few questions, not a program."""

    def __init__(self) -> None:
        self._conditions = 0

    def read(self, said: Any, place: str, depth: int) -> Filter:
        if depth > MOST_DEPTH:
            raise fault(place, f"is nested more than {MOST_DEPTH} deep")
        if not isinstance(said, Mapping):
            raise fault(place, f"is {short(said)}; {_MEMBERS}")
        names = set(said)
        if names == {"and"}:
            return Both(self._parts(said["and"], f"{place}.and", depth))
        if names == {"or"}:
            return Either(self._parts(said["or"], f"{place}.or", depth))
        if names == {"not"}:
            return Not(self.read(said["not"], f"{place}.not", depth + 1))
        if names == {"field", "operator", "value"}:
            return self._condition(said, place)
        raise fault(
            place, f"has the members {', '.join(sorted(map(str, names)))[:200] or 'none'}; {_MEMBERS}"
        )

    def _parts(self, said: Any, place: str, depth: int) -> tuple[Filter, ...]:
        if not isinstance(said, list) or not said:
            raise fault(place, f"is {short(said)}; it must be a list of one filter or more")
        return tuple(self.read(part, f"{place}[{index}]", depth + 1) for index, part in enumerate(said))

    def _condition(self, said: Mapping[str, Any], place: str) -> Condition:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise fault(place, f"is condition {self._conditions}; at most {MOST_CONDITIONS} are allowed")
        name, operator = said["field"], said["operator"]
        field = FIELDS.get(name) if isinstance(name, str) else None
        if field is None:
            raise fault(f"{place}.field", f"is {short(name)}; there are {', '.join(FIELDS)}")
        if operator not in field.operators:
            raise fault(f"{place}.operator", f"is {short(operator)}; {name} has {', '.join(field.operators)}")
        try:
            value = read_value(field, operator, said["value"])
        except ValueError as error:
            raise fault(f"{place}.value", f"is {short(said['value'])}; {name} {operator} {error}") from None
        return Condition(name=name, operator=operator, value=value)


def fault(place: str, what: str) -> Invalid:
    """What is wrong with a part of a request's filter."""
    return Invalid(f"{place} {what}.", field=place)


def short(value: Any) -> str:
    """A value as JSON, as far as somebody wants to read it again."""
    text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= 80 else f"{text[:80]}..."
